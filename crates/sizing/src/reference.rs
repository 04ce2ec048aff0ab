//! What the reference report states about sizing, and where it departs from its own method and from the model.
//!
//! The report of 2025-11-26 sizes google/gemma-3-12b-it in bf16 for 50 requests of 4,096 tokens. Its figures are kept as
//! stated, right or wrong; [`deviations`] computes what they should have been.

use crate::model::LayerKind;
use crate::{Bytes, ModelSpec, SimpleMethod, Tokens, Usd, UsdPerHour, catalogue};

/// The model that the report sizes.
pub const MODEL: &str = "google/gemma-3-12b-it";
/// Memory for the KV cache that the report's server printed, in GiB.
pub const AVAILABLE_KV_GIB: f64 = 10.28;
/// Requests at once that the report wants to hold.
pub const REQUESTS: u32 = 50;
/// Tokens that the report takes a request to have.
pub const CONTEXT: Tokens = Tokens::new(4096);

/// The report's terms: 24 GB + 1.5 GB a request + 3 GB.
pub const METHOD: SimpleMethod = SimpleMethod {
    weights: Bytes::from_gb(24.0),
    kv_per_request: Bytes::from_gb(1.5),
    overhead: SimpleMethod::OVERHEAD,
};

/// The report's terms for requests of another length: the flat amount in proportion.
pub fn method(context: Tokens) -> SimpleMethod {
    let scaled = METHOD.kv_per_request.times(context.get());
    SimpleMethod { kv_per_request: scaled.part_of(CONTEXT.get()).unwrap_or_default(), ..METHOD }
}

/// The report's formula for the KV cache of a request: tokens × layers × 2 × width × bytes of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvFormula {
    /// Tokens.
    pub tokens: u64,
    /// Layers.
    pub layers: u64,
    /// Elements of one token's key in one layer.
    pub width: u64,
    /// Bytes of an element.
    pub element: u64,
}

/// The factors that the report writes down.
pub const KV_FORMULA: KvFormula = KvFormula { tokens: 4096, layers: 48, width: 4096, element: 2 };

impl KvFormula {
    /// What the factors give.
    pub const fn product(&self) -> Bytes {
        Bytes::new(self.tokens * self.layers * 2 * self.width * self.element)
    }
}

/// A row of the report's table of GPUs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StatedRow {
    /// GPU, as the catalogue names it.
    pub gpu: &'static str,
    /// Cards that the row is about.
    pub cards: u32,
    /// "Maximum concurrency".
    pub max_requests: u32,
    /// "GPUs needed"; absent where the report says N/A.
    pub cards_needed: Option<u32>,
    /// "Estimated cost" of the cards needed.
    pub cost: Option<Usd>,
}

const fn row(gpu: &'static str, cards: u32, max_requests: u32, needed: Option<(u32, f64)>) -> StatedRow {
    let (cards_needed, cost) = match needed {
        Some((cards, usd)) => (Some(cards), Some(Usd::new(usd))),
        None => (None, None),
    };
    StatedRow { gpu, cards, max_requests, cards_needed, cost }
}

/// The report's table of GPUs.
pub const TABLE: [StatedRow; 9] = [
    row("RTX 3090", 1, 0, None),
    row("RTX 4090", 1, 0, None),
    row("RTX A6000", 1, 14, Some((4, 18_000.0))),
    row("L40S", 1, 14, Some((4, 16_000.0))),
    row("A100 40GB", 1, 9, Some((4, 40_000.0))),
    row("A100 80GB", 1, 35, Some((2, 30_000.0))),
    row("H100 80GB", 1, 35, Some((2, 60_000.0))),
    row("A100 80GB", 2, 88, Some((2, 30_000.0))),
    row("H100 80GB", 2, 88, Some((2, 60_000.0))),
];

/// What an option costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cost {
    /// Once.
    Purchase(Usd),
    /// By the hour.
    Rent(UsdPerHour),
}

/// An option that the report recommends or ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StatedOption {
    /// GPU, as the catalogue names it.
    pub gpu: &'static str,
    /// Cards.
    pub cards: u32,
    /// Whether the weights are quantised to 4 bits, which the method's 24 GB do not describe.
    pub quantised: bool,
    /// Its cost.
    pub cost: Cost,
}

const fn option(gpu: &'static str, cards: u32, quantised: bool, cost: Cost) -> StatedOption {
    StatedOption { gpu, cards, quantised, cost }
}

/// Options A (least cost), B (most speed), C (cloud: AWS p4d.24xlarge) and D (keep the quantised model).
pub const OPTIONS: [StatedOption; 4] = [
    option("A100 80GB", 2, false, Cost::Purchase(Usd::new(30_000.0))),
    option("H100 80GB", 2, false, Cost::Purchase(Usd::new(60_000.0))),
    option("A100 40GB", 8, false, Cost::Rent(UsdPerHour::new(32.0))),
    option("RTX 3090", 2, true, Cost::Purchase(Usd::new(3_000.0))),
];

/// The report's ranking by cost for 50 requests, best first; the last is called a compromise.
pub const RANKING: [StatedOption; 4] =
    [OPTIONS[0], OPTIONS[2], OPTIONS[1], option("RTX 3090", 3, true, Cost::Purchase(Usd::new(4_500.0)))];

/// Where the report departs from its own method or from the model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Deviation {
    /// Its formula does not give the number that it states.
    FormulaProduct {
        /// Stated.
        stated: Bytes,
        /// What the factors give.
        product: Bytes,
    },
    /// The width in its formula is not KV heads × head dimension.
    KvWidth {
        /// In the formula.
        used: u64,
        /// The model's.
        actual: u64,
    },
    /// It counts window layers as if they kept the whole context.
    SlidingWindow {
        /// Layers with a window.
        windowed: u64,
        /// All layers.
        layers: u64,
        /// The window.
        window: Tokens,
    },
    /// A "maximum concurrency" that its method does not give.
    MaxRequests {
        /// The row.
        row: StatedRow,
        /// What the method gives.
        method: u32,
    },
    /// A number of cards that the sum of memory does not give: tensor parallelism rounds it up, or the report gave up.
    CardsNeeded {
        /// The row.
        row: StatedRow,
        /// By the sum of memory alone.
        by_memory: u64,
        /// As a tensor-parallel group.
        tensor_parallel: Option<u32>,
    },
}

/// Where the report departs, for its own model.
pub fn deviations(model: &ModelSpec) -> Vec<Deviation> {
    let mut found = vec![Deviation::FormulaProduct { stated: METHOD.kv_per_request, product: KV_FORMULA.product() }];
    let layers = &model.shape.value.layers;
    let widest = layers.iter().filter_map(crate::model::LayerGroup::kv_width).max();
    if let Some(actual) = widest.filter(|&actual| actual != KV_FORMULA.width) {
        found.push(Deviation::KvWidth { used: KV_FORMULA.width, actual });
    }
    found.extend(windows(model, CONTEXT));
    for row in TABLE {
        found.extend(max_requests(row));
    }
    for row in TABLE {
        found.extend(cards_needed(model, row));
    }
    found
}

/// The window layers of any model that a dense formula overcounts at this context length.
pub fn windows(model: &ModelSpec, context: Tokens) -> impl Iterator<Item = Deviation> {
    let layers = model.layers();
    let groups = model.shape.value.layers.iter();
    groups.filter_map(move |group| match group.kind {
        LayerKind::Sliding { window } if window < context => {
            Some(Deviation::SlidingWindow { windowed: group.count, layers, window })
        }
        _ => None,
    })
}

fn memory(row: &StatedRow) -> Option<Bytes> {
    let gpu = catalogue::gpu(row.gpu).ok()?;
    Some(gpu.marketed.value.times(u64::from(row.cards)))
}

fn max_requests(row: StatedRow) -> Option<Deviation> {
    let method = METHOD.max_requests(memory(&row)?);
    (method != row.max_requests).then_some(Deviation::MaxRequests { row, method })
}

fn cards_needed(model: &ModelSpec, row: StatedRow) -> Option<Deviation> {
    let memory = (row.cards == 1).then(|| memory(&row))??;
    let by_memory = METHOD.cards_by_memory(memory, REQUESTS)?;
    let departs = row.cards_needed.map(u64::from) != Some(by_memory);
    departs.then(|| Deviation::CardsNeeded {
        row,
        by_memory,
        tensor_parallel: METHOD.tensor_parallel(model, memory, REQUESTS),
    })
}
