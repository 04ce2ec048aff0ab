//! The flags that decide on the KV cache, under vLLM's own names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::KvCacheError;
use super::rules::LatentKernel;
use crate::model::{Heads, StateDtype};
use crate::{Bytes, GpuSpec, Tokens};

/// The flags that decide on the KV cache. [`EngineFlags::new`] gives vLLM's defaults on a GPU of less than 70 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineFlags {
    /// Longest sequence (L).
    pub max_model_len: Tokens,
    /// Tokens of one scheduler step (M); counts where layers have a window.
    pub max_num_batched_tokens: Tokens,
    /// Tokens a block; `None` is the engine's choice for model and platform.
    pub block_size: Option<Tokens>,
    /// Element of the cache.
    pub kv_dtype: KvDtype,
    /// GPUs that share every layer.
    pub tensor_parallel: u64,
    /// Stages that share the layers.
    pub pipeline_parallel: u64,
    /// GPUs that share the tokens of a sequence when decoding (`--decode-context-parallel-size`).
    pub decode_context_parallel: u64,
    /// Whether window layers may free what left their window (`--disable-hybrid-kv-cache-manager` forbids it, most KV
    /// connectors too).
    pub hybrid_manager: bool,
    /// Whether chunked layers may do so too (`VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE`); `None` is the version's
    /// default, which allows it from 0.14 on.
    pub chunked_hybrid: Option<bool>,
    /// How states are kept.
    pub states: StateCache,
    /// Element of recurrent states; `None` is the model's choice (`--mamba-ssm-cache-dtype`).
    pub state_dtype: Option<StateDtype>,
    /// Speculative decoding.
    pub speculation: Speculation,
    /// Whether a step is scheduled while the last one runs (the default since 0.14).
    pub async_scheduling: bool,
    /// What it runs on.
    pub platform: Platform,
}

/// Speculative decoding, as far as it takes memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Speculation {
    /// Speculative tokens of a step.
    pub tokens: u64,
    /// Layers that the drafter adds, of the shape of the model's full-attention layers (MTP, EAGLE-1); 0 for n-grams and
    /// for drafters that share the cache.
    pub layers: u64,
}

/// How states of sequences are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateCache {
    /// The version's default: from 0.28 on prefixes of models with attention and states are cached, before they are not.
    #[default]
    Default,
    /// One a sequence: no prefix caching.
    None,
    /// Prefix caching, in the version's default mode.
    Cached,
    /// Prefix caching with states aligned to blocks (`--mamba-cache-mode align`).
    Align,
    /// Prefix caching with a state at every block (`--mamba-cache-mode all`).
    All,
}

/// What the engine runs on, as far as it decides on block sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Platform {
    /// A CUDA GPU of no particular kind.
    #[default]
    Cuda,
    /// Compute capability 9.0: H100, H200, GH200, H20.
    Hopper,
    /// Compute capability 10.x: B200, B300, GB200.
    Blackwell,
    /// AMD.
    Rocm,
    /// Intel.
    Xpu,
    /// Huawei.
    Ascend,
    /// No GPU.
    Cpu,
}

impl Platform {
    /// The platform of a GPU, by its name.
    pub fn of(gpu: &GpuSpec) -> Self {
        let name = gpu.name.to_uppercase();
        let any = |names: &[&str]| names.iter().any(|part| name.contains(part));
        if any(&["H100", "H200", "GH200", "H20"]) {
            Self::Hopper
        } else if any(&["B200", "B300"]) {
            Self::Blackwell
        } else if any(&["MI3", "MI2"]) {
            Self::Rocm
        } else {
            Self::Cuda
        }
    }

    /// Tokens a block, unless the model says otherwise.
    pub(super) const fn block(self) -> u64 {
        match self {
            Self::Ascend | Self::Cpu => 128,
            _ => 16,
        }
    }

    /// Tokens a block of latent attention: `FlashMLA` 64, CUTLASS MLA 128, Triton and `FlashAttention` 16.
    const fn latent_block(self, kernel: LatentKernel) -> u64 {
        match self {
            Self::Hopper if matches!(kernel, LatentKernel::FlashAttention) => 16,
            Self::Hopper => 64,
            Self::Blackwell | Self::Ascend | Self::Cpu => 128,
            Self::Cuda | Self::Rocm | Self::Xpu => 16,
        }
    }

    /// Whether `FlashKDA` and `FlashInfer` prefill states: on compute capability 9.0 and 10.x.
    pub(super) const fn prefills_states_in_chunks(self) -> bool {
        matches!(self, Self::Hopper | Self::Blackwell)
    }

    /// What block sizes of hybrids are multiples of.
    pub(super) const fn alignment(self, head_dim: u64) -> u64 {
        match self {
            Self::Xpu => 64,
            Self::Ascend | Self::Cpu => 128,
            Self::Blackwell if head_dim >= 256 => 32,
            _ => 16,
        }
    }
}

impl EngineFlags {
    /// Defaults for sequences of up to `max_model_len` tokens.
    pub fn new(max_model_len: impl Into<Tokens>) -> Self {
        Self {
            max_model_len: max_model_len.into(),
            max_num_batched_tokens: Tokens::new(2048),
            block_size: None,
            kv_dtype: KvDtype::Bits16,
            tensor_parallel: 1,
            pipeline_parallel: 1,
            decode_context_parallel: 1,
            hybrid_manager: true,
            chunked_hybrid: None,
            states: StateCache::Default,
            state_dtype: None,
            speculation: Speculation::default(),
            async_scheduling: true,
            platform: Platform::Cuda,
        }
    }

    /// Tokens a block before states are aligned.
    pub(super) fn block(&self, kernel: LatentKernel, latent: bool, sparse: bool) -> u64 {
        let flash_mla = latent && self.platform == Platform::Hopper && kernel == LatentKernel::FlashMla;
        match self.block_size {
            Some(tokens) if flash_mla && !tokens.get().is_multiple_of(64) => 64,
            Some(tokens) => tokens.get(),
            None if sparse => self.platform.latent_block(kernel).max(64),
            // FlashAttention has no fp8 for it.
            None if latent && self.kv_dtype != KvDtype::Bits16 => self.platform.latent_block(LatentKernel::FlashMla),
            None if latent => self.platform.latent_block(kernel),
            None => self.platform.block(),
        }
    }

    pub(super) fn check(&self) -> Result<(), KvCacheError> {
        let zero = [
            ("max_model_len", self.max_model_len.get()),
            ("max_num_batched_tokens", self.max_num_batched_tokens.get()),
            ("block_size", self.block_size.map_or(1, Tokens::get)),
            ("tensor_parallel", self.tensor_parallel),
            ("pipeline_parallel", self.pipeline_parallel),
            ("decode_context_parallel", self.decode_context_parallel),
        ];
        match zero.into_iter().find(|(_, value)| *value == 0) {
            Some((flag, _)) => Err(KvCacheError::ZeroFlag { flag }),
            None => Ok(()),
        }
    }
}

/// Element type of the KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KvDtype {
    /// bf16 or fp16.
    Bits16,
    /// fp8, of either kind.
    Fp8,
    /// int8 or fp8 with a float32 scale for every token and head.
    PerTokenHead8,
    /// Four bits with an fp8 scale for every 16 elements.
    Nvfp4,
    /// float32, on CPUs.
    Float32,
}

impl KvDtype {
    /// Bytes of one token in one layer's own KV heads.
    pub(super) fn heads(self, own: u64, heads: &Heads) -> Bytes {
        let elements = own.saturating_mul(heads.pair());
        match self {
            Self::Bits16 => Bytes::new(elements).times(2),
            Self::Fp8 => Bytes::new(elements),
            Self::Float32 => Bytes::new(elements).times(4),
            Self::Nvfp4 => Bytes::new((elements / 16).saturating_mul(9)),
            Self::PerTokenHead8 => Bytes::new(elements) + Bytes::new(8).times(own),
        }
    }

    /// Bytes of one token's latent vector; 656 for the sparse layout in fp8.
    pub(super) fn latent(self, elements: u64, sparse: bool) -> Bytes {
        match self {
            Self::Fp8 if sparse => Bytes::new(656),
            Self::Fp8 | Self::PerTokenHead8 => Bytes::new(elements),
            Self::Bits16 => Bytes::new(elements).times(2),
            Self::Float32 => Bytes::new(elements).times(4),
            Self::Nvfp4 => Bytes::new((elements / 16).saturating_mul(9)),
        }
    }

    /// Bytes of an element of the model itself: states' convolutions are never quantised.
    pub(super) const fn model_element(self) -> u64 {
        match self {
            Self::Float32 => 4,
            _ => 2,
        }
    }
}

/// As `--kv-cache-dtype` has it; `auto` is the model's own type, taken as 16 bits.
impl FromStr for KvDtype {
    type Err = UnknownKvDtype;

    fn from_str(name: &str) -> Result<Self, UnknownKvDtype> {
        match name {
            "auto" | "bfloat16" | "float16" | "bf16" | "fp16" | "half" => Ok(Self::Bits16),
            "fp8" | "fp8_e4m3" | "fp8_e5m2" | "fp8_inc" | "fp8_ds_mla" | "int8" => Ok(Self::Fp8),
            "int8_per_token_head" | "fp8_per_token_head" => Ok(Self::PerTokenHead8),
            "nvfp4" => Ok(Self::Nvfp4),
            "float32" | "fp32" | "float" => Ok(Self::Float32),
            _ => Err(UnknownKvDtype { name: name.to_owned() }),
        }
    }
}

impl fmt::Display for KvDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bits16 => "auto",
            Self::Fp8 => "fp8",
            Self::PerTokenHead8 => "int8_per_token_head",
            Self::Nvfp4 => "nvfp4",
            Self::Float32 => "float32",
        })
    }
}

/// A `--kv-cache-dtype` whose size is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the size of the KV cache type `{name}` is not known\nhint: known are auto, bfloat16, float16, float32, fp8, \
     fp8_e4m3, fp8_e5m2, fp8_inc, fp8_ds_mla, int8_per_token_head, fp8_per_token_head, nvfp4"
)]
pub struct UnknownKvDtype {
    /// The name.
    pub name: String,
}
