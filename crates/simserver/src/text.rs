//! The text of outputs: neutral words, one a token, round and round; and where a `stop` string ends it.
//!
//! EOS has no text. As vLLM's detokeniser does, an output that may meet a stop string is held back by the length of the longest one less
//! a character, so that the beginning of a stop string is never sent.

use crate::engine::FinishReason;

/// The words, each with the space before it.
const WORDS: [&str; 24] = [
    " harbor", " stone", " green", " paper", " window", " slow", " river", " light", " copper", " field", " early",
    " bridge", " cotton", " plain", " garden", " wide", " north", " clay", " silver", " quiet", " timber", " morning",
    " road", " level",
];
/// The same as one string.
const ROUND: &str = " harbor stone green paper window slow river light copper field early bridge cotton plain garden wide north clay silver quiet timber morning road level";

/// The text of one output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    /// Characters of the first word that are not said: a chat begins without a space.
    trimmed: usize,
    /// Characters that wait for what comes after them.
    held_back: usize,
    stop: Option<StopMatch>,
}

/// Where a `stop` string is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StopMatch {
    /// The token that completes it.
    pub(crate) token: u32,
    /// The string.
    pub(crate) string: String,
    /// Characters before the end of the output.
    length: usize,
}

impl Text {
    /// `chat` begins without a space. `stop` strings are looked for in what comes after `min_tokens` tokens.
    pub(crate) fn new(chat: bool, stop: &[String], min_tokens: u32, included: bool) -> Self {
        let mut text = Self { trimmed: usize::from(chat), ..Self::default() };
        if !included {
            let longest = stop.iter().map(String::len).max().unwrap_or(1);
            text.held_back = longest.saturating_sub(1);
        }
        // The first string of the list wins where two end in one token.
        let mut first: Option<StopMatch> = None;
        for string in stop {
            let Some(found) = text.find(string, min_tokens, included) else {
                continue;
            };
            if first.as_ref().is_none_or(|known| found.token < known.token) {
                first = Some(found);
            }
        }
        text.stop = first;
        text
    }

    /// Where a stop string ends it, if one does.
    pub(crate) fn stop(&self) -> Option<&StopMatch> {
        self.stop.as_ref()
    }

    /// Appends what tokens `first` to `last` add, counted from 1; `finish` if `last` is the last of all.
    pub(crate) fn write(
        &self,
        first: u32,
        last: u32,
        finish: Option<FinishReason>,
        out: &mut impl std::fmt::Write,
    ) -> std::fmt::Result {
        let from = self.length(first - 1).saturating_sub(self.held_back);
        let to = match (finish, &self.stop) {
            (None, _) => self.length(last).saturating_sub(self.held_back),
            (Some(FinishReason::Stop), _) => self.length(last - 1),
            (Some(FinishReason::StopString), Some(stop)) => stop.length,
            (Some(FinishReason::Length | FinishReason::StopString), _) => self.length(last),
        };
        let mut at = from + self.trimmed;
        let end = to + self.trimmed;
        while at < end {
            let here = at % ROUND.len();
            let rest = (ROUND.len() - here).min(end - at);
            out.write_str(&ROUND[here..here + rest])?;
            at += rest;
        }
        Ok(())
    }

    /// Characters of the first `tokens` tokens.
    fn length(&self, tokens: u32) -> usize {
        let tokens = tokens as usize;
        let rounds = tokens / WORDS.len();
        let rest: usize = WORDS[..tokens % WORDS.len()].iter().map(|w| w.len()).sum();
        (rounds * ROUND.len() + rest).saturating_sub(self.trimmed)
    }

    fn find(&self, string: &str, min_tokens: u32, included: bool) -> Option<StopMatch> {
        // At least one character must have come after `min_tokens`; after a whole round nothing new comes.
        let earliest = (self.length(min_tokens) + 1).saturating_sub(string.len());
        let round = ROUND.as_bytes();
        let is_at = |start: usize| {
            let said = round.iter().cycle().skip((start + self.trimmed) % ROUND.len());
            said.zip(string.as_bytes()).all(|(a, b)| a == b)
        };
        let start = (earliest..earliest + ROUND.len()).find(|&start| is_at(start))?;
        let end = start + string.len();
        // Every token has a character at least.
        let most = u32::try_from(end + self.trimmed).ok()?.max(min_tokens);
        let token = (min_tokens.max(1)..=most).find(|&token| self.length(token) >= end)?;
        Some(StopMatch { token, string: string.to_owned(), length: if included { end } else { start } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &Text, tokens: u32, finish: FinishReason) -> Vec<String> {
        let piece = |token| {
            let mut out = String::new();
            let finish = (token == tokens).then_some(finish);
            text.write(token, token, finish, &mut out).unwrap();
            out
        };
        (1..=tokens).map(piece).collect()
    }

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|&s| s.to_owned()).collect()
    }

    #[test]
    fn a_token_is_a_word_and_eos_is_none() {
        assert_eq!(WORDS.concat(), ROUND);
        let chat = Text::new(true, &[], 0, false);
        assert_eq!(said(&chat, 3, FinishReason::Length), ["harbor", " stone", " green"]);
        assert_eq!(said(&chat, 3, FinishReason::Stop), ["harbor", " stone", ""]);
        let completion = Text::new(false, &[], 0, false);
        assert_eq!(said(&completion, 25, FinishReason::Length)[24], " harbor");
        let mut all = String::new();
        completion.write(24, 26, None, &mut all).unwrap();
        assert_eq!(all, " level harbor stone");
    }

    #[test]
    fn a_stop_string_ends_the_text_before_it() {
        // As captured from vLLM: stop "e" at "The" sends "Th" and ends.
        let text = Text::new(true, &strings(&["b"]), 0, false);
        let stop = text.stop().unwrap();
        assert_eq!((stop.token, stop.string.as_str()), (1, "b"));
        assert_eq!(said(&text, 1, FinishReason::StopString), ["har"]);
        let included = Text::new(true, &strings(&["b"]), 0, true);
        assert_eq!(said(&included, 1, FinishReason::StopString), ["harb"]);
    }

    #[test]
    fn the_beginning_of_a_stop_string_is_held_back() {
        // "ne g" ends in the third token; three characters always wait.
        let text = Text::new(true, &strings(&["zzz", "ne g"]), 0, false);
        assert_eq!(text.stop().unwrap().token, 3);
        assert_eq!(said(&text, 3, FinishReason::StopString), ["har", "bor st", "o"]);
        // Nothing of it is lost when the output ends otherwise.
        assert_eq!(said(&text, 2, FinishReason::Length).concat(), "harbor stone");
        assert_eq!(said(&text, 3, FinishReason::Stop).concat(), "harbor stone");
    }

    #[test]
    fn min_tokens_come_first() {
        // " s" is met in token 2, after min_tokens of 4 again in token 6 (" slow").
        let find = |min_tokens| Text::new(true, &strings(&[" s"]), min_tokens, false).stop;
        assert_eq!(find(0).unwrap().token, 2);
        assert_eq!(find(4).unwrap().token, 6);
        assert_eq!(Text::new(true, &strings(&["xyz"]), 0, false).stop, None);
        // Two that end in one token: the first of the list. The earlier token wins over both.
        let list = strings(&["stone", "ston"]);
        assert_eq!(Text::new(true, &list, 0, false).stop.unwrap().string, "stone");
        let list = strings(&["green", "t"]);
        assert_eq!(Text::new(true, &list, 0, false).stop.unwrap().string, "t");
    }
}
