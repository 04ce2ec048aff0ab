//! What a system has to move and to compute: facts of its model, card and formats, with nothing fitted in them.
//!
//! The counts are those of Pope et al. 2022 ("Efficiently Scaling Transformer Inference"): weights read once a step whatever
//! the batch, KV cache read once a sequence, two operations for each parameter and token. Of a mixture of experts a step
//! reads the experts that any of its tokens chose: of `E` experts, `k` a token, `n` tokens touch `E (1 − (1 − k/E)ⁿ)` when
//! they choose independently.

use super::{Refusal, System, Work};
use crate::model::{Holds, LayerKind};
use crate::weights::WeightFormat;
use crate::{GpuSpec, ModelSpec};

/// What a rank of a system moves and computes. All figures are for one card of the tensor-parallel group.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    /// Cards of the group.
    pub cards: f64,
    /// Layers.
    pub layers: f64,
    /// Bytes of the weights that every step reads and that quantisation leaves in 16 bits: the output layer.
    pub plain_bytes: f64,
    /// Bytes of the other weights that every step reads: attention, shared experts, dense layers.
    pub shared_bytes: f64,
    /// Bytes of all routed experts.
    pub expert_bytes: f64,
    /// Share of the routed experts that one token does not touch.
    pub untouched: f64,
    /// Operations of one token in its weights.
    pub token_flops: f64,
    /// Operations of one token in attention, for every token before it.
    pub attention_flops: f64,
    /// Bytes that a token sends to the other cards.
    pub token_link_bytes: f64,
    /// What the layers read of a sequence.
    pub caches: Vec<Cache>,
    /// Memory of one card that the KV cache may take, in bytes.
    pub kv_memory: f64,
    /// Whether that memory was given rather than estimated.
    pub kv_memory_known: bool,
    /// Most sequences of a step; infinite when not known.
    pub max_sequences: f64,
    /// What one card can do.
    pub rates: Rates,
    /// How weights of 4 bits are multiplied.
    pub kernel: Kernel,
}

/// What one card can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    /// Memory bandwidth, in bytes per second.
    pub bandwidth: f64,
    /// Arithmetic in the format of the weights, in FLOP/s.
    pub flops: f64,
    /// The link in one direction, in bytes per second.
    pub link: f64,
}

/// A machine of which nothing is known: a desktop's memory and a few cores.
const UNKNOWN_RATES: Rates = Rates { bandwidth: 50e9, flops: 1e12, link: UNKNOWN_LINK };

/// Layers of one kind: what they hold and read of a sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cache {
    /// Bytes of one token in all of them.
    pub bytes_per_token: f64,
    /// The most tokens that they keep.
    pub keeps: f64,
    /// The most tokens that they read.
    pub reads: f64,
}

/// How a quantised matrix meets its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// The weights are read as they are stored, at any batch.
    Fused,
    /// bitsandbytes 4-bit: one row is multiplied as stored; up to 0.49 any more rows first write the matrix out in 16 bits
    /// and read it again, `4.5` bytes a parameter in place of `0.5`; from 0.50.0 as far as 64 rows are fused.
    WrittenOut {
        /// The most rows that are multiplied as stored.
        fused_rows: u32,
    },
}

impl Kernel {
    /// The kernel of this version of bitsandbytes in place of this one.
    pub(super) fn of_bitsandbytes(self, version: (u32, u32)) -> Self {
        match self {
            Self::Fused => Self::Fused,
            Self::WrittenOut { .. } => Self::WrittenOut { fused_rows: if version >= (0, 50) { 64 } else { 1 } },
        }
    }

    /// The same kernel in the other's version.
    pub(super) fn version_of(self, other: Self) -> Self {
        match (self, other) {
            (Self::WrittenOut { .. }, Self::WrittenOut { .. }) => other,
            _ => self,
        }
    }
}

/// Bandwidth of a link that the catalogue does not know: PCIe 4 with 16 lanes, half of what its data sheet says.
const UNKNOWN_LINK: f64 = 16e9;
/// Share of a card's memory that vLLM takes (`--gpu-memory-utilization`), and what of it is neither weights nor cache.
const UTILISATION: f64 = 0.9;
const SCRATCH_BYTES: f64 = 2e9;

impl Demand {
    pub(super) fn of(system: &System<'_>) -> Result<Self, Refusal> {
        let gpu = system.gpu.ok_or_else(|| unknown("the card", &system.model.name))?;
        let work = system.work()?;
        let bandwidth = gpu.bandwidth.as_ref().ok_or_else(|| unknown("the memory bandwidth", &gpu.name))?;
        let flops = arithmetic(system.weights, gpu);
        let rates = Rates {
            bandwidth: bandwidth.value.get() as f64,
            flops: flops.ok_or_else(|| unknown("the arithmetic rate", &gpu.name))?,
            link: (gpu.link.as_ref()).map_or(UNKNOWN_LINK, |link| link.value.get() as f64),
        };
        Ok(Self::with(system, work, rates))
    }

    /// The demand on a machine of which nothing is known, or of a model whose work is not: orders of magnitude, for measured
    /// levels to correct.
    pub(super) fn assumed(system: &System<'_>) -> Self {
        let model = system.model;
        let heads = model.shape.value.attention_heads.max(1);
        let head = model.shape.value.layers.iter().find_map(|group| {
            let Holds::Heads(heads) = group.holds else {
                return None;
            };
            Some(heads.head_dim)
        });
        let known = system.work().unwrap_or(Work {
            layers: u32::try_from(model.layers()).unwrap_or(u32::MAX).max(1),
            hidden: u32::try_from(heads.saturating_mul(head.unwrap_or(128))).unwrap_or(u32::MAX),
            parameters: model.parameters.value,
            active: model.parameters.value,
            experts: None,
            experts_per_token: None,
        });
        Self::with(system, known, UNKNOWN_RATES)
    }

    fn with(system: &System<'_>, work: Work, rates: Rates) -> Self {
        let cards = f64::from(system.tensor_parallel.max(1));
        let weights = Weights::of(system, work);
        let (kv_memory, kv_memory_known) = kv_memory(system, weights.total() / cards);
        Self {
            cards,
            layers: f64::from(work.layers),
            plain_bytes: weights.plain / cards,
            shared_bytes: weights.shared / cards,
            expert_bytes: weights.experts / cards,
            untouched: weights.untouched,
            token_flops: 2.0 * work.active as f64 / cards,
            attention_flops: attention_flops(system.model, work) / cards,
            token_link_bytes: link_bytes(work, cards),
            caches: caches(system, cards),
            kv_memory,
            kv_memory_known,
            max_sequences: system.max_num_seqs.map_or(f64::INFINITY, f64::from),
            rates,
            kernel: match system.weights {
                WeightFormat::Bnb4 => Kernel::WrittenOut { fused_rows: 1 },
                _ => Kernel::Fused,
            },
        }
    }

    /// Bytes of weights that a step of `rows` tokens moves.
    pub(super) fn weight_bytes(&self, rows: f64) -> (f64, f64) {
        let touched = 1.0 - self.untouched.powf(rows);
        let written_out = match self.kernel {
            // 0.5 read, 2 written, 2 read again, of 0.5625 stored.
            Kernel::WrittenOut { fused_rows } if rows > f64::from(fused_rows) => 4.5 / 0.5625,
            Kernel::WrittenOut { .. } | Kernel::Fused => 1.0,
        };
        (self.plain_bytes + self.shared_bytes * written_out, self.expert_bytes * touched * written_out)
    }

    /// Bytes that a step reads of a sequence of so many tokens.
    pub(super) fn cache_bytes_read(&self, tokens: f64) -> f64 {
        let of = |cache: &Cache| cache.bytes_per_token * tokens.min(cache.reads);
        self.caches.iter().map(of).sum()
    }

    /// Sequences of so many tokens that the memory holds, at least one.
    pub(super) fn sequences_held(&self, tokens: f64) -> f64 {
        let of = |cache: &Cache| cache.bytes_per_token * tokens.min(cache.keeps);
        let bytes: f64 = self.caches.iter().map(of).sum();
        if bytes > 0.0 { (self.kv_memory / bytes).max(1.0) } else { f64::INFINITY }
    }
}

fn unknown(what: &'static str, of: &str) -> Refusal {
    Refusal::Unknown { what, of: of.to_owned() }
}

/// Bytes of a model's weights, on all cards together.
struct Weights {
    plain: f64,
    shared: f64,
    experts: f64,
    untouched: f64,
}

impl Weights {
    /// Parameters that every step reads, and those of the routed experts, follow from `total = shared + E e` and
    /// `active = shared + k e`. Quantisation leaves the output layer in 16 bits; 4-bit formats of mixtures of experts (MXFP4
    /// of gpt-oss, NVFP4 and int4 of `DeepSeek` and Kimi) leave all but the routed experts.
    fn of(system: &System<'_>, work: Work) -> Self {
        let (total, active) = (work.parameters as f64, work.active as f64);
        let (routed, untouched) = match (work.experts, work.experts_per_token) {
            (Some(experts), Some(taken)) if taken < experts => {
                let share = f64::from(taken) / f64::from(experts);
                let routed = ((total - active) / (1.0 - share)).clamp(0.0, total);
                (routed, 1.0 - share)
            }
            _ => (0.0, 0.0),
        };
        let stored = |parameters: f64, format: WeightFormat| parameters * format.bytes(1_000_000).get() as f64 / 1e6;
        let shared = total - routed;
        let output = system.model.shape.value.vocabulary as f64 * f64::from(work.hidden);
        let output = output.min(shared);
        let four_bits = stored(1.0, system.weights) < 0.75;
        let of_shared = if routed > 0.0 && four_bits { WeightFormat::Bits16 } else { system.weights };
        let of_output = match system.weights {
            WeightFormat::Float32 => WeightFormat::Float32,
            _ => WeightFormat::Bits16,
        };
        Self {
            plain: stored(output, of_output),
            shared: stored(shared - output, of_shared),
            experts: stored(routed, system.weights),
            untouched,
        }
    }

    fn total(&self) -> f64 {
        self.plain + self.shared + self.experts
    }
}

/// Operations of attention for a token and each token before it: 4 for each query element, in layers that see all tokens.
fn attention_flops(model: &ModelSpec, work: Work) -> f64 {
    let heads = model.shape.value.attention_heads as f64;
    let layers = model.shape.value.layers.iter();
    let width = |holds: &Holds| match holds {
        Holds::Heads(of) => of.head_dim as f64,
        Holds::Latent { latent_dim, .. } => *latent_dim as f64 / 2.0,
        _ => 0.0,
    };
    let full = layers.filter(|group| matches!(group.kind, LayerKind::Full));
    let all: f64 = full.map(|group| group.count as f64 * width(&group.holds)).sum();
    let most = f64::from(work.layers) * f64::from(work.hidden) * 4.0;
    (4.0 * heads * all).min(4.0 * most)
}

/// Bytes of the two all-reduces of every layer that leave one card for a token, in 16 bits (ring: `2 (t − 1) / t` of it).
fn link_bytes(work: Work, cards: f64) -> f64 {
    let once = f64::from(work.hidden) * 2.0;
    2.0 * f64::from(work.layers) * once * 2.0 * (cards - 1.0) / cards
}

/// KV heads are shared out as far as there are any; a latent vector is on every card.
fn caches(system: &System<'_>, cards: f64) -> Vec<Cache> {
    let element = f64::from(system.kv_element_bytes) / 2.0;
    let groups = system.model.shape.value.layers.iter();
    groups
        .filter_map(|group| {
            let (share, reads) = match group.holds {
                Holds::Heads(heads) => (cards.min(heads.kv_heads as f64).max(1.0), f64::INFINITY),
                Holds::Latent { sparse: true, .. } => (1.0, SPARSE_TOKENS),
                _ => (1.0, f64::INFINITY),
            };
            let keeps = match group.kind {
                LayerKind::Full | LayerKind::Cross { .. } => f64::INFINITY,
                LayerKind::Sliding { window } => window.get() as f64,
                LayerKind::Chunked { chunk } => chunk.get() as f64,
                LayerKind::State => return None,
            };
            let all = group.bytes_per_token_16_bit().times(group.count).get() as f64;
            Some(Cache { bytes_per_token: all * element / share, keeps, reads: reads.min(keeps) })
        })
        .collect()
}

/// Tokens that sparse latent attention reads (DSA, `index_topk` of `DeepSeek-V3.2`).
const SPARSE_TOKENS: f64 = 2048.0;

/// Memory of one card for the KV cache, and whether it was given. Whether the weights fit at all is the memory budget's to
/// say; here something is left.
fn kv_memory(system: &System<'_>, weights_per_card: f64) -> (f64, bool) {
    let cards = f64::from(system.tensor_parallel.max(1));
    if let Some(bytes) = system.kv_cache {
        return (bytes.get() as f64 / cards, true);
    }
    let Some(gpu) = system.gpu else {
        return (f64::INFINITY, true);
    };
    let memory =
        gpu.cuda_visible.as_ref().map_or(gpu.marketed.value.get() as f64 * 0.95, |seen| seen.value.get() as f64);
    let left = memory * UTILISATION - weights_per_card - SCRATCH_BYTES;
    (left.max(0.02 * memory), false)
}

/// The card's rate in the format in which the weights are multiplied: a format that it lacks is turned into 16 bits first.
fn arithmetic(format: WeightFormat, gpu: &GpuSpec) -> Option<f64> {
    let of = |rate: &Option<crate::Sourced<f64>>| rate.as_ref().map(|rate| rate.value);
    let (b16, fp8, fp4) = (of(&gpu.bf16_flops), of(&gpu.fp8_flops), of(&gpu.fp4_flops));
    match format {
        WeightFormat::Nvfp4 | WeightFormat::Mxfp4 => fp4.or(b16).or(fp8),
        WeightFormat::Fp8 | WeightFormat::Int8 => fp8.or(b16),
        WeightFormat::Float32 => b16.map(|rate| rate / 2.0),
        _ => b16,
    }
}
