//! Conversations: how many turns one has, and how long its user thinks between an answer and the next question.

use std::time::Duration;

use super::{Lengths, mix};

/// Conversations of several turns. Each turn's request repeats what was said before, with the server's own answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversations {
    /// Turns, at least one.
    pub turns: Lengths,
    /// Milliseconds between the end of an answer and the next turn.
    pub think_ms: Lengths,
}

/// What makes turns and pauses of one key independent of each other.
const TURNS: u64 = 0x7475_726e_7300_0001;
const THINK: u64 = 0x7468_696e_6b00_0002;

impl Conversations {
    /// Turns of the conversation that belongs to `key`.
    pub fn turns(self, key: u64) -> u32 {
        self.turns.of(mix(key ^ TURNS), 1)
    }

    /// The pause before its turn `number`.
    pub fn think(self, key: u64, number: u32) -> Duration {
        let key = mix(mix(key ^ THINK) ^ u64::from(number));
        Duration::from_millis(self.think_ms.of(key, 0).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_and_pauses_have_their_means_and_do_not_go_together() {
        let spread = |mean, stddev| Lengths { mean, stddev };
        let conversations = Conversations { turns: spread(8, 2.0), think_ms: spread(5_000, 1_000.0) };
        let drawn: Vec<(f64, f64)> = (0..10_000)
            .map(|key| {
                let think = conversations.think(key, 1).as_secs_f64();
                (f64::from(conversations.turns(key)), think)
            })
            .collect();
        let n = drawn.len() as f64;
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| drawn.iter().map(of).sum::<f64>() / n;
        let (turns, think) = (mean(&|d| d.0), mean(&|d| d.1));
        // Four standard errors: 2/√10000 and 1/√10000, and of the correlation 1/√10000.
        assert!((turns - 8.0).abs() < 0.08, "{turns}");
        assert!((think - 5.0).abs() < 0.04, "{think}");
        let together = mean(&|d| (d.0 - turns) / 2.0 * (d.1 - think));
        assert!(together.abs() < 0.04, "{together}");
        assert_ne!(conversations.think(1, 1), conversations.think(1, 2));
    }

    #[test]
    fn there_is_always_a_turn_and_never_a_negative_pause() {
        let wide = Lengths { mean: 1, stddev: 50.0 };
        let conversations = Conversations { turns: wide, think_ms: wide };
        let least = (0..1_000).map(|key| conversations.turns(key)).min();
        assert_eq!(least, Some(1));
        let least = (0..1_000).map(|key| conversations.think(key, 1)).min();
        assert_eq!(least, Some(Duration::ZERO));
    }
}
