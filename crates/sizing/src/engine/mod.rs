//! The engine's own arithmetic: what a version of vLLM makes of a model, its flags and the memory that is left.
//!
//! Follows the Python sources of vLLM 0.9.1 to 0.11.2 (`v1/core/kv_cache_utils.py`, `v1/kv_cache_interface.py`,
//! `v1/worker/gpu_worker.py`, `engine/arg_utils.py`) for models of full and sliding-window attention. Other versions are
//! refused, not guessed: the printed figures changed their meaning more than once.

mod budget;
mod kv_cache;
mod rules;
mod version;

use std::fmt;

pub use budget::{MemoryBudget, ServingDefaults};
pub use kv_cache::{EngineFlags, KvCacheError, KvCachePlan, KvDtype, KvGroup, KvMemory};
pub use version::{EngineError, Version};

use crate::{GpuSpec, ModelSpec};
use rules::Rules;

/// A version of vLLM whose arithmetic is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engine {
    version: Version,
    rules: &'static Rules,
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

    /// The newest version whose arithmetic is known.
    pub fn newest() -> Self {
        let (version, rules) = rules::newest();
        Self { version, rules }
    }

    /// The version.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// What the engine makes of `memory` for the KV cache of one GPU: groups, blocks and the two printed figures.
    ///
    /// # Errors
    /// [`KvCacheError`] when the flags are impossible, or when this version refuses the model or the parallelism.
    pub fn kv_cache(
        &self,
        model: &ModelSpec,
        flags: &EngineFlags,
        memory: KvMemory,
    ) -> Result<KvCachePlan, KvCacheError> {
        KvCachePlan::new(self.rules, &model.shape.value, flags, memory)
    }

    /// The scheduler's limits that an OpenAI server takes on this GPU when no flag sets them.
    pub fn serving_defaults(&self, gpu: &GpuSpec) -> ServingDefaults {
        ServingDefaults::on(gpu)
    }

    /// What one GPU of a tensor-parallel group spends its memory on, in 16-bit weights and by default flags; `None`
    /// when it is not known how much memory the GPU shows to programs.
    pub fn memory_budget(
        &self,
        model: &ModelSpec,
        gpu: &GpuSpec,
        tensor_parallel: u64,
    ) -> Option<MemoryBudget> {
        MemoryBudget::predict(model, gpu, tensor_parallel)
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vLLM {}", self.version)
    }
}
