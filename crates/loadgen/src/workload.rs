//! What is sent: which prompt, and how long an answer is asked for. Pure functions of the seed.
//!
//! The translation prompts are sentences, Korean to English and English to Korean in turn, written for this project.
//! No two prompts of a run are alike, nor are those of runs with different seeds, so that no server answers from its
//! prefix cache. The cache works on blocks of 16 tokens counted from the beginning, therefore each prompt begins with
//! what makes it unique, a booking code of 64 bits, and ends with the instruction that it has in common with others:
//! no block is shared but those of the chat template. Synthetic prompts do the same with words; only prompts of the
//! user's own may repeat.
//!
//! This module does not count tokens: the server's `usage.prompt_tokens` does.

mod conversation;
mod dataset;
mod lengths;
mod synthetic;
mod trace;
mod vocabulary;
mod words;

use rand_pcg::{Pcg32, rand_core::Rng};

pub use conversation::Conversations;
pub use dataset::{Dataset, Entry, Prompt};
pub use lengths::Lengths;
pub use synthetic::{Calibration, Synthetic};
pub use trace::{Trace, TraceRequest};

/// Where prompts come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Workload {
    /// Sentences to be translated, about 40 tokens each.
    #[default]
    Translation,
    /// Words, as many tokens as asked.
    Synthetic(Synthetic),
    /// The user's own.
    Dataset(Dataset),
}

impl Workload {
    /// Its name in records.
    pub fn name(&self) -> &str {
        match self {
            Self::Translation => "translation",
            Self::Synthetic(synthetic) => synthetic.recorded.as_ref().map_or("synthetic", |trace| &trace.name),
            Self::Dataset(dataset) => &dataset.name,
        }
    }

    /// A later question of a conversation: as [`Self::entry`], without what all prompts begin with, which was said before.
    pub fn follow_up(&self, id: PromptId, nth: u64) -> Entry {
        match self {
            Self::Synthetic(synthetic) => {
                let follow_up = Self::Synthetic(Synthetic { shared_prefix: 0, ..synthetic.clone() });
                follow_up.entry(id, nth)
            }
            _ => self.entry(id, nth),
        }
    }

    /// What belongs to `id`; `nth` counts the run's requests, and own prompts go by it, in an order that the seed shuffles.
    pub fn entry(&self, id: PromptId, nth: u64) -> Entry {
        let text = match self {
            Self::Translation => prompt(id),
            Self::Synthetic(synthetic) => synthetic.prompt(id),
            Self::Dataset(dataset) => {
                return dataset.entries[place(nth, dataset.entries.len(), id.seed)].clone();
            }
        };
        let recorded = match self {
            Self::Synthetic(synthetic) => synthetic.recorded(id),
            _ => None,
        };
        Entry { prompt: Prompt::Text(text), output_tokens: recorded.map(|request| request.output_tokens) }
    }
}

/// The `nth` of `count` places in an order of their own for each seed and each round through them. Walks in steps that
/// share no factor with `count`, which visits every place once.
fn place(nth: u64, count: usize, seed: u64) -> usize {
    let count = count as u64;
    let (round, within) = (nth / count, nth % count);
    let key = mix(seed ^ mix(round));
    let mut step = mix(key) % count;
    while gcd(step, count) != 1 {
        step = (step + 1) % count;
    }
    let wide = (u128::from(within) * u128::from(step) + u128::from(key)) % u128::from(count);
    usize::try_from(wide).expect("a remainder by a length is an index")
}

/// Sorting by it puts things into an order that the seed draws.
pub fn shuffle_key(seed: u64, index: u64) -> u64 {
    mix(index ^ mix(seed ^ 0x6c65_7665_6c73))
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Which prompt of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptId {
    /// Seed of the run.
    pub seed: u64,
    /// Index into the plan's levels.
    pub level: u32,
    /// Request within the level.
    pub request: u64,
}

/// The prompt of this id; the same one on every machine and in every version that keeps `words` and PCG-32.
pub fn prompt(id: PromptId) -> String {
    let code = booking_code(id);
    let mut draw = Draw(Pcg32::new(code, PCG_STREAM));
    let sentence = if id.request.is_multiple_of(2) { words::korean(&mut draw) } else { words::english(&mut draw) };
    format!("{} {sentence}", spell(code))
}

/// PCG's default stream.
const PCG_STREAM: u64 = 0xa02_bdbf_7bb3_c0a7;

/// Codes differ for all ids of one seed (levels below 2^20, requests below 2^44), because each step is a bijection of
/// 64 bits. Between seeds they differ but for chance: one in 2^64 for each pair.
fn booking_code(id: PromptId) -> u64 {
    let place = (u64::from(id.level) << 44) ^ id.request;
    mix(place ^ mix(id.seed))
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014), a bijection.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Thirteen letters and digits, without those that look alike (Crockford's base 32).
fn spell(code: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    (0..13).map(|place| char::from(DIGITS[(code >> (5 * place) & 31) as usize])).collect()
}

/// Choices drawn from the named generator.
struct Draw(Pcg32);

impl Draw {
    /// A number in `0..bound`, by Lemire's multiplication; its bias is below 2^-20 for the bounds used here.
    fn below(&mut self, bound: u32) -> u32 {
        let wide = u64::from(self.0.next_u32()) * u64::from(bound);
        u32::try_from(wide >> 32).expect("the product of two 32-bit numbers shifted by 32 bits fits")
    }

    fn between(&mut self, first: u32, last: u32) -> u32 {
        first + self.below(last - first + 1)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        let bound = u32::try_from(of.len()).expect("word lists are short");
        of[self.below(bound) as usize]
    }

    /// Two different entries.
    fn two<T: Copy>(&mut self, of: &[T]) -> (T, T) {
        let count = u32::try_from(of.len()).expect("word lists are short");
        let first = self.below(count);
        let second = (first + self.between(1, count - 1)) % count;
        (of[first as usize], of[second as usize])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn own_prompts_are_each_sent_once_a_round_in_an_order_of_the_seed() {
        for count in [1_usize, 2, 7, 12, 100] {
            let order = |seed, round: u64| -> Vec<usize> {
                let n = count as u64;
                (round * n..(round + 1) * n).map(|nth| place(nth, count, seed)).collect()
            };
            let mut sorted = order(3, 5);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..count).collect::<Vec<_>>());
        }
        let order = |seed| (0..100).map(|nth| place(nth, 100, seed)).collect::<Vec<_>>();
        assert_ne!(order(1), order(2));
    }

    fn ids() -> impl Iterator<Item = PromptId> {
        let requests = |level| (0..5_000).map(move |request| (level, request));
        (0..4).flat_map(move |seed| {
            (0..5).flat_map(requests).map(move |(level, request)| PromptId { seed, level, request })
        })
    }

    #[test]
    fn a_hundred_thousand_prompts_differ_within_their_first_block() {
        // A token is a byte at least, so 16 tokens hold 16 bytes at least.
        let starts: HashSet<Vec<u8>> = ids().map(|id| prompt(id).as_bytes()[..16].to_vec()).collect();
        assert_eq!((ids().count(), starts.len()), (100_000, 100_000));
    }

    #[test]
    fn a_prompt_is_a_function_of_its_id() {
        // Codes and numbers as SplitMix64's finaliser and PCG-XSH-RR give them in another language (Python). If this
        // changes, runs with the same seed are no longer the same run.
        let text = |request| prompt(PromptId { seed: 42, level: 3, request });
        assert_eq!(
            text(0),
            "JT8K2JNDQPWC8 조 기사는 10일 6시에 청주 시장에서 커피 851봉지를 주문했습니다. 영어로 번역하세요."
        );
        assert_eq!(
            text(1),
            "W46B592Q0WSMF Mr. Haas ships 807 clocks from Nairobi to Hanoi on 20 December at 12:10. Translate into Korean."
        );
    }

    #[test]
    fn lengths_stay_near_forty_tokens() {
        // Roughly a token for every four bytes and ten for a chat template.
        let tokens: Vec<usize> = ids().map(|id| prompt(id).len().div_ceil(4) + 10).collect();
        let mean = tokens.iter().sum::<usize>() as f64 / tokens.len() as f64;
        assert!((39.5..40.5).contains(&mean), "{mean}");
        let (min, max) = (tokens.iter().min().unwrap(), tokens.iter().max().unwrap());
        assert!(*min >= 34 && *max <= 46, "{min}..{max}");
    }

    #[test]
    fn languages_alternate_and_instructions_come_last() {
        for request in 0..100 {
            let text = prompt(PromptId { seed: 1, level: 0, request });
            let korean = text.chars().any(|c| ('가'..='힣').contains(&c));
            assert_eq!(korean, request % 2 == 0, "{text}");
            assert!(text.ends_with(if korean { "영어로 번역하세요." } else { "Translate into Korean." }));
        }
    }

    #[test]
    fn the_mixer_is_that_of_splitmix64() {
        // First outputs of SplitMix64 seeded with 0 (java.util.SplittableRandom; Vigna's splitmix64.c).
        let golden = 0x9e37_79b9_7f4a_7c15_u64;
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(golden), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(mix(golden.wrapping_mul(2)), 0x06c4_5d18_8009_454f);
    }
}
