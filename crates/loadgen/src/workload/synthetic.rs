//! Prompts of a given number of tokens, made of common words.
//!
//! The client has no tokenizer. Each word of the list is one token for most models, and what differs (chat template,
//! byte-level vocabularies) is measured: two short requests before the run tell by their `usage.prompt_tokens` how many
//! tokens a word has and how many come on top. What the server counted for every request is in its record.
//!
//! A prompt begins with the shared prefix, if one is wanted; then eight words spell its 64-bit code, so that nothing
//! after the shared prefix can come from a prefix cache; the rest is drawn from the code.

use rand_pcg::Pcg32;

use super::{Draw, Lengths, PCG_STREAM, PromptId, Trace, TraceRequest, booking_code, mix, vocabulary::WORDS};

/// Words that spell a code: 256 of them to the eighth is 2^64.
const CODE_WORDS: u32 = 8;

/// Tokens of words and of what surrounds them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Tokens of a word.
    pub per_word: f64,
    /// Tokens of a prompt without words: the chat template.
    pub overhead: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { per_word: 1.0, overhead: 0.0 }
    }
}

impl Calibration {
    /// From the tokens of two prompts; `None` when they make no sense (a server that does not count).
    pub fn between(few: (u32, u64), many: (u32, u64)) -> Option<Self> {
        let words = f64::from(many.0.checked_sub(few.0).filter(|more| *more > 0)?);
        let per_word = (many.1 as f64 - few.1 as f64) / words;
        let overhead = few.1 as f64 - per_word * f64::from(few.0);
        (per_word > 0.0).then_some(Self { per_word, overhead })
    }

    fn words(self, tokens: u32) -> u32 {
        let words = ((f64::from(tokens) - self.overhead) / self.per_word).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range of u32")]
        let words = words.clamp(0.0, f64::from(u32::MAX)) as u32;
        words
    }
}

/// Prompts of given lengths.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthetic {
    /// Tokens of a prompt, chat template included.
    pub isl: Lengths,
    /// Of these, tokens that all prompts of the run begin with.
    pub shared_prefix: u32,
    /// How words become tokens.
    pub calibration: Calibration,
    /// Requests of a trace: the k-th request of a level has the lengths of the k-th of them.
    pub recorded: Option<Trace>,
}

impl Synthetic {
    /// Prompt and output tokens that a trace has for this request.
    pub(super) fn recorded(&self, id: PromptId) -> Option<&TraceRequest> {
        let requests = &self.recorded.as_ref()?.requests;
        requests.get(usize::try_from(id.request).ok()?)
    }

    pub(super) fn prompt(&self, id: PromptId) -> String {
        let code = booking_code(id);
        let isl = self.recorded(id).map_or_else(|| self.isl.of(code, 1), |request| request.input_tokens);
        let shared = Calibration { overhead: 0.0, ..self.calibration }.words(self.shared_prefix);
        let words = self.calibration.words(isl).max(shared + CODE_WORDS);
        text(mix(id.seed), code, shared, words)
    }

    /// A prompt of exactly this many words, for calibration.
    pub(crate) fn probe(id: PromptId, words: u32) -> String {
        text(0, booking_code(id), 0, words)
    }
}

fn text(prefix: u64, code: u64, shared: u32, words: u32) -> String {
    let mut of_run = Draw(Pcg32::new(prefix, PCG_STREAM));
    let mut of_prompt = Draw(Pcg32::new(code, PCG_STREAM));
    let shared_words = (0..shared).map(|_| of_run.one(&WORDS));
    let code_words = code.to_le_bytes().map(|byte| WORDS[usize::from(byte)]);
    let rest = words.saturating_sub(shared + CODE_WORDS);
    let mut text = String::with_capacity(words as usize * 6);
    let filler = (0..rest).map(|_| of_prompt.one(&WORDS));
    for word in shared_words.chain(code_words).chain(filler).take(words.max(1) as usize) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn synthetic(mean: u32, shared_prefix: u32) -> Synthetic {
        Synthetic { isl: Lengths::exactly(mean), shared_prefix, calibration: Calibration::default(), recorded: None }
    }

    fn id(request: u64) -> PromptId {
        PromptId { seed: 5, level: 1, request }
    }

    fn words(text: &str) -> Vec<&str> {
        text.split(' ').collect()
    }

    #[test]
    fn words_are_all_different() {
        assert_eq!(WORDS.iter().collect::<HashSet<_>>().len(), WORDS.len());
    }

    #[test]
    fn prompts_have_their_length_and_share_what_they_shall() {
        let texts: Vec<_> = (0..2_000).map(|k| synthetic(300, 100).prompt(id(k))).collect();
        let first = words(&texts[0]);
        for text in &texts {
            let words = words(text);
            assert_eq!(words.len(), 300);
            assert_eq!(words[..100], first[..100]);
        }
        let codes: HashSet<_> = texts.iter().map(|t| words(t)[100..108].to_vec()).collect();
        assert_eq!(codes.len(), texts.len(), "none is another's prefix");
        let other = synthetic(300, 100).prompt(PromptId { seed: 6, ..id(0) });
        assert_ne!(words(&other)[..100], first[..100], "runs share nothing");
    }

    #[test]
    fn a_calibration_makes_tokens_of_words() {
        // 20 tokens of template and 1.25 tokens a word.
        let calibration = Calibration::between((32, 60), (288, 380)).unwrap();
        assert_eq!(calibration, Calibration { per_word: 1.25, overhead: 20.0 });
        let prompt = Synthetic { calibration, ..synthetic(1020, 0) }.prompt(id(1));
        assert_eq!(words(&prompt).len(), 800);
        assert_eq!(Calibration::between((32, 60), (288, 60)), None);
        assert_eq!(words(&synthetic(3, 0).prompt(id(1))).len(), 8, "never shorter than its code");
    }
}
