//! What a simulated server is: its limits, its KV cache and the time that its steps take.
//!
//! A profile is a TOML file, or made in code (`LinearProfile`). Four files are built in (`crates/simserver/profiles/`), each with
//! the source of its figures. A profile is checked once, here; the engine relies on it. How time passes is in `timing`.

use serde::{Deserialize, Serialize};

use crate::sequence::PromptBlocks;
pub use crate::sequence::TokenBudget;
use crate::timing::Timing;

const BUILTIN: [(&str, &str); 4] = [
    ("rtx3090-gemma3-12b-bnb4", include_str!("../profiles/rtx3090-gemma3-12b-bnb4.toml")),
    ("h100-llama3.1-8b-fp16", include_str!("../profiles/h100-llama3.1-8b-fp16.toml")),
    ("padded-graphs", include_str!("../profiles/padded-graphs.toml")),
    ("fixed", include_str!("../profiles/fixed.toml")),
];

/// Names of the built-in profiles.
pub fn profile_names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

/// A simulated server, checked: whatever it accepts can be served to its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Profile {
    pub(crate) figures: Figures,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) source: String,
    pub(crate) served_model: String,
    pub(crate) seed: u64,
    /// Mean of the geometric output length of a request that may stop at EOS.
    pub(crate) eos_mean_tokens: f64,
    pub(crate) limits: Limits,
    pub(crate) kv_cache: KvCache,
    pub(crate) timing: Timing,
}

/// vLLM's scheduler settings of the same names.
#[expect(clippy::struct_field_names, reason = "vLLM's names")]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Prompt and output tokens of one request together.
    pub(crate) max_model_len: u32,
    /// Sequences in one step.
    pub(crate) max_num_seqs: u32,
    /// Tokens in one step, prompt chunks and decodes together.
    pub(crate) max_num_batched_tokens: u32,
}

/// The paged KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KvCache {
    /// Tokens in a block.
    pub(crate) block_size: u32,
    /// Blocks in the pool, the reserved null block included, as vLLM's `num_gpu_blocks` counts them.
    pub(crate) num_gpu_blocks: u32,
    /// KV cache groups: a run of `block_size` tokens takes one block in each.
    pub(crate) groups: u32,
    /// Groups whose layers see a window only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sliding_window: Option<SlidingWindow>,
    /// Whether a prompt that begins as one before it takes over its blocks.
    #[serde(default)]
    pub(crate) enable_prefix_caching: bool,
}

/// Sliding-window attention.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlidingWindow {
    /// Tokens that a token sees, itself included.
    pub(crate) tokens: u32,
    /// How many of the groups.
    pub(crate) groups: u32,
}

impl KvCache {
    /// Groups that give blocks back.
    pub(crate) fn sliding_groups(&self) -> u32 {
        self.sliding_window.map_or(0, |window| window.groups)
    }

    /// Blocks, over all groups, that a request of so many tokens holds at most, when a step computes up to `chunk` of them: vLLM's
    /// `max_memory_usage_bytes` of each kind of layer, in blocks.
    pub(crate) fn blocks_for(&self, tokens: u32, chunk: u32) -> u64 {
        let all = u64::from(tokens.div_ceil(self.block_size));
        let Some(window) = self.sliding_window else {
            return all * u64::from(self.groups);
        };
        let visible = (window.tokens - 1).saturating_add(chunk).min(tokens);
        let visible = (u64::from(visible.div_ceil(self.block_size)) + 1).min(all);
        all * u64::from(self.groups - window.groups) + visible * u64::from(window.groups)
    }

    /// Blocks that requests can hold: vLLM keeps block 0 as the null block.
    pub(crate) fn usable_blocks(&self) -> u32 {
        self.num_gpu_blocks.saturating_sub(1)
    }
}

/// Why a profile is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// No built-in profile has this name.
    #[error(
        "no built-in profile is called `{0}`\nhint: there are {list}; or load a TOML file of your own",
        list = profile_names().collect::<Vec<_>>().join(", ")
    )]
    Unknown(String),
    /// The text is not a profile.
    #[error("profile does not parse: {0}\nhint: copy one of crates/simserver/profiles/ and change its figures")]
    Syntax(#[from] toml::de::Error),
    /// A figure makes no sense.
    #[error("profile `{profile}`: {problem}")]
    Invalid {
        /// Name of the profile.
        profile: String,
        /// What is wrong, and what it should be.
        problem: String,
    },
}

impl Profile {
    /// The built-in profile of this name, see [`profile_names`].
    pub fn builtin(name: &str) -> Result<Self, ProfileError> {
        let (_, text) =
            BUILTIN.iter().find(|(known, _)| *known == name).ok_or_else(|| ProfileError::Unknown(name.to_owned()))?;
        Self::from_toml(text)
    }

    /// A profile from the text of a TOML file.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        Self::new(toml::from_str(text)?)
    }

    /// Checks the figures.
    pub(crate) fn new(figures: Figures) -> Result<Self, ProfileError> {
        match figures.problem() {
            None => Ok(Self { figures }),
            Some(problem) => Err(ProfileError::Invalid { profile: figures.name, problem }),
        }
    }

    /// Name, as it appears in the `x-simulated` header.
    pub fn name(&self) -> &str {
        &self.figures.name
    }

    /// The hardware, model and engine that the profile stands for.
    pub fn description(&self) -> &str {
        &self.figures.description
    }

    /// Where the figures come from.
    pub fn source(&self) -> &str {
        &self.figures.source
    }

    /// Name that requests must ask for.
    pub fn served_model(&self) -> &str {
        &self.figures.served_model
    }

    /// Prompt and output tokens of one request together.
    pub fn max_model_len(&self) -> u32 {
        self.figures.limits.max_model_len
    }

    /// What a prompt of these tokens has in common with others, for the prefix cache. Nothing when the profile has none.
    pub fn prompt_blocks(&self, tokens: impl IntoIterator<Item = u64>) -> PromptBlocks {
        let kv = &self.figures.kv_cache;
        if kv.enable_prefix_caching { PromptBlocks::chain(tokens, kv.block_size) } else { PromptBlocks::unshared() }
    }

    /// What the server accepts of a request, by vLLM 0.11.2's two checks.
    pub fn admit(&self, prompt_tokens: u32, asked: Option<u32>) -> Result<TokenBudget, LengthError> {
        let max_model_len = self.figures.limits.max_model_len;
        if prompt_tokens >= max_model_len {
            return Err(LengthError::Prompt { max_model_len, prompt_tokens });
        }
        let room = max_model_len - prompt_tokens;
        match asked {
            Some(asked) if asked > room => Err(LengthError::Output { max_model_len, prompt_tokens, asked }),
            _ => Ok(TokenBudget { prompt_tokens: prompt_tokens.max(1), max_tokens: asked.unwrap_or(room).max(1) }),
        }
    }
}

impl Figures {
    /// What is wrong, if anything.
    fn problem(&self) -> Option<String> {
        let header_safe = |text: &str| !text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b));
        let Limits { max_model_len, max_num_seqs, max_num_batched_tokens } = self.limits;
        if !header_safe(&self.name) {
            return Some("`name` goes into a header: give it printable ASCII characters".to_owned());
        }
        if self.served_model.is_empty() {
            return Some("`served_model` is empty".to_owned());
        }
        if max_model_len < 2 || max_num_seqs == 0 || max_num_batched_tokens == 0 {
            return Some("every limit must be positive, and `max_model_len` at least 2".to_owned());
        }
        if self.kv_cache.block_size == 0 || self.kv_cache.groups == 0 {
            return Some("`block_size` and `groups` must be positive".to_owned());
        }
        if let Some(window) = self.kv_cache.sliding_window
            && (window.tokens == 0 || window.groups == 0 || window.groups > self.kv_cache.groups)
        {
            return Some(
                "`sliding_window` needs at least one token, and at most as many groups as `groups`".to_owned(),
            );
        }
        let needed = self.kv_cache.blocks_for(max_model_len, max_num_batched_tokens);
        if needed > u64::from(self.kv_cache.usable_blocks()) {
            return Some(format!(
                "one request of `max_model_len` tokens needs {needed} blocks and the pool has {}\nhint: raise `num_gpu_blocks` or lower `max_model_len`",
                self.kv_cache.usable_blocks()
            ));
        }
        if !(self.eos_mean_tokens.is_finite() && self.eos_mean_tokens >= 1.0) {
            return Some("`eos_mean_tokens` must be at least 1".to_owned());
        }
        self.timing.problem()
    }
}

/// Why a request does not fit, in the words of vLLM 0.11.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LengthError {
    /// The prompt alone fills the context.
    #[error(
        "This model's maximum context length is {max_model_len} tokens. However, your request has {prompt_tokens} input tokens. Please reduce the length of the input messages."
    )]
    Prompt {
        /// Longest prompt and output together.
        max_model_len: u32,
        /// Tokens of the prompt.
        prompt_tokens: u32,
    },
    /// Prompt and output together do not fit.
    #[error(
        "'max_tokens' or 'max_completion_tokens' is too large: {asked}. This model's maximum context length is {max_model_len} tokens and your request has {prompt_tokens} input tokens ({asked} > {max_model_len} - {prompt_tokens})."
    )]
    Output {
        /// Longest prompt and output together.
        max_model_len: u32,
        /// Tokens of the prompt.
        prompt_tokens: u32,
        /// Output tokens asked for.
        asked: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(from: &str, to: &str) -> Result<Profile, ProfileError> {
        let (_, text) = BUILTIN[0];
        assert!(text.contains(from), "{from}");
        Profile::from_toml(&text.replace(from, to))
    }

    #[test]
    fn every_builtin_profile_is_valid_and_carries_its_name() {
        for name in profile_names() {
            assert_eq!(Profile::builtin(name).unwrap().name(), name);
        }
        assert!(matches!(Profile::builtin("nope"), Err(ProfileError::Unknown(_))));
    }

    #[test]
    fn reference_kv_cache_is_the_one_vllm_printed() {
        // "GPU KV cache size: 28,064 tokens" of the reference report: 10526 blocks, 6 groups, 16 tokens a block.
        let kv = Profile::builtin("rtx3090-gemma3-12b-bnb4").unwrap().figures.kv_cache;
        assert_eq!(kv.num_gpu_blocks / kv.groups * kv.block_size, 28_064);
        assert_eq!(kv.blocks_for(17, 2048), 12);
        // "Maximum concurrency for 4,096 tokens per request: 8.62x": 256 blocks in the group of full attention and 193 in each of
        // five with a window of 1,024, 1,221 together.
        assert_eq!(kv.blocks_for(4096, 2048), 1221);
    }

    #[test]
    fn senseless_figures_are_refused_with_their_name() {
        for (from, to, names) in [
            ("num_gpu_blocks = 10526", "num_gpu_blocks = 1221", "num_gpu_blocks"),
            ("noise_fraction = 0.005", "noise_fraction = 0.9", "noise_fraction"),
            ("[2, 70.531]", "[1, 70.531]", "decode_ms"),
            ("[80, 94.4]", "[80, -1.0]", "prefill_ms"),
            ("eos_mean_tokens = 200", "eos_mean_tokens = 0", "eos_mean_tokens"),
            ("name = \"rtx", "name = \"\u{e9}rtx", "name"),
        ] {
            let error = edited(from, to).unwrap_err().to_string();
            assert!(error.contains(names), "{to}: {error}");
        }
        assert!(matches!(edited("admission_ms", "admision_ms"), Err(ProfileError::Syntax(_))));
    }

    #[test]
    fn one_more_block_than_refused_is_accepted() {
        // 4096 tokens take 1,221 blocks; with the null block that is a pool of 1,222.
        assert!(edited("num_gpu_blocks = 10526", "num_gpu_blocks = 1222").is_ok());
    }

    #[test]
    fn lengths_are_admitted_as_vllm_does() {
        let profile = Profile::builtin("rtx3090-gemma3-12b-bnb4").unwrap();
        assert_eq!(profile.admit(4095, None).unwrap().max_tokens, 1);
        assert_eq!(profile.admit(4000, Some(96)).unwrap().max_tokens, 96);
        assert!(matches!(profile.admit(4000, Some(97)), Err(LengthError::Output { .. })));
        assert!(matches!(profile.admit(4096, Some(1)), Err(LengthError::Prompt { .. })));
    }
}
