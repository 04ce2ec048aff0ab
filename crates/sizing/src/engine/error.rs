//! Why there is no plan for a model and its flags.

/// Why there is no KV cache for a model and its flags.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KvCacheError {
    /// A flag is 0.
    #[error("{flag} is 0\nhint: give at least 1")]
    ZeroFlag {
        /// Its name.
        flag: &'static str,
    },
    /// The model has no layer with a cache.
    #[error("the model has no attention layer, so there is no KV cache to plan")]
    NoLayers,
    /// Query heads cannot be shared evenly; the words are vLLM's.
    #[error(
        "total number of attention heads ({heads}) must be divisible by tensor parallel size ({tensor_parallel})\nhint: \
         choose a tensor-parallel size that divides the attention heads"
    )]
    IndivisibleHeads {
        /// Attention heads.
        heads: u64,
        /// GPUs.
        tensor_parallel: u64,
    },
    /// KV heads can be neither shared nor repeated evenly.
    #[error(
        "{heads} KV heads can be neither shared by nor repeated on {tensor_parallel} GPUs evenly\nhint: choose a \
         tensor-parallel size that divides them, or a multiple of them"
    )]
    IndivisibleKvHeads {
        /// KV heads.
        heads: u64,
        /// GPUs.
        tensor_parallel: u64,
    },
    /// A state cannot be shared evenly.
    #[error(
        "the model's state cannot be shared by {tensor_parallel} GPUs evenly\nhint: choose a smaller tensor-parallel size"
    )]
    IndivisibleState {
        /// GPUs.
        tensor_parallel: u64,
    },
    /// This version cannot pool layers of different page sizes.
    #[error(
        "this version cannot pool layers whose blocks differ in bytes\nhint: turn the hybrid manager off, or use a \
         newer engine"
    )]
    UnequalPages,
    /// This version's engine has no states.
    #[error("this version does not serve models with states\nhint: use vLLM 0.9.2 or newer")]
    NoStates,
    /// Without the hybrid manager all layers must keep the same tokens.
    #[error(
        "without the hybrid KV cache manager all layers must be of one kind, and these are not\nhint: leave out \
         --disable-hybrid-kv-cache-manager"
    )]
    SeveralKinds,
    /// This version does not draft for states.
    #[error("this version serves no speculative decoding for models with Mamba states\nhint: use vLLM 0.17 or newer")]
    DraftedStates,
    /// Windows cannot be spread over ranks.
    #[error(
        "window layers cannot be spread by decode context parallelism\nhint: leave --decode-context-parallel-size at 1"
    )]
    WindowAcrossRanks,
    /// The order of unlike layers is not known.
    #[error(
        "the order of the model's layers is not known, so it cannot be cut into stages\nhint: give its config.json"
    )]
    UnknownOrder,
    /// There are more stages than layers.
    #[error("{stages} pipeline stages for {layers} layers\nhint: give at most as many stages as layers")]
    TooManyStages {
        /// Layers.
        layers: u64,
        /// Stages.
        stages: u64,
    },
}
