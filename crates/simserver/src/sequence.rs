//! A request inside the engine: what it was given, how far it has come, and what it says when it makes a token.

use std::sync::Arc;
use std::time::Duration;

/// Names a request; unique within an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Lengths of a request that fit the server. Made by [`Profile::admit`](crate::Profile::admit) only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBudget {
    pub(crate) prompt_tokens: u32,
    pub(crate) max_tokens: u32,
}

/// What the engine is asked to do.
#[derive(Clone, Debug)]
pub struct Request {
    /// Name, not in use by another request.
    pub id: RequestId,
    /// Lengths that fit the server.
    pub budget: TokenBudget,
    /// Whether the output may end before `max_tokens`.
    pub eos: Eos,
    /// Output token with which a `stop` string is complete, if the text has one.
    pub stop_at: Option<u32>,
    /// What the prompt has in common with others. [`PromptBlocks::unshared`] when that does not matter.
    pub prompt: PromptBlocks,
}

impl Request {
    /// A request without a `stop` string, whose prompt shares nothing with any other.
    pub fn new(id: RequestId, budget: TokenBudget, eos: Eos) -> Self {
        Self { id, budget, eos, stop_at: None, prompt: PromptBlocks::unshared() }
    }
}

/// The full blocks of a prompt as a chain of hashes, by which the prefix cache finds what it holds already.
///
/// Made by [`Profile::prompt_blocks`](crate::Profile::prompt_blocks).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptBlocks(Arc<[u64]>);

impl PromptBlocks {
    /// A prompt that shares nothing with any other.
    pub fn unshared() -> Self {
        Self::default()
    }

    /// Hashes every full run of `block_size` tokens together with all that stands before it.
    pub(crate) fn chain(tokens: impl IntoIterator<Item = u64>, block_size: u32) -> Self {
        let mut hash = 0;
        let mut hashes = Vec::new();
        let mut filled = 0;
        for token in tokens {
            hash = mix(hash, token);
            filled += 1;
            if filled == block_size {
                hashes.push(hash);
                filled = 0;
            }
        }
        Self(hashes.into())
    }
}

/// Steele, Lea and Flood's `SplitMix64` finaliser over both.
pub(crate) fn mix(hash: u64, value: u64) -> u64 {
    let mut z = hash.rotate_left(23).wrapping_add(value).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
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
    /// A `stop` string; the text ends before it.
    StopString,
    /// `max_tokens` were made.
    Length,
}

impl FinishReason {
    /// Word of the OpenAI API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop | Self::StopString => "stop",
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
    /// Of these, found in the prefix cache when the request was first scheduled.
    pub cached_tokens: u32,
    /// How often the request lost its blocks since the token before it, or since it came.
    pub preempted: u32,
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
    /// From the arrival to the first token.
    pub ttft: Duration,
    /// From the arrival to the last token.
    pub e2e: Duration,
    /// Tokens that it could have had.
    pub max_tokens: u32,
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) id: RequestId,
    prompt_tokens: u32,
    cached_tokens: u32,
    prompt: PromptBlocks,
    /// Tokens that it will make, and why it will stop there.
    output: (u32, FinishReason),
    generated: u32,
    /// How often it has lost its place, and how often before its last token.
    preempted: (u32, u32),
    arrived: Duration,
    first_scheduled: Option<Duration>,
    first_token: Option<Duration>,
    last_token: Option<Duration>,
    max_tokens: u32,
}

impl Sequence {
    pub(crate) fn new(request: &Request, output: (u32, FinishReason), arrived: Duration) -> Self {
        Self {
            id: request.id,
            prompt_tokens: request.budget.prompt_tokens,
            cached_tokens: 0,
            prompt: request.prompt.clone(),
            output,
            generated: 0,
            preempted: (0, 0),
            arrived,
            first_scheduled: None,
            first_token: None,
            last_token: None,
            max_tokens: request.budget.max_tokens,
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

    /// Hash of all tokens up to the end of block `index`. What was generated is found again by the same sequence only.
    pub(crate) fn block_hash(&self, index: u32) -> u64 {
        let shared = self.prompt.0.get(index as usize).copied();
        shared.unwrap_or_else(|| mix(mix(u64::MAX, self.id.0), index.into()))
    }

    /// Whether it has lost its place before.
    pub(crate) fn was_preempted(&self) -> bool {
        self.preempted.0 > 0
    }

    pub(crate) fn preempt(&mut self) {
        self.preempted.0 += 1;
    }

    /// It begins at `at`, with `cached` tokens found in the prefix cache.
    pub(crate) fn mark_scheduled(&mut self, at: Duration, cached: u32) {
        if self.first_scheduled.is_none() {
            self.first_scheduled = Some(at);
            self.cached_tokens = cached;
        }
    }

    /// Makes the next token at the instant `at`.
    pub(crate) fn emit(&mut self, at: Duration) -> Token {
        self.generated += 1;
        let elapsed = at.saturating_sub(self.last_token.unwrap_or(self.arrived));
        self.last_token = Some(at);
        let first_token = *self.first_token.get_or_insert(at);
        let (total, counted) = self.preempted;
        let preempted = total - counted;
        self.preempted.1 = total;
        let (tokens, reason) = self.output;
        let end = (self.generated >= tokens).then(|| Completion {
            reason,
            queued: self.first_scheduled.unwrap_or(at).saturating_sub(self.arrived),
            ttft: first_token.saturating_sub(self.arrived),
            e2e: at.saturating_sub(self.arrived),
            max_tokens: self.max_tokens,
        });
        Token {
            request: self.id,
            index: self.generated,
            elapsed,
            prompt_tokens: self.prompt_tokens,
            cached_tokens: self.cached_tokens,
            preempted,
            end,
        }
    }
}
