//! A request inside the engine: what it was given, how far it has come, and what it says when it makes a token.

use std::time::Duration;

use crate::profile::TokenBudget;

/// Names a request; unique within an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What the engine is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Name, not in use by another request.
    pub id: RequestId,
    /// Lengths that fit the server.
    pub budget: TokenBudget,
    /// Whether the output may end before `max_tokens`.
    pub eos: Eos,
}

/// Whether an output may end before its `max_tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eos {
    /// `ignore_eos`: the output has exactly `max_tokens` tokens.
    Ignored,
    /// EOS may come after `min_tokens` tokens.
    Allowed {
        /// Tokens before EOS is possible.
        min_tokens: u32,
    },
}

/// Why a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// EOS; the last token is EOS itself and has no text.
    Stop,
    /// `max_tokens` were made.
    Length,
}

impl FinishReason {
    /// Word of the OpenAI API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// A token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whose token.
    pub request: RequestId,
    /// Its number, from 1.
    pub index: u32,
    /// Since the arrival for the first token, since the token before it for the others.
    pub elapsed: Duration,
    /// Prompt tokens of the request.
    pub prompt_tokens: u32,
    /// Set on the last token.
    pub end: Option<Completion>,
}

/// A request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Why.
    pub reason: FinishReason,
    /// From the arrival to the first step that held it.
    pub queued: Duration,
    /// From the arrival to the last token.
    pub e2e: Duration,
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) id: RequestId,
    prompt_tokens: u32,
    /// Tokens that it will make, and why it will stop there.
    output: (u32, FinishReason),
    generated: u32,
    arrived: Duration,
    first_scheduled: Option<Duration>,
    last_token: Option<Duration>,
}

impl Sequence {
    pub(crate) fn new(request: &Request, output: (u32, FinishReason), arrived: Duration) -> Self {
        Self {
            id: request.id,
            prompt_tokens: request.budget.prompt_tokens,
            output,
            generated: 0,
            arrived,
            first_scheduled: None,
            last_token: None,
        }
    }

    /// Tokens known so far, prompt and output: what the KV cache must hold before the next can be made.
    pub(crate) fn tokens(&self) -> u32 {
        self.prompt_tokens + self.generated
    }

    /// Whether the prompt is done and only new tokens are missing.
    pub(crate) fn has_begun(&self) -> bool {
        self.generated > 0
    }

    pub(crate) fn mark_scheduled(&mut self, at: Duration) {
        self.first_scheduled.get_or_insert(at);
    }

    /// Makes the next token at the instant `at`.
    pub(crate) fn emit(&mut self, at: Duration) -> Token {
        self.generated += 1;
        let elapsed = at.saturating_sub(self.last_token.unwrap_or(self.arrived));
        self.last_token = Some(at);
        let (tokens, reason) = self.output;
        let end = (self.generated >= tokens).then(|| Completion {
            reason,
            queued: self
                .first_scheduled
                .unwrap_or(at)
                .saturating_sub(self.arrived),
            e2e: at.saturating_sub(self.arrived),
        });
        Token {
            request: self.id,
            index: self.generated,
            elapsed,
            prompt_tokens: self.prompt_tokens,
            end,
        }
    }
}
