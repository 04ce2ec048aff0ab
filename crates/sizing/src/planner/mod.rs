//! What to buy or rent for a load: every card of the catalogue in every number and format, with what each gives and costs.
//!
//! [`plan`] goes through GPU × tensor-parallel size × weight format × KV-cache format. For each it asks the engine's own
//! arithmetic ([`crate::engine`]) how many requests fit, the speed model ([`crate::performance`]) how many keep the objectives,
//! and takes as many replicas as the load then needs: by division for a fixed concurrency, by Erlang's formula
//! ([`crate::fleet`]) for requests that come at a rate. What holds the load is a [`Choice`], what does not is [`Rejected`] with
//! its reason. Over the choices stand the frontier of price, TPOT and throughput, the recommended ones, a ranking by cost
//! of a million output tokens, and what would change the answer.
//!
//! Objectives are held against mean latencies; a choice whose slow end keeps them too is marked as safe. Prices are those of
//! [`crate::prices`]; a purchase adds a host for every eight cards, and its hours power with what cooling takes ([`Money`]).
//! Network and staff are not counted. Power is the board's limit, so joules are an upper bound.
//!
//! ```
//! use sizing::planner::{Question, Target, plan};
//! use sizing::catalogue;
//!
//! let target = Target::concurrency(50, 3072, 1024).unquantised();
//! let plan = plan(&Question::of(catalogue::model("gemma-3-12b-it")?, &target)).expect("a load");
//! let least = &plan.choices[plan.recommended.least_cost.expect("some card holds it")];
//! assert!(least.seats.likely >= least.concurrency);
//! assert!(least.command.starts_with("vllm serve google/gemma-3-12b-it"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod command;
mod cost;
mod evaluate;
mod load;
mod memory;
mod rank;
mod speed;
mod target;
mod vary;

pub use answer::{
    Asked, Basis, CARDS_PER_HOST, Change, Choice, Cost, FleetDay, FleetHour, FleetPlan, MeasuredSystem, Memory, Money,
    PERFORMANCE_COST_MAX, Price, Reason, Recommended, Rejected, Sensitivity, Service, Speed,
};
pub use command::weight_name;
pub use memory::weight_bytes;
pub use target::{Demand, Room, Slo, Target};

pub use crate::performance::Interval;

use self::evaluate::Formats;
use crate::performance::Performance;
use crate::weights::WeightFormat;
use crate::{Engine, GpuSpec, ModelSpec, Prices, catalogue};

/// Weight formats that are tried of a model published in 16 bits: those, fp8 (made when loading), 4 bits by AWQ (needs a
/// checkpoint of its own) and by bitsandbytes (made when loading).
const WEIGHTS: [WeightFormat; 4] = [WeightFormat::Bits16, WeightFormat::Fp8, WeightFormat::Awq, WeightFormat::Bnb4];

/// Models that are published in a quantised format, by the beginning of their names on Hugging Face.
const PUBLISHED_QUANTISED: [(&str, WeightFormat); 9] = [
    ("openai/gpt-oss", WeightFormat::Mxfp4),
    ("deepseek-ai/DeepSeek-V3", WeightFormat::Fp8),
    ("deepseek-ai/DeepSeek-R1", WeightFormat::Fp8),
    ("deepseek-ai/DeepSeek-V4", WeightFormat::Fp8),
    ("MiniMaxAI/MiniMax-M2", WeightFormat::Fp8),
    // int4 in groups of 32 by compressed-tensors (config.json, quantization_config), stored as AWQ stores it.
    ("moonshotai/Kimi-K2-Thinking", WeightFormat::Awq),
    ("moonshotai/Kimi-K2.5", WeightFormat::Awq),
    ("moonshotai/Kimi-K2.6", WeightFormat::Awq),
    ("moonshotai/Kimi-K2", WeightFormat::Fp8),
];

/// Returns the format in which a model is published; 16 bits where nothing else is known.
pub fn published_format(model: &ModelSpec) -> WeightFormat {
    let quantised = PUBLISHED_QUANTISED.iter().find(|(name, _)| model.name.starts_with(name));
    quantised.map_or(WeightFormat::Bits16, |(_, format)| *format)
}

/// Formats that are tried: of a model published quantised only that one, since others may not exist.
fn weights_tried(model: &ModelSpec) -> Vec<WeightFormat> {
    match published_format(model) {
        WeightFormat::Bits16 => WEIGHTS.to_vec(),
        quantised => vec![quantised],
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The model.
    pub model: &'a ModelSpec,
    /// The name that the command serves: the one that was asked for, where the catalogue has its shape under another.
    pub served: &'a str,
    /// The engine whose arithmetic decides on memory.
    pub engine: Engine,
    /// The load.
    pub target: &'a Target,
    /// Cards to choose from.
    pub gpus: Vec<&'a GpuSpec>,
    /// What they cost.
    pub prices: &'a Prices,
    /// How money is reckoned.
    pub money: Money,
    /// Systems that were measured with this model; the nearest one's calibration is carried over to each choice.
    pub measured: &'a [Measured<'a>],
}

impl<'a> Question<'a> {
    /// The whole catalogue, its prices, the newest engine, and nothing measured.
    pub fn of(model: &'a ModelSpec, target: &'a Target) -> Self {
        Self {
            model,
            served: &model.name,
            engine: Engine::newest(),
            target,
            gpus: catalogue::gpus().iter().collect(),
            prices: Prices::builtin(),
            money: Money::default(),
            measured: &[],
        }
    }
}

/// A system that was measured, and the speed model that its levels calibrated.
#[derive(Clone, Debug)]
pub struct Measured<'a> {
    /// Where, such as the name of a run folder.
    pub from: String,
    /// Its card, where it is known.
    pub gpu: Option<&'a GpuSpec>,
    /// Cards that share every layer.
    pub tensor_parallel: u32,
    /// Format of its weights.
    pub weights: WeightFormat,
    /// Levels that calibrated it.
    pub levels: usize,
    /// The calibrated model.
    pub performance: Performance,
}

/// What one group of cards holds of a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    /// Requests of the target's lengths that it really holds, 99 times in 100.
    pub requests: Interval,
    /// What the engine prints as its maximum concurrency.
    pub printed: Interval,
}

/// Returns what one replica of so many cards holds of the question's target, in the format that it asks for (else the
/// published one): the figures that [`plan`] decides by. `None` where it holds nothing.
pub fn held(question: &Question<'_>, gpu: &GpuSpec, tensor_parallel: u32) -> Option<Held> {
    let target = question.target;
    let setup = memory::Setup {
        model: question.model,
        engine: question.engine,
        gpu,
        tensor_parallel,
        weights: target.weights.unwrap_or_else(|| published_format(question.model)),
        kv: target.kv.unwrap_or(crate::KvDtype::Bits16),
    };
    let seats = memory::seats(&setup, target, load::at_once(target)).ok()?;
    Some(Held { requests: seats.requests, printed: seats.printed })
}

/// Every choice for the target, and which of them to take.
///
/// # Errors
/// [`NoTarget`] when the target is no load.
pub fn plan(question: &Question<'_>) -> Result<FleetPlan, NoTarget> {
    if let Some(problem) = question.target.problem() {
        return Err(NoTarget { problem });
    }
    let (choices, rejected) = evaluate::all(question, question.target, Formats::All);
    let choices = rank::in_order(choices);
    let recommended = rank::recommended(question, &choices);
    Ok(FleetPlan {
        model: question.model.name.clone(),
        engine: question.engine.to_string(),
        target: asked(question.target),
        basis: Basis {
            measured: question.measured.iter().map(measured_system).collect(),
            tpot_factor: rank::tpot_factor(&choices),
        },
        money: question.money,
        by_efficiency: rank::by_efficiency(&choices),
        sensitivity: vary::all(question, &choices, recommended),
        fleet: load::day(question, &choices, recommended),
        choices,
        rejected,
        recommended,
    })
}

fn asked(target: &Target) -> Asked {
    Asked {
        demand: target.demand.clone(),
        isl: target.isl,
        osl: target.osl,
        longest: Some(target.longest),
        room: Room::Usual,
        slo: target.slo,
        success: target.success,
        spare: target.spare,
        growth: target.growth,
        weights: target.weights.map(|weights| weight_name(weights).to_owned()),
        kv_cache_dtype: target.kv.map(|kv| kv.to_string()),
    }
}

fn measured_system(measured: &Measured<'_>) -> MeasuredSystem {
    MeasuredSystem {
        from: measured.from.clone(),
        gpu: measured.gpu.map(|gpu| gpu.name.clone()),
        tensor_parallel: measured.tensor_parallel,
        weights: weight_name(measured.weights).to_owned(),
        levels: measured.levels,
    }
}

/// A target that is no load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}\nhint: such as \"concurrency=50 context=4096\" or \"rate=20 isl=1000 osl=200\"")]
pub struct NoTarget {
    problem: &'static str,
}
