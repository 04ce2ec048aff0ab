//! When has a server gone away? Pure: a count over outcomes.

use records::{ConnectPhase, Outcome, TimeoutPhase};

/// Counts attempts in a row that found no server.
#[derive(Debug)]
pub(super) struct LossDetector {
    limit: u32,
    in_a_row: u32,
}

impl LossDetector {
    /// For a level of `concurrency`: a server is lost after as many failures as there are slots, but three at least
    /// and 64 at most.
    pub(super) fn new(concurrency: u32) -> Self {
        Self { limit: concurrency.clamp(3, 64), in_a_row: 0 }
    }

    /// Takes the next outcome; the message when the server is lost.
    pub(super) fn observe(&mut self, outcome: &Outcome) -> Option<String> {
        let seen = match outcome {
            Outcome::ConnectFailed { phase: ConnectPhase::Dns, message } => format!("name not resolved: {message}"),
            Outcome::ConnectFailed { message, .. } => format!("no connection: {message}"),
            Outcome::Cut { message } => format!("connection cut: {message}"),
            Outcome::TimedOut { phase: TimeoutPhase::Connect } => "no connection in time".to_owned(),
            // Our own doing says nothing about the server.
            Outcome::Cancelled => return None,
            // It answered, if only with an error.
            _ => {
                self.in_a_row = 0;
                return None;
            }
        };
        self.in_a_row += 1;
        (self.in_a_row >= self.limit)
            .then(|| format!("{} attempts in a row found no server; the last one: {seen}", self.in_a_row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost_after(concurrency: u32, outcomes: impl Iterator<Item = Outcome>) -> Option<usize> {
        let mut detector = LossDetector::new(concurrency);
        outcomes.map(|o| detector.observe(&o)).position(|lost| lost.is_some()).map(|i| i + 1)
    }

    fn refused() -> Outcome {
        let message = "refused".to_owned();
        Outcome::ConnectFailed { phase: ConnectPhase::Connect, message }
    }

    #[test]
    fn lost_after_as_many_failures_as_slots_within_bounds() {
        for (concurrency, after) in [(1, 3), (8, 8), (1000, 64)] {
            let refusals = std::iter::repeat_with(refused).take(100);
            assert_eq!(lost_after(concurrency, refusals), Some(after));
        }
    }

    #[test]
    fn an_answer_of_any_kind_starts_the_count_again_and_a_cancellation_does_not() {
        let cut = || Outcome::Cut { message: "reset".to_owned() };
        let late = || Outcome::TimedOut { phase: TimeoutPhase::Connect };
        let answer = || Outcome::HttpStatus { status: 500, body: String::new() };
        let mixed = [refused(), cut(), answer(), cut(), Outcome::Cancelled, late(), refused()];
        assert_eq!(lost_after(1, mixed.into_iter()), Some(7));
        let stalled = || Outcome::TimedOut { phase: TimeoutPhase::FirstByte };
        assert_eq!(lost_after(1, std::iter::repeat_with(stalled).take(10)), None);
    }
}
