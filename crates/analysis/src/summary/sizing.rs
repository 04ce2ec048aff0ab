//! Which GPUs would hold a load.

use serde::{Deserialize, Serialize};

/// Which GPUs would hold a target load of this model, by two methods side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SizingSection {
    /// Model as named in the catalogue.
    pub model: String,
    /// Engine and version whose arithmetic the exact columns follow.
    pub engine: String,
    /// Requests to hold at once.
    pub target_concurrency: u32,
    /// Tokens per request.
    pub context_tokens: u64,
    /// Weight type, such as `bf16`.
    pub weight_dtype: String,
    /// Terms of the simple method.
    pub simple: SimpleMethod,
    /// Exact KV bytes of one request of `context_tokens` on one GPU.
    pub exact_kv_bytes_per_request: u64,
    /// Bytes of the weights.
    pub weight_bytes: u64,
    /// One row per GPU type and count.
    pub options: Vec<GpuOption>,
    /// Sentences on where the simple method departs from the exact one, as keys with figures.
    pub deviations: Vec<Deviation>,
    /// The planner's answer to the same question. A document shows it; the summary's JSON has it as `plan` where a load was asked
    /// for.
    #[serde(skip)]
    pub fleet: Option<Box<::sizing::planner::FleetPlan>>,
}

/// The reference report's simple method: parameters, a flat KV cost per request, a flat overhead; decimal gigabytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimpleMethod {
    /// Weights.
    pub weights_gb: f64,
    /// KV cache of one request.
    pub kv_per_request_gb: f64,
    /// Overhead.
    pub overhead_gb: f64,
    /// All together for the target.
    pub total_gb: f64,
}

/// One GPU type in some number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpuOption {
    /// GPU name.
    pub gpu: String,
    /// How many, as one tensor-parallel group.
    pub count: u32,
    /// Memory of one, as marketed.
    pub vram_gb: f64,
    /// Requests that fit by the simple method; 0 when the weights do not fit.
    pub simple_max_requests: u32,
    /// What the engine prints as its maximum concurrency with 16-bit weights and its own defaults; absent when the weights do not
    /// fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_max_requests: Option<f64>,
    /// Requests of the target's lengths that it really holds in the target's format, 99 times in 100; absent when it holds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_max_requests: Option<f64>,
    /// Memory bandwidth of one card, in decimal gigabytes per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bandwidth_gb_s: Option<f64>,
    /// Cards that the target needs by the simple method; absent when no tensor-parallel count up to 8 holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simple_cards_needed: Option<u32>,
    /// Cards that really hold the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_cards_needed: Option<u32>,
    /// Purchase price of all cards of this row, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_usd: Option<f64>,
    /// Day of the purchase price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_date: Option<String>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_source: Option<String>,
    /// Cloud price per hour of all cards of this row, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_usd_per_hour: Option<f64>,
    /// Day of the cloud price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_price_date: Option<String>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_price_source: Option<String>,
    /// What is rented, such as `AWS p4d.24xlarge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_offer: Option<String>,
}

/// Where the reference report's method departs from the engine's arithmetic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Deviation {
    /// The report's own KV formula does not give the number it states.
    FormulaProduct {
        /// What it states.
        stated_gb: f64,
        /// What the product is.
        product_gib: f64,
    },
    /// Its KV width is not the model's.
    KvWidth {
        /// Width used.
        used: u64,
        /// KV heads × head dimension.
        actual: u64,
    },
    /// It counts sliding-window layers as if they kept the whole context.
    SlidingWindow {
        /// Layers with a window.
        windowed_layers: u64,
        /// All layers.
        layers: u64,
        /// Window in tokens.
        window: u64,
    },
    /// The number of requests in a row of its table does not follow from its own method.
    TableRow {
        /// GPU of the row.
        gpu: String,
        /// What it states.
        stated: f64,
        /// What the method gives.
        method: f64,
    },
    /// The number of cards in a row is not what the sum of memory gives.
    CardsNeeded {
        /// GPU of the row.
        gpu: String,
        /// What it states; absent for "N/A".
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stated: Option<u32>,
        /// By the sum of memory alone.
        by_memory: u64,
        /// As a tensor-parallel group of 1, 2, 4 or 8; absent when 8 do not hold the target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tensor_parallel: Option<u32>,
    },
}
