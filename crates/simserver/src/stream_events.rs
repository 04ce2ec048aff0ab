//! The events of a stream, whichever API it speaks.

use crate::frames::{DONE, Frames, Span};
use crate::responses::ResponseFrames;

/// Renders one stream.
#[derive(Debug)]
pub(crate) enum Events {
    /// Chat or completions: chunks with choices.
    Choices(Frames),
    /// The responses API.
    Response(ResponseFrames),
}

impl Events {
    /// What is sent before the engine has made a token.
    pub(crate) fn opening(&mut self) -> Vec<String> {
        match self {
            Self::Choices(_) => Vec::new(),
            Self::Response(frames) => frames.opening(),
        }
    }

    /// What opens a choice, when the first token is there.
    pub(crate) fn choice_opens(&mut self, choice: u32) -> Vec<String> {
        match self {
            Self::Choices(frames) => frames.role(choice).into_iter().collect(),
            Self::Response(frames) => frames.item_opens(),
        }
    }

    /// Appends the event of some tokens.
    pub(crate) fn tokens(&mut self, span: Span, out: &mut impl std::fmt::Write) -> std::fmt::Result {
        match self {
            Self::Choices(frames) => frames.tokens(span, out),
            Self::Response(frames) => frames.tokens(span, out),
        }
    }

    /// What follows the last token: with the token counts, if they are to be told.
    pub(crate) fn closing(&mut self, told: Option<u32>) -> Vec<String> {
        match self {
            Self::Choices(frames) => told.and_then(|n| frames.usage(n)).into_iter().collect(),
            Self::Response(frames) => frames.closing(told),
        }
    }

    /// The token counts once more.
    pub(crate) fn counts_again(&mut self, told: Option<u32>) -> Vec<String> {
        match self {
            Self::Choices(frames) => told.and_then(|n| frames.usage(n)).into_iter().collect(),
            Self::Response(frames) => vec![frames.completed(told)],
        }
    }

    /// An event that breaks off.
    pub(crate) fn malformed(&self) -> String {
        match self {
            Self::Choices(frames) => frames.malformed(),
            Self::Response(_) => ResponseFrames::malformed(),
        }
    }

    /// What says that nothing follows. The responses API has no such thing.
    pub(crate) fn done(&self) -> Option<&'static str> {
        match self {
            Self::Choices(_) => Some(DONE),
            Self::Response(_) => None,
        }
    }
}
