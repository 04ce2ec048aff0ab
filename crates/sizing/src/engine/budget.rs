//! What a GPU's memory is spent on before the KV cache: a prediction, where [`super::kv_cache`] is arithmetic.
//!
//! available = what a CUDA program sees × utilisation − weights / GPUs − activation peak − what libraries take outside the
//! framework − from 0.20 CUDA graphs. All but the first two terms are priors, read from public start-up logs:
//!
//! - The peak of a text model is the sampler's warm-up on the logits of `max_num_seqs` sequences, whatever the
//!   tensor-parallel size: 38.4 to 39.6 B for every sequence and vocabulary entry where it sorts (logs of 0.10.2 to
//!   0.11.0), 14.9 to 15.9 B with top-k in Triton (0.19). Where that is small, other scratch shows: 0.2 to 2.7 GiB.
//! - Outside the framework: 0.02 to 0.35 GiB on one GPU, 0.13 to 0.55 GiB on each of several (2.1 GiB in one table).
//! - CUDA graphs: 0.04 to 1.65 GiB.
//!
//! The interval of [`MemoryBudget::available_interval`] adds up the ends of all terms, so it is wide on purpose.

use super::ServingDefaults;
use super::rules::{Rules, Sampler};
use crate::{Bytes, GpuSpec};

/// A prior in the middle of its range.
#[derive(Clone, Copy, Debug)]
struct Prior {
    low: Bytes,
    middle: Bytes,
    high: Bytes,
}

impl Prior {
    const fn gib(low: f64, middle: f64, high: f64) -> Self {
        Self { low: Bytes::from_gib(low), middle: Bytes::from_gib(middle), high: Bytes::from_gib(high) }
    }
}

const SCRATCH: Prior = Prior::gib(0.2, 1.0, 2.7);
const OUTSIDE_ONE: Prior = Prior::gib(0.02, 0.3, 0.35);
const OUTSIDE_SEVERAL: Prior = Prior::gib(0.13, 0.55, 2.1);
const GRAPHS: Prior = Prior::gib(0.04, 0.6, 1.65);

/// What is to be placed where.
#[derive(Clone, Copy, Debug)]
pub struct Deployment<'a> {
    /// Weights of the whole model.
    pub weights: Bytes,
    /// Entries of its vocabulary.
    pub vocabulary: u64,
    /// The GPU.
    pub gpu: &'a GpuSpec,
    /// GPUs that share every layer.
    pub tensor_parallel: u64,
    /// Stages that share the layers.
    pub pipeline_parallel: u64,
    /// `--max-num-seqs`.
    pub max_num_seqs: u64,
    /// `--gpu-memory-utilization`; `None` is the version's default.
    pub utilization: Option<f64>,
    /// `--enforce-eager`: no CUDA graphs.
    pub eager: bool,
}

/// What one GPU's memory is spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget {
    /// What the engine may use.
    pub requested: Bytes,
    /// Its share of the weights.
    pub weights: Bytes,
    /// Peak of the activations (prior).
    pub activation: Bytes,
    /// CUDA context, NCCL and other libraries (prior).
    pub outside_framework: Bytes,
    /// CUDA graphs, where the version takes them off (prior).
    pub graphs: Bytes,
    /// How much less and how much more the priors may be.
    pub doubt: Doubt,
}

/// How far the priors of a budget may be off together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt {
    /// They may be smaller by this.
    pub less: Bytes,
    /// They may be larger by this.
    pub more: Bytes,
}

impl MemoryBudget {
    /// `None` for no GPUs.
    pub(super) fn predict(rules: &Rules, deployment: &Deployment<'_>) -> Option<Self> {
        let visible = deployment.gpu.visible();
        let ranks = (deployment.tensor_parallel).checked_mul(deployment.pipeline_parallel)?;
        let default = f64::from(u32::try_from(rules.utilization_percent).ok()?) / 100.0;
        let activation = activation(rules.sampler, deployment);
        let outside = if ranks == 1 { OUTSIDE_ONE } else { OUTSIDE_SEVERAL };
        let graphs = (rules.graphs_reserved && !deployment.eager).then_some(GRAPHS);
        let graphs = graphs.unwrap_or(Prior::gib(0.0, 0.0, 0.0));
        let terms = [activation, outside, graphs];
        let sum = |of: fn(&Prior) -> Bytes| terms.iter().map(of).sum::<Bytes>();
        let middle = sum(|prior| prior.middle);
        let weights = deployment.weights.part_of(ranks)?;
        let share = deployment.utilization.unwrap_or(default);
        let beside = |less: Bytes, more: Bytes| more.minus(less).unwrap_or_default().share(share);
        Some(Self {
            requested: visible.likely.share(share),
            weights,
            activation: activation.middle,
            outside_framework: outside.middle,
            graphs: graphs.middle,
            doubt: Doubt {
                less: middle.minus(sum(|prior| prior.low)).unwrap_or_default() + beside(visible.likely, visible.high),
                // Rotary caches, scales and padded widths: up to a 32nd of the weights in logs.
                more: sum(|prior| prior.high).minus(middle).unwrap_or_default()
                    + weights.part_of(32).unwrap_or_default()
                    + beside(visible.low, visible.likely),
            },
        })
    }

    /// What is left for the KV cache; `None` when the rest does not even fit.
    pub fn available(&self) -> Option<Bytes> {
        self.requested.minus(self.used())
    }

    /// The least and the most that may be left; the least is 0 when the rest may not fit.
    pub fn available_interval(&self) -> (Bytes, Bytes) {
        let left = |used: Option<Bytes>| used.and_then(|used| self.requested.minus(used));
        let most = left(self.used().minus(self.doubt.less));
        let least = left(Some(self.used() + self.doubt.more));
        (least.unwrap_or_default(), most.unwrap_or_default())
    }

    fn used(&self) -> Bytes {
        self.weights + self.activation + self.outside_framework + self.graphs
    }
}

/// Tenths of a byte for every sequence and vocabulary entry: least, middle, most.
const fn sampler_tenths(sampler: Sampler) -> [u64; 3] {
    match sampler {
        Sampler::Sorting => [384, 390, 396],
        Sampler::Triton => [149, 153, 159],
        Sampler::FlashInfer => [0, 153, 396],
    }
}

fn activation(sampler: Sampler, deployment: &Deployment<'_>) -> Prior {
    let logits = deployment.max_num_seqs.saturating_mul(deployment.vocabulary);
    let [low, middle, high] = sampler_tenths(sampler).map(|tenths| Bytes::new(logits.saturating_mul(tenths) / 10));
    Prior { low: low.max(SCRATCH.low), middle: middle.max(SCRATCH.middle), high: high.max(SCRATCH.high) }
}

impl<'a> Deployment<'a> {
    /// Of 16-bit weights on GPUs of one kind, with the server's own limits and no other flag.
    pub(super) fn by_default(
        weights: Bytes,
        vocabulary: u64,
        gpu: &'a GpuSpec,
        tensor_parallel: u64,
        limits: ServingDefaults,
    ) -> Self {
        Self {
            weights,
            vocabulary,
            gpu,
            tensor_parallel,
            pipeline_parallel: 1,
            max_num_seqs: limits.max_num_seqs,
            utilization: None,
            eager: false,
        }
    }
}
