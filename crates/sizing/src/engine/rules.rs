//! Which arithmetic holds in which version: one row a change, oldest first.
//!
//! [`CHANGES`] is the table. The rules of a version are the first rules, 0.6's, with every change up to that version applied
//! in turn; the same rows say, for an upgrade, what will be printed otherwise and why. Sources: vLLM's own
//! `v1/core/kv_cache_utils.py`, `v1/kv_cache_interface.py`, `v1/worker/gpu_worker.py`, `engine/arg_utils.py`,
//! `model_executor/models/config.py` and `platforms/interface.py` of 0.8.5 to 0.33.0; 0.6 and 0.7 from logs.

use super::version::{EngineError, Version};

/// What differs between versions.
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own that a version has or has not")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) pool: Pool,
    pub(super) request: Request,
    /// Layers that keep the same tokens but differ in size.
    pub(super) unequal_layers: UnequalLayers,
    /// Layers of different kinds whose pages differ.
    pub(super) unequal_pages: UnequalPages,
    /// The largest bucket sets the group size when it has less than this share of the smallest, in percent.
    pub(super) group_slack_percent: u64,
    pub(super) tokens_line: TokensLine,
    pub(super) states: States,
    /// Whether prefixes of models with attention and states are cached unless a flag says otherwise.
    pub(super) states_cached: bool,
    pub(super) in_flight: InFlight,
    /// Whose prefill keeps one more state as checkpoint in mode `align`.
    pub(super) checkpoints: Checkpoints,
    /// Whether layers with chunks form groups of their own unless the environment says otherwise.
    pub(super) chunked_hybrid: bool,
    pub(super) latent_kernel: LatentKernel,
    /// Tokens that the block of latent attention is at least a multiple of beside states.
    pub(super) latent_hybrid_alignment: u64,
    pub(super) cross: Cross,
    /// Whether `--block-size` is what blocks of attention beside states are multiples of.
    pub(super) user_block_aligns: bool,
    /// Whether window layers take their kernel's block whatever `--block-size` says.
    pub(super) own_window_block: bool,
    /// Whether states are served with speculative decoding; those of gated delta nets always are.
    pub(super) drafted_states: bool,
    /// Whether Nemotron-H keeps float32 states unless its config says otherwise.
    pub(super) nemotron_float32: bool,
    /// Whether values with fewer elements than keys take less memory.
    pub(super) own_value_dim: bool,
    /// Whether such values are kept in fp8 when asked to.
    pub(super) own_value_dim_fp8: bool,
    /// Whether layers may borrow the indexer of another.
    pub(super) borrowed_indexers: bool,
    /// Whether Mamba-2 states have the element that a config states.
    pub(super) stated_state_dtype: bool,
    /// Whether a pipeline stage's block holds only its own layers where layers differ in size.
    pub(super) stages_projected: bool,
    /// Whether n-grams are drafted while a step runs.
    pub(super) ngram_async: bool,
    /// Whether an item of many tokens raises the step's limit.
    pub(super) items_raise_step: bool,
    /// Whether the checkpoint's own kind of KV cache is taken for `auto`.
    pub(super) checkpoint_kv_dtype: bool,
    pub(super) limits: Limits,
    /// `--gpu-memory-utilization` unless set, in percent.
    pub(super) utilization_percent: u64,
    /// Whether CUDA graphs are taken off before the KV cache.
    pub(super) graphs_reserved: bool,
    pub(super) sampler: Sampler,
    pub(super) lines: Lines,
    /// Whether the fit check leaves the null block out.
    pub(super) null_block_checked: bool,
}

/// How layers share memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pool {
    /// Every layer keeps every token.
    AllFull,
    /// Layers of one kind form groups that draw on one pool.
    Groups,
}

/// What a request of the longest length is taken to need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Its tokens.
    Tokens,
    /// Whole blocks.
    Blocks,
}

/// Layers that keep the same tokens but differ in heads or head dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnequalLayers {
    /// The engine does not start.
    Refused,
    /// They form one group, whose block holds a page of every layer.
    OneGroup,
}

/// Layers of different kinds whose pages differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnequalPages {
    /// The engine does not start.
    Refused,
    /// Smaller pages take more tokens, where they divide the largest.
    Scaled,
    /// Those that do not divide are padded.
    Padded,
    /// What cannot be padded keeps everything.
    PaddedOrFull,
}

/// "GPU KV cache size: N tokens".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokensLine {
    /// Blocks / groups × block size.
    BlocksOfAGroup,
    /// Concurrency × longest length.
    Concurrency,
}

/// States of sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum States {
    /// Not served by this engine.
    Refused,
    /// One block.
    One,
    /// As many blocks as the length has state blocks.
    ByLength,
    /// By cache mode; `All` where the model can.
    ByMode,
    /// By cache mode, `Align` unless set.
    AlignByDefault,
    /// The same, without `All`.
    NoAll,
}

/// Steps that may be under way at once, each with its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InFlight {
    /// One.
    One,
    /// Two with asynchronous scheduling on one stage, else one a stage; of models without experts and states one more.
    Stages,
    /// One more than stages with asynchronous scheduling.
    StagesAndOne,
}

/// States that an aligned prefill keeps as checkpoint; each of these includes the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Checkpoints {
    /// None.
    None,
    /// Kimi delta attention, where `FlashKDA` prefills.
    Kda,
    /// Mamba-2.
    Mamba2,
    /// Gated delta nets, where `FlashInfer` prefills.
    Gdn,
}

/// First choice for dense latent attention on compute capability 9.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LatentKernel {
    /// `FlashMLA`, with blocks of 64 tokens.
    FlashMla,
    /// `FlashAttention`, which takes the engine's 16.
    FlashAttention,
}

/// Encoder tokens that a request's cross attention is taken to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cross {
    /// The encoder's length.
    Encoder,
    /// Tokens of one step, as `max_num_encoder_input_tokens` is then left.
    Step,
}

/// Defaults of the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limits {
    /// 2,048 tokens and 256 sequences everywhere but on large cards, where tokens are 8,192.
    Early,
    /// Large cards also take 1,024 sequences; an A100 is not large.
    LargeButA100,
    /// From 160 GiB on 16,384 tokens.
    Huge,
}

/// What sampling takes at start-up, in bytes for every sequence and vocabulary entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampler {
    /// Sorts: 38.4 to 39.6 B in logs of 0.10.2 to 0.11.0.
    Sorting,
    /// Top-k in Triton: 14.9 to 15.9 B in logs of 0.19.
    Triton,
    /// `FlashInfer`: few logs; the prior spans both.
    FlashInfer,
}

/// Wording of the two figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lines {
    /// "# GPU blocks: N, # CPU blocks: K" and "Maximum concurrency for L tokens per request: X" without commas.
    Blocks,
    /// Two lines.
    Two,
    /// One line.
    One,
}

/// The rules of 0.6.0.
const FIRST: Rules = Rules {
    pool: Pool::AllFull,
    request: Request::Tokens,
    unequal_layers: UnequalLayers::Refused,
    unequal_pages: UnequalPages::Refused,
    group_slack_percent: 100,
    tokens_line: TokensLine::BlocksOfAGroup,
    states: States::Refused,
    states_cached: false,
    in_flight: InFlight::One,
    checkpoints: Checkpoints::None,
    chunked_hybrid: false,
    latent_kernel: LatentKernel::FlashMla,
    latent_hybrid_alignment: 64,
    cross: Cross::Encoder,
    user_block_aligns: false,
    own_window_block: false,
    drafted_states: false,
    nemotron_float32: false,
    own_value_dim: false,
    own_value_dim_fp8: false,
    borrowed_indexers: false,
    stated_state_dtype: false,
    stages_projected: false,
    ngram_async: false,
    items_raise_step: false,
    checkpoint_kv_dtype: false,
    limits: Limits::Early,
    utilization_percent: 90,
    graphs_reserved: false,
    sampler: Sampler::Sorting,
    lines: Lines::Blocks,
    null_block_checked: false,
};

impl Rules {
    /// The same version's V0 engine.
    pub(super) const fn of_v0(self) -> Self {
        Self {
            pool: Pool::AllFull,
            request: Request::Tokens,
            tokens_line: TokensLine::BlocksOfAGroup,
            states: States::Refused,
            lines: Lines::Blocks,
            ..self
        }
    }
}

/// A change of the arithmetic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// First version with it.
    pub(super) since: Version,
    /// What it changes, for a reader of the printed figures.
    pub(super) says: &'static str,
    apply: fn(&mut Rules),
}

const fn change(since: (u16, u16), says: &'static str, apply: fn(&mut Rules)) -> Change {
    Change { since: Version::new(0, since.0, since.1), says, apply }
}

/// All changes, oldest first.
pub(super) static CHANGES: [Change; 42] = [
    change((8, 0), "the V1 engine prints tokens instead of blocks", |r| r.lines = Lines::Two),
    change((9, 0), "a request takes whole blocks, so its need is rounded up", |r| r.request = Request::Blocks),
    change((9, 0), "large cards other than an A100 schedule 1,024 sequences", |r| r.limits = Limits::LargeButA100),
    change((9, 1), "window layers form groups of their own and free what left the window", |r| r.pool = Pool::Groups),
    change((9, 2), "state-space layers are pooled with attention, one block a request", |r| r.states = States::One),
    change((11, 0), "layers that differ only in size form one group", |r| r.unequal_layers = UnequalLayers::OneGroup),
    change((11, 1), "states are counted by the blocks of the length", |r| r.states = States::ByLength),
    change((12, 0), "smaller pages of another kind take more tokens a block", |r| {
        r.unequal_pages = UnequalPages::Scaled;
    }),
    change((12, 0), "nearly equal kinds of layers are padded up (1.25) instead of cut into groups", |r| {
        r.group_slack_percent = 125;
    }),
    change((12, 0), "`auto` takes the kind of KV cache that the checkpoint declares", |r| r.checkpoint_kv_dtype = true),
    change((13, 0), "cross attention reserves the tokens of one step instead of the encoder's length", |r| {
        r.cross = Cross::Step;
    }),
    change((13, 0), "states of Nemotron-H have the element that its config states", |r| r.stated_state_dtype = true),
    change((14, 0), "layers with chunks form groups of their own and free what left the chunk", |r| {
        r.chunked_hybrid = true;
    }),
    change(
        (15, 0),
        "states are counted by cache mode: 1, or 2 with aligned prefix caching, and one for every draft token",
        |r| r.states = States::ByMode,
    ),
    change((17, 0), "a stage's block holds its own layers only, also where layers differ in size", |r| {
        r.stages_projected = true;
    }),
    change((17, 0), "states of Mamba are served with speculative decoding", |r| r.drafted_states = true),
    change((18, 0), "kinds of layers are padded up to a ratio of 1.5", |r| r.group_slack_percent = 150),
    change((18, 0), "top-k and top-p without sorting: a smaller activation peak", |r| r.sampler = Sampler::Triton),
    change(
        (18, 0),
        "dense latent attention on Hopper takes FlashAttention's blocks of 16 tokens, not FlashMLA's of 64",
        |r| {
            r.latent_kernel = LatentKernel::FlashAttention;
        },
    ),
    change(
        (20, 0),
        "blocks beside states are multiples of --block-size, those of latent attention no longer of 64",
        |r| {
            r.latent_hybrid_alignment = 1;
            r.user_block_aligns = true;
        },
    ),
    change((20, 0), "Nemotron-H keeps its states in float32 unless its config says otherwise", |r| {
        r.nemotron_float32 = true;
    }),
    change((20, 0), "values with fewer elements than keys take less memory", |r| r.own_value_dim = true),
    change((20, 0), "92 % of the memory is used instead of 90 %", |r| {
        r.utilization_percent = 92;
    }),
    change((20, 0), "CUDA graphs are taken off before the KV cache", |r| r.graphs_reserved = true),
    change((20, 1), "the printed tokens are concurrency × longest length, no longer blocks of one group", |r| {
        r.tokens_line = TokensLine::Concurrency;
    }),
    change((21, 0), "FlashInfer samples", |r| {
        r.sampler = Sampler::FlashInfer;
    }),
    change((21, 0), "layers may borrow the indexer of another", |r| r.borrowed_indexers = true),
    change((22, 0), "a step is at least as large as the largest multimodal item", |r| r.items_raise_step = true),
    change((24, 0), "pages that do not divide the largest are padded", |r| r.unequal_pages = UnequalPages::Padded),
    change((25, 0), "window layers take their kernel's block whatever --block-size says", |r| {
        r.own_window_block = true;
    }),
    change(
        (26, 0),
        "window layers reserve the tokens of every step under way: twice with asynchronous scheduling",
        |r| r.in_flight = InFlight::Stages,
    ),
    change((27, 0), "what can be neither scaled nor padded keeps everything", |r| {
        r.unequal_pages = UnequalPages::PaddedOrFull;
    }),
    change((27, 0), "blocks of latent attention beside states are multiples of 128 tokens", |r| {
        r.latent_hybrid_alignment = 128;
    }),
    change((28, 0), "cards of 160 GiB and more schedule 16,384 tokens; both figures stand on one line", |r| {
        r.limits = Limits::Huge;
        r.lines = Lines::One;
    }),
    change((28, 0), "models with attention and states cache prefixes by default, with states aligned to blocks", |r| {
        r.states = States::AlignByDefault;
        r.states_cached = true;
    }),
    change((29, 0), "the null block no longer counts as capacity when the longest request is checked", |r| {
        r.null_block_checked = true;
    }),
    change((29, 0), "one step more than pipeline stages is under way", |r| r.in_flight = InFlight::StagesAndOne),
    change((29, 0), "an aligned prefill keeps a checkpoint state of Kimi delta attention", |r| {
        r.checkpoints = Checkpoints::Kda;
    }),
    change((32, 0), "values with fewer elements than keys are kept in fp8", |r| r.own_value_dim_fp8 = true),
    change((32, 0), "no state at every block; an aligned prefill keeps a checkpoint state of Mamba-2", |r| {
        r.states = States::NoAll;
        r.checkpoints = Checkpoints::Mamba2;
    }),
    change((33, 0), "n-grams are drafted while a step runs", |r| r.ngram_async = true),
    change((33, 0), "an aligned prefill keeps a checkpoint state of gated delta nets", |r| {
        r.checkpoints = Checkpoints::Gdn;
    }),
];

/// Oldest and newest version whose arithmetic is known.
const OLDEST: Version = Version::new(0, 6, 0);
const NEWEST: Version = Version::new(0, 33, 0);

/// The rules of a version.
pub(super) fn of(version: Version) -> Result<Rules, EngineError> {
    if version < OLDEST || version.without_patch() > NEWEST.without_patch() {
        return Err(EngineError::Unsupported { version, first: OLDEST, last: NEWEST });
    }
    Ok(up_to(version))
}

fn up_to(version: Version) -> Rules {
    let mut rules = FIRST;
    for change in CHANGES.iter().filter(|change| change.since <= version) {
        (change.apply)(&mut rules);
    }
    rules
}

impl Change {
    /// The rules with this change.
    pub(super) fn on(&self, mut rules: Rules) -> Rules {
        (self.apply)(&mut rules);
        rules
    }
}

/// The newest version and its rules.
pub(super) fn newest() -> (Version, Rules) {
    (NEWEST, up_to(NEWEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_outside_the_table_name_the_range() {
        for version in [Version::new(0, 5, 5), Version::new(0, 34, 0), Version::new(1, 0, 0)] {
            let message = of(version).unwrap_err().to_string();
            assert!(message.contains("known are 0.6.0 to 0.33.0"), "{message}");
        }
        assert!(of(Version::new(0, 33, 1)).is_ok());
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(CHANGES.is_sorted_by_key(|change| change.since));
    }

    /// From vLLM's history: uniform-type groups in 0.11.0, tokens from concurrency in 0.20.1, the doubled window in 0.26.
    #[test]
    fn each_change_begins_with_its_version() {
        let rules = |minor, patch| of(Version::new(0, minor, patch)).unwrap();
        assert_eq!(rules(10, 2).unequal_layers, UnequalLayers::Refused);
        assert_eq!(rules(11, 0).unequal_layers, UnequalLayers::OneGroup);
        assert_eq!(rules(20, 0).tokens_line, TokensLine::BlocksOfAGroup);
        assert_eq!(rules(20, 1).tokens_line, TokensLine::Concurrency);
        assert_eq!(rules(25, 1).in_flight, InFlight::One);
        assert_eq!(rules(26, 0).in_flight, InFlight::Stages);
    }
}
