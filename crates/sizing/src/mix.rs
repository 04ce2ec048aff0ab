//! How many requests of the lengths that really come a KV cache holds, beside the printed worst case.
//!
//! "Maximum concurrency" counts requests of `max_model_len` tokens whose windows are full of a whole scheduler step. A
//! request that is being answered holds the blocks of its prompt and of what it has written so far: anything between its
//! first and its last token, all equally likely in a steady closed loop. Blocks per request then have a mean and a spread;
//! their sum over many requests is close to normal, which gives the expectation and a number that is safe 99 times in 100.
//! The server's own `--max-num-seqs` may stop earlier.

use serde::Serialize;

use crate::{KvCachePlan, Tokens};

/// Lengths of prompts or outputs.
#[derive(Clone, Debug, PartialEq)]
pub enum Lengths {
    /// All of this many tokens.
    Fixed(Tokens),
    /// Any number from the first to the last, all equally likely.
    Uniform(Tokens, Tokens),
    /// As observed.
    Observed(Vec<Tokens>),
}

impl Lengths {
    /// At most 32 lengths that stand for all with equal weight; empty for no observation.
    fn points(&self) -> Vec<u64> {
        const POINTS: u64 = 32;
        match self {
            Self::Fixed(length) => vec![length.get()],
            Self::Uniform(low, high) => {
                let (low, high) = (low.get().min(high.get()), high.get().max(low.get()));
                let step = |point: u64| (high - low).saturating_mul(2 * point + 1) / (2 * POINTS);
                let at = |point: u64| low + step(point);
                (0..POINTS).map(at).collect()
            }
            Self::Observed(all) => {
                let mut sorted: Vec<u64> = all.iter().map(|length| length.get()).collect();
                sorted.sort_unstable();
                let points = POINTS.min(sorted.len() as u64);
                let at = |point: u64| (sorted.len() as u64 * (2 * point + 1)) / (2 * points);
                let index = (0..points).filter_map(|point| usize::try_from(at(point)).ok());
                index.filter_map(|index| sorted.get(index).copied()).collect()
            }
        }
    }
}

/// How many requests of a mix a cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Held {
    /// Blocks of a request on average over its life.
    pub mean_blocks: f64,
    /// Their standard deviation.
    pub blocks_stddev: f64,
    /// Requests whose blocks are the pool's on average.
    pub expected: f64,
    /// Requests that fit 99 times in 100.
    pub safe: f64,
    /// What the engine prints: requests of the longest length.
    pub printed: f64,
}

/// 99 % of a normal distribution lie below its mean and this many standard deviations.
const SAFE: f64 = 2.326;

impl KvCachePlan {
    /// How many requests with prompts and outputs of these lengths the cache holds; `None` when there are none.
    pub fn holds(&self, prompts: &Lengths, outputs: &Lengths) -> Option<Held> {
        const STEPS: u64 = 16;
        let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
        let outputs = outputs.points();
        for prompt in prompts.points() {
            for &output in &outputs {
                for step in 0..STEPS {
                    let written = output.saturating_mul(2 * step + 1) / (2 * STEPS);
                    let length = Tokens::new(prompt.saturating_add(written).max(1));
                    let blocks = self.blocks_of_length(length).get() as f64;
                    sum += blocks;
                    squares += blocks * blocks;
                    count += 1.0;
                }
            }
        }
        let mean = sum / count;
        if !mean.is_finite() || mean <= 0.0 {
            return None;
        }
        let stddev = (squares / count - mean * mean).max(0.0).sqrt();
        let pool = self.blocks().get() as f64;
        // n mean + z s sqrt(n) = pool, solved for sqrt(n).
        let half = SAFE * stddev / (2.0 * mean);
        let root = (half * half + pool / mean).sqrt() - half;
        Some(Held {
            mean_blocks: mean,
            blocks_stddev: stddev,
            expected: pool / mean,
            safe: root * root,
            printed: self.max_concurrency(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Blocks, Engine, EngineFlags, KvMemory, catalogue};

    /// The reference's server: 10,526 blocks, 8.62x printed for 4,096 tokens, and 64 requests at once without preemption.
    /// By hand for prompts of 100 and outputs of 200 tokens: 7 to 19 blocks in the full group, one more in each of five
    /// window groups; about 13 + 5 × 14 = 83 a request, so about 127 requests.
    #[test]
    fn the_reference_server_held_64_where_8_62_was_printed() {
        let model = catalogue::model("google/gemma-3-12b-it").unwrap();
        let engine = Engine::vllm("0.11.2").unwrap();
        let pool = KvMemory::Blocks(Blocks::new(10_526));
        let plan = engine.kv_cache(model, &EngineFlags::new(4096), pool).unwrap();
        let fixed = |tokens| Lengths::Fixed(Tokens::new(tokens));
        let held = plan.holds(&fixed(100), &fixed(200)).unwrap();
        assert!((held.mean_blocks - 83.0).abs() < 4.0, "{held:?}");
        assert!(held.safe > 64.0 && held.safe < held.expected, "{held:?}");
        assert_eq!(format!("{:.2}", held.printed), "8.62");
    }

    #[test]
    fn equal_lengths_have_no_spread_but_that_of_progress_and_none_means_none() {
        let model = catalogue::model("Qwen/Qwen3-8B").unwrap();
        let pool = KvMemory::Blocks(Blocks::new(1000));
        let plan = Engine::newest().kv_cache(model, &EngineFlags::new(4096), pool).unwrap();
        let held = plan.holds(&Lengths::Fixed(Tokens::new(160)), &Lengths::Fixed(Tokens::new(0))).unwrap();
        assert_eq!((held.mean_blocks, held.blocks_stddev), (10.0, 0.0));
        assert!((held.expected - held.safe).abs() < 1e-9);
        assert_eq!(plan.holds(&Lengths::Observed(Vec::new()), &Lengths::Fixed(Tokens::new(1))), None);
        let spread = Lengths::Uniform(Tokens::new(16), Tokens::new(1600));
        let held = plan.holds(&spread, &Lengths::Fixed(Tokens::new(0))).unwrap();
        assert!((held.mean_blocks - 50.5).abs() < 1.0, "{held:?}");
    }
}
