//! What a plan says: choices with their figures, what was left out and why, what to take, and what would change that.
//!
//! These types are what `cargo xtask plan --json` prints and what a run folder keeps, so they read back. Every predicted
//! figure is an interval; what is not known is absent.

use serde::{Deserialize, Serialize};

use super::target::{Demand, Room, Slo, Target};
use crate::performance::{Bound, Interval};

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetPlan {
    /// Model, as the catalogue names it.
    pub model: String,
    /// Engine and version whose arithmetic decides on memory.
    pub engine: String,
    /// What was asked.
    pub target: Asked,
    /// What the speeds come from.
    pub basis: Basis,
    /// What money was reckoned with.
    pub money: Money,
    /// Every choice that holds the target, the one that costs least an hour first; those without a price last.
    pub choices: Vec<Choice>,
    /// What does not hold it, and why.
    pub rejected: Vec<Rejected>,
    /// Which of the choices to take.
    pub recommended: Recommended,
    /// Indices of choices from the best use of money to the worst, by dollars for a million output tokens.
    pub by_efficiency: Vec<usize>,
    /// What would change the answer.
    pub sensitivity: Vec<Sensitivity>,
    /// Replicas hour by hour of the least dear choice; absent for a fixed concurrency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetDay>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// How much.
    pub demand: Demand,
    /// Prompt tokens.
    pub isl: u64,
    /// Output tokens.
    pub osl: u64,
    /// Tokens of the longest request; absent in plans of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest: Option<u64>,
    /// How requests fill the KV cache.
    #[serde(default)]
    pub room: Room,
    /// Objectives of the mean request.
    pub slo: Slo,
    /// Share of requests that must find a seat in time.
    pub success: f64,
    /// Spare replicas.
    pub spare: u32,
    /// Growth provided for.
    pub growth: f64,
    /// Format that the weights must have; absent when open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// Element that the KV cache must have; absent when open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_cache_dtype: Option<String>,
}

impl Asked {
    /// Returns the target that was asked for; a format that this version does not know is left open.
    pub fn target(&self) -> Target {
        Target {
            demand: self.demand.clone(),
            longest: self.longest.unwrap_or_else(|| self.isl.saturating_add(self.osl)),
            slo: self.slo,
            success: self.success,
            spare: self.spare,
            growth: self.growth,
            weights: self.weights.as_deref().and_then(|name| name.parse().ok()),
            kv: self.kv_cache_dtype.as_deref().and_then(|name| name.parse().ok()),
            ..Target::concurrency(1, self.isl, self.osl)
        }
    }
}

/// What the speeds come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// Measured systems that calibrate the predictions; empty when the catalogue speaks alone.
    pub measured: Vec<MeasuredSystem>,
    /// How far the ends of the intervals of TPOT lie from the likely value, as a median factor over the choices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpot_factor: Option<f64>,
}

/// A system whose runs calibrated the predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasuredSystem {
    /// Where it was measured, such as the names of run folders.
    pub from: String,
    /// Card; absent when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// Cards that share every layer.
    pub tensor_parallel: u32,
    /// Format of the weights.
    pub weights: String,
    /// Levels that it was calibrated with.
    pub levels: usize,
}

/// What money was reckoned with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Money {
    /// Years over which a purchase is written off.
    pub years: f64,
    /// Price of electricity; absent when it is not known, and then power costs nothing here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_per_kwh: Option<f64>,
    /// Power usage effectiveness: what the building draws / what the boards draw.
    #[serde(default = "Money::default_pue")]
    pub pue: f64,
    /// Price of a host for up to [`CARDS_PER_HOST`] cards.
    #[serde(default)]
    pub host_usd: f64,
}

/// Cards of one machine, at most.
pub const CARDS_PER_HOST: u32 = 8;

impl Money {
    /// The industry's mean, 1.56 to 1.58 a year (Uptime Institute, global survey 2020 to 2024), rounded.
    const fn default_pue() -> f64 {
        1.6
    }
}

impl Default for Money {
    /// Three years, power at 0.12 dollars a kWh and a host of 10,000 dollars: assumptions, to be replaced by one's own.
    fn default() -> Self {
        Self { years: 3.0, usd_per_kwh: Some(0.12), pue: Self::default_pue(), host_usd: 10_000.0 }
    }
}

/// Cards, how they are used, and what that gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Card.
    pub gpu: String,
    /// Cards that share every layer of a replica.
    pub tensor_parallel: u32,
    /// Replicas that carry the load.
    pub replicas: u32,
    /// Replicas beside them, idle until one fails.
    pub spare: u32,
    /// Format of the weights: `bf16`, `fp8`, `awq`, `bnb4`.
    pub weights: String,
    /// As `--kv-cache-dtype` has it.
    pub kv_cache_dtype: String,
    /// Whether weights and KV cache have the formats that were asked for.
    pub as_asked: bool,
    /// Where the memory of a card goes.
    pub memory: Memory,
    /// Requests that a replica answers at once at this load.
    pub concurrency: f64,
    /// Requests of the target's lengths that a replica's KV cache really holds, each anywhere between its first and its last
    /// token, 99 times in 100.
    pub seats: Interval,
    /// What the engine prints as its maximum concurrency: requests of `--max-model-len` tokens, the worst case. Absent in
    /// plans of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printed: Option<Interval>,
    /// Room left: requests that fit / requests at once, of a replica.
    pub head_room: f64,
    /// TTFT, TPOT and throughput; absent when the speed is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
    /// Why no speed is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_unknown: Option<String>,
    /// How the queue before it was reckoned; absent for a fixed concurrency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Service>,
    /// Whether the objectives are met even at the slow end of the intervals.
    pub safely: bool,
    /// What it costs.
    pub cost: Cost,
    /// Whether no other choice is at once cheaper, faster for a user, and faster in all.
    pub on_frontier: bool,
    /// What starts one replica.
    pub command: String,
}

impl Choice {
    /// `2× A100 80GB, bf16`; with the split where one replica has not all the cards.
    pub fn name(&self) -> String {
        let cards = match self.cards() {
            1 => self.gpu.clone(),
            cards => format!("{cards}× {}", self.gpu),
        };
        let replicas = self.replicas.saturating_add(self.spare);
        let split = match (replicas, self.tensor_parallel) {
            (1, _) | (_, 1) => String::new(),
            (replicas, cards) => format!(" ({replicas} × TP {cards})"),
        };
        let kv = match &*self.kv_cache_dtype {
            "auto" => String::new(),
            kv => format!(", {kv} KV cache"),
        };
        format!("{cards}{split}, {}{kv}", self.weights)
    }

    /// Cards, spare ones included.
    pub const fn cards(&self) -> u32 {
        self.tensor_parallel.saturating_mul(self.replicas.saturating_add(self.spare))
    }
}

/// What one replica is to the queue before the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Requests that it answers at once.
    pub seats: u32,
    /// Time that it takes over one when full, in seconds.
    pub service_s: f64,
    /// How long a request may wait for a seat, in seconds.
    pub wait_s: f64,
}

/// Where the memory of one card goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What a program sees of the card.
    pub visible_bytes: u64,
    /// Weights.
    pub weight_bytes: u64,
    /// Activations, libraries, graphs (priors).
    pub other_bytes: u64,
    /// KV cache of the requests of this load.
    pub kv_used_bytes: u64,
    /// KV cache beyond it.
    pub kv_free_bytes: u64,
}

/// How fast a choice serves the load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Time to first token, in seconds.
    pub ttft_s: Interval,
    /// Time per output token after the first, in seconds.
    pub tpot_s: Interval,
    /// From sending to the last token, in seconds.
    pub e2el_s: Interval,
    /// Output tokens per second of all replicas.
    pub output_tokens_per_second: Interval,
    /// What most of a decode step goes to.
    pub bound: Bound,
}

/// What a choice costs. An unknown price is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// To buy the cards, without host, network, power or staff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Price>,
    /// To rent them, an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_per_hour: Option<Price>,
    /// The machines that the cards are put in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts_usd: Option<f64>,
    /// An hour of bought cards in their hosts: written off over the years, and power at the board's limit with what cooling
    /// adds, where electricity has a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_usd_per_hour: Option<f64>,
    /// Dollars for a million output tokens at this load, rented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_usd_per_million: Option<Interval>,
    /// The same, bought and used all the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_usd_per_million: Option<Interval>,
    /// Hours of renting that cost as much as buying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_even_hours: Option<f64>,
    /// The same as a share of the years: used more than this, buying is cheaper. Above 1 it never is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_even_utilisation: Option<f64>,
    /// Energy of an output token, were all boards at their power limit: an upper bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joules_per_token_at_most: Option<f64>,
}

/// What the best performance may cost, as a multiple of the least cost.
pub const PERFORMANCE_COST_MAX: f64 = 3.0;

impl Cost {
    /// Cards and their hosts, to buy.
    pub fn capital_usd(&self) -> Option<f64> {
        Some(self.purchase.as_ref()?.usd + self.hosts_usd.unwrap_or(0.0))
    }

    /// The lower of the two hourly costs that are known.
    pub fn usd_per_hour(&self) -> Option<f64> {
        let cloud = self.cloud_per_hour.as_ref().map(|price| price.usd);
        match (cloud, self.owned_usd_per_hour) {
            (Some(cloud), Some(owned)) => Some(cloud.min(owned)),
            (cloud, owned) => cloud.or(owned),
        }
    }

    /// The lower of the two costs of a million output tokens that are known.
    pub fn usd_per_million(&self) -> Option<Interval> {
        match (self.cloud_usd_per_million, self.owned_usd_per_million) {
            (Some(cloud), Some(owned)) if cloud.likely < owned.likely => Some(cloud),
            (cloud, owned) => owned.or(cloud),
        }
    }
}

/// A price with its origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// In all.
    pub usd: f64,
    /// Its day.
    pub date: String,
    /// Who says so.
    pub source: String,
    /// What is rented, and how many of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<String>,
}

/// What does not hold the target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    /// Card.
    pub gpu: String,
    /// Cards that would share every layer.
    pub tensor_parallel: u32,
    /// Format of the weights.
    pub weights: String,
    /// As `--kv-cache-dtype` has it.
    pub kv_cache_dtype: String,
    /// Why.
    pub reason: Reason,
}

/// Why a combination does not hold the target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The attention heads cannot be shared by so many cards.
    HeadsNotShared {
        /// Heads.
        heads: u64,
    },
    /// It is not known how much of the card's memory a program sees.
    MemoryUnknown,
    /// The weights leave nothing.
    WeightsTooLarge {
        /// What they take of a card, with what else is needed beside them.
        needed_bytes: u64,
        /// What the engine may use of it.
        usable_bytes: u64,
    },
    /// Not one request of the target's length fits.
    NoRoom {
        /// Requests that do.
        requests: f64,
    },
    /// The engine refuses the combination.
    Refused {
        /// What it says.
        message: String,
    },
    /// There are objectives, and the speed is not known.
    SpeedUnknown {
        /// What is missing.
        message: String,
    },
    /// An objective is missed even by one request at a time.
    SloMissed {
        /// `ttft`, `tpot` or `e2el`.
        metric: String,
        /// What is likely, in seconds.
        likely_s: f64,
        /// The objective, in seconds.
        limit_s: f64,
    },
    /// More replicas than a plan goes up to.
    TooMany {
        /// The most that were tried.
        replicas: u32,
    },
}

/// Which choices to take, as indices; absent where none qualifies. Safe ones ([`Choice::safely`]) go first in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommended {
    /// Least to pay for the cards, among the choices that hold the target even at the unfavourable end of every interval; where
    /// there are none, among all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_cost: Option<usize>,
    /// Least to pay were every prediction exact, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_cost_if_exact: Option<usize>,
    /// Shortest TPOT among the choices that cost at most [`PERFORMANCE_COST_MAX`] times the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_performance: Option<usize>,
    /// Least to pay for an hour of renting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<usize>,
    /// Quantised weights on more cards: of the measured system, where one is known, else of the cheapest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_quantised: Option<usize>,
}

/// What is changed to see whether the answer stays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// The load, by a factor.
    Load {
        /// Which.
        factor: f64,
    },
    /// Prompts and outputs, by a factor.
    Lengths {
        /// Which.
        factor: f64,
    },
    /// The objectives, by a factor.
    Slo {
        /// Which.
        factor: f64,
    },
    /// The price of the card that costs least: by this factor another costs as little.
    Price {
        /// Which.
        factor: f64,
    },
    /// Every figure at the slow end of its interval.
    SlowEnd,
    /// One replica more than the load needs, so that a card may fail.
    CardLost,
}

/// The least dear choice after a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// What was changed.
    pub change: Change,
    /// The choice, such as `2× A100 80GB, bf16`; absent when none is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What it costs to buy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_usd: Option<f64>,
    /// Whether the answer is another than without the change.
    pub changes: bool,
}

/// Replicas over a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetDay {
    /// Index of the choice.
    pub choice: usize,
    /// One replica.
    pub replica: Service,
    /// Hour by hour.
    pub hours: Vec<FleetHour>,
    /// Replicas on average, were they switched on and off by the hour.
    pub mean_replicas: f64,
}

/// One hour.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetHour {
    /// Requests a second.
    pub rate_per_s: f64,
    /// Replicas by Erlang's formula C.
    pub replicas: u32,
    /// Share of the requests that wait at all with them.
    pub waits: f64,
    /// Share that waits longer than allowed.
    pub waits_too_long: f64,
}
