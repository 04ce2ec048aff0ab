//! The engine's own arithmetic: what a version of vLLM makes of a model, its flags and the memory that is left.
//!
//! Follows the Python sources of vLLM 0.8.5 to 0.33.0, and logs for 0.6 and 0.7. What holds in which version is one table
//! (`rules`). Not reproduced: DeepSeek-V4's packed pages, drafters with layers of their own shape (EAGLE-3, `DFlash`), and
//! patched builds. Versions outside the table are refused, not guessed: the printed figures changed their meaning more
//! than once.

mod error;
mod rules;
mod version;

mod command_line;
mod flags;
mod groups;
mod kv_cache;
mod layers;
mod serve_args;

mod budget;
mod limits;

mod upgrade;

use std::fmt;

pub use budget::{Deployment, Doubt, MemoryBudget};
pub use command_line::CommandLineError;
pub use error::KvCacheError;
pub use flags::{EngineFlags, KvDtype, Platform, Speculation, StateCache, UnknownKvDtype};
pub use groups::KvGroup;
pub use kv_cache::{KvCachePlan, KvMemory};
pub use limits::ServingDefaults;
pub use serve_args::{Declared, Drafter, Resolved, ServeArgs, SpeculativeArgs, UnknownLength};
pub use upgrade::{Step, UpgradeError};
pub use version::{EngineError, Version};

use crate::model::Shape;
use crate::{GpuSpec, ModelSpec, Tokens};
use rules::Rules;

/// A version of vLLM whose arithmetic is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engine {
    version: Version,
    rules: Rules,
}

impl Engine {
    /// vLLM of a version such as `0.11.2`, `v0.10.1.1`, `0.11.2.post2` or `0.11.2rc1+build`. What follows the third
    /// number is ignored.
    ///
    /// # Errors
    /// [`EngineError`] when the string holds no version, or one whose arithmetic is not known.
    pub fn vllm(version: &str) -> Result<Self, EngineError> {
        let version: Version = version.parse()?;
        let rules = rules::of(version)?;
        Ok(Self { version, rules })
    }

    /// The same version's old engine, V0 (`VLLM_USE_V1=0`, up to 0.10): every layer keeps every token, and blocks are printed.
    #[must_use]
    pub fn v0(self) -> Self {
        Self { rules: self.rules.of_v0(), ..self }
    }

    /// The newest version whose arithmetic is known.
    pub fn newest() -> Self {
        let (version, rules) = rules::newest();
        Self { version, rules }
    }

    /// Every change of the arithmetic that is known, oldest first: the first version with it, and what it changes for a reader
    /// of the printed figures.
    pub fn changes() -> impl Iterator<Item = (Version, &'static str)> {
        rules::CHANGES.iter().map(|change| (change.since, change.says))
    }

    /// The version.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// What the engine makes of `memory` for the KV cache of one GPU: groups, blocks and the two printed figures.
    ///
    /// # Errors
    /// [`KvCacheError`] when the flags are impossible, or when this version refuses the model or the parallelism.
    pub fn plan(&self, shape: &Shape, flags: &EngineFlags, memory: KvMemory) -> Result<KvCachePlan, KvCacheError> {
        KvCachePlan::new(&self.rules, shape, flags, memory)
    }

    /// The longest `max_model_len`, up to that of the flags, of which one request fits: what vLLM calls the estimated maximum
    /// model length when it refuses to start. `None` when not even one token fits.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub fn longest(
        &self,
        shape: &Shape,
        flags: &EngineFlags,
        memory: KvMemory,
    ) -> Result<Option<Tokens>, KvCacheError> {
        let starts = |length: u64| {
            let flags = EngineFlags { max_model_len: Tokens::new(length), ..*flags };
            self.plan(shape, &flags, memory).map(|plan| plan.starts())
        };
        let (mut fits, mut too_long) = (0, flags.max_model_len.get().saturating_add(1));
        while too_long - fits > 1 {
            let middle = fits.midpoint(too_long);
            if starts(middle)? {
                fits = middle;
            } else {
                too_long = middle;
            }
        }
        Ok((fits > 0).then(|| Tokens::new(fits)))
    }

    /// [`Engine::plan`] of a model's shape.
    ///
    /// # Errors
    /// As there.
    pub fn kv_cache(
        &self,
        model: &ModelSpec,
        flags: &EngineFlags,
        memory: KvMemory,
    ) -> Result<KvCachePlan, KvCacheError> {
        self.plan(&model.shape.value, flags, memory)
    }

    /// What an OpenAI server of this version makes of its user's flags, for a model on a GPU. Without a GPU its defaults are
    /// those of a card of less than 70 GiB.
    ///
    /// # Errors
    /// [`UnknownLength`] when the longest sequence is neither given nor declared.
    pub fn resolve(
        &self,
        args: &ServeArgs,
        shape: &Shape,
        declared: Declared,
        gpu: Option<&GpuSpec>,
    ) -> Result<Resolved, UnknownLength> {
        serve_args::resolve(&self.rules, args, shape, declared, gpu)
    }

    /// The scheduler's limits that an OpenAI server takes on this GPU when no flag sets them.
    pub fn serving_defaults(&self, gpu: &GpuSpec) -> ServingDefaults {
        ServingDefaults::on(&self.rules, gpu)
    }

    /// `limits` as this version raises them for the model, where a multimodal item must fit into one step.
    pub fn limits_for(&self, limits: ServingDefaults, shape: &Shape) -> ServingDefaults {
        limits.raised_for(&self.rules, shape)
    }

    /// `--gpu-memory-utilization` unless set.
    pub fn default_utilization(&self) -> f64 {
        self.rules.utilization_percent as f64 / 100.0
    }

    /// Whether `auto` takes the kind of KV cache that a checkpoint declares.
    pub const fn takes_kv_dtype_of_checkpoint(&self) -> bool {
        self.rules.checkpoint_kv_dtype
    }

    /// What one GPU of a tensor-parallel group spends its memory on, in 16-bit weights and by default flags; `None`
    /// when it is not known how much memory the GPU shows to programs.
    pub fn memory_budget(&self, model: &ModelSpec, gpu: &GpuSpec, tensor_parallel: u64) -> Option<MemoryBudget> {
        let (weights, vocabulary) = (model.weights_16_bit(), model.shape.value.vocabulary);
        let limits = self.serving_defaults(gpu);
        self.budget(&Deployment::by_default(weights, vocabulary, gpu, tensor_parallel, limits))
    }

    /// What one GPU of a deployment spends its memory on; `None` when it is not known how much memory the GPU shows to
    /// programs.
    pub fn budget(&self, deployment: &Deployment<'_>) -> Option<MemoryBudget> {
        MemoryBudget::predict(&self.rules, deployment)
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vLLM {}", self.version)
    }
}
