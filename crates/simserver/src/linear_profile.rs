//! A profile made in code: steps of linear time, for tests and for predictions.

use crate::{
    profile::{Figures, KvCache, Limits, Profile, ProfileError, SlidingWindow},
    step::NoiseShape,
    timing::{Linear, Timing},
};

/// A server whose step takes `base + per_sequence · decodes + per_prompt_token · prompt tokens`.
///
/// ```
/// use simserver::LinearProfile;
///
/// let profile = LinearProfile { max_num_seqs: 8, base_ms: 10.0, ..LinearProfile::default() }.build()?;
/// assert_eq!(profile.max_model_len(), 8192);
/// # Ok::<(), simserver::profile::ProfileError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LinearProfile {
    /// Name, in printable ASCII.
    pub name: &'static str,
    /// Name that requests must ask for.
    pub served_model: &'static str,
    /// Seed of noise and of output lengths.
    pub seed: u64,
    /// Mean output length of a request that may stop at EOS, in tokens.
    pub eos_mean_tokens: f64,
    /// Prompt and output tokens of one request together.
    pub max_model_len: u32,
    /// Sequences in one step.
    pub max_num_seqs: u32,
    /// Tokens in one step.
    pub max_num_batched_tokens: u32,
    /// Tokens in a block of the KV cache.
    pub block_size: u32,
    /// Blocks in the pool, the reserved one included.
    pub num_gpu_blocks: u32,
    /// KV cache groups with full attention.
    pub full_groups: u32,
    /// KV cache groups with sliding-window attention; 0 for none.
    pub sliding_groups: u32,
    /// Tokens that a token of the sliding groups sees, itself included.
    pub window_tokens: u32,
    /// Whether a prompt that begins as one before it takes over its blocks.
    pub enable_prefix_caching: bool,
    /// Time that the API front end takes to hand over the first request of an idle engine.
    pub admission_ms: f64,
    /// Standard deviation of a step's time over its mean.
    pub noise_fraction: f64,
    /// Whether step times are exponential (`noise_fraction` 1), rather than uniform.
    pub is_exponential: bool,
    /// Time of every step.
    pub base_ms: f64,
    /// Time per decoding sequence.
    pub per_sequence_ms: f64,
    /// Time per prompt token.
    pub per_prompt_token_ms: f64,
}

impl Default for LinearProfile {
    /// 64 sequences, an ample KV cache without prefix caching, and steps without noise that take no time.
    fn default() -> Self {
        Self {
            name: "linear",
            served_model: "linear",
            seed: 1,
            eos_mean_tokens: 200.0,
            max_model_len: 8192,
            max_num_seqs: 64,
            max_num_batched_tokens: 65_536,
            block_size: 16,
            num_gpu_blocks: 65_536,
            full_groups: 1,
            sliding_groups: 0,
            window_tokens: 0,
            enable_prefix_caching: false,
            admission_ms: 0.0,
            noise_fraction: 0.0,
            is_exponential: false,
            base_ms: 0.0,
            per_sequence_ms: 0.0,
            per_prompt_token_ms: 0.0,
        }
    }
}

impl LinearProfile {
    /// Checks the figures.
    pub fn build(self) -> Result<Profile, ProfileError> {
        let window = SlidingWindow { tokens: self.window_tokens, groups: self.sliding_groups };
        Profile::new(Figures {
            name: self.name.to_owned(),
            description: "steps of linear time".to_owned(),
            source: "by definition".to_owned(),
            served_model: self.served_model.to_owned(),
            seed: self.seed,
            eos_mean_tokens: self.eos_mean_tokens,
            limits: Limits {
                max_model_len: self.max_model_len,
                max_num_seqs: self.max_num_seqs,
                max_num_batched_tokens: self.max_num_batched_tokens,
            },
            kv_cache: KvCache {
                block_size: self.block_size,
                num_gpu_blocks: self.num_gpu_blocks,
                groups: self.full_groups + self.sliding_groups,
                sliding_window: (self.sliding_groups > 0).then_some(window),
                enable_prefix_caching: self.enable_prefix_caching,
            },
            timing: Timing::Linear(Linear {
                admission_ms: self.admission_ms,
                noise_fraction: self.noise_fraction,
                noise_shape: if self.is_exponential { NoiseShape::Exponential } else { NoiseShape::Uniform },
                per_context_token_us: 0.0,
                base_ms: self.base_ms,
                per_sequence_ms: self.per_sequence_ms,
                per_prompt_token_ms: self.per_prompt_token_ms,
            }),
        })
    }
}
