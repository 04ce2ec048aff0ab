//! `plimsoll plan`: from what was measured to what to buy. Reads runs and prices, asks `sizing::planner`, prints.

mod ask;
mod queue;
mod runs;
mod target;

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use records::{RunDir, run_dir};
use serde::Serialize;
use sizing::{
    Engine, GpuSpec, ModelSpec, Prices, catalogue,
    planner::{self, FleetPlan, Money, Question, Target},
    weights::WeightFormat,
};

pub(crate) use self::ask::AskArgs;
use self::{queue::Simulated, runs::Read, target::System};
use crate::{
    exit::{self, Exit, WithExit as _},
    lang::Lang,
    output::{self, CONSOLE_WIDTH},
    program::program_name,
};

/// What can be typed after `plimsoll plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Run folders whose levels calibrate the predictions; without any, the catalogue speaks alone
    #[arg(long, num_args = 1.., value_name = "RUN")]
    from: Vec<PathBuf>,
    /// What to serve: concurrency=N or rate=REQUESTS/S [peak=PEAK/MEAN of the day], context=TOKENS or isl= and osl= with
    /// longest=TOKENS, and at will dtype=bf16|fp8|awq|bnb4|mxfp4|nvfp4|any, kv=auto|fp8|any, success=PERCENT, spare=REPLICAS,
    /// growth=FACTOR [default: concurrency=50 context=4096 in the format in which the model is published]
    #[arg(long, value_name = "TARGET", value_parser = target::target)]
    target: Option<Target>,
    /// Objectives of the mean request in ms, such as "ttft:500 tpot:50 e2el:8000"
    #[arg(long, value_name = "OBJECTIVES", value_parser = target::slo)]
    slo: Option<planner::Slo>,
    /// Model by its Hugging Face name [default: that of the runs, else google/gemma-3-12b-it]
    #[arg(long, short)]
    model: Option<String>,
    /// What the runs were measured on, where they do not say it themselves: "gpu=RTX 3090,tp=1,dtype=bnb4"
    #[arg(long, value_name = "SYSTEM", value_parser = target::system)]
    measured: Option<System>,
    /// Cards to choose from, such as "L40S,H100 80GB" [default: the whole catalogue]
    #[arg(long, value_delimiter = ',', value_name = "GPU,…")]
    gpus: Vec<String>,
    /// Your own prices, in the form of crates/sizing/catalogue/prices.toml; they replace the built-in ones
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Years over which a purchase is written off
    #[arg(long, default_value_t = 3.0, value_name = "YEARS", value_parser = target::positive)]
    years: f64,
    /// Price of electricity; 0 leaves power out
    #[arg(long, default_value_t = 0.12, value_name = "USD", value_parser = target::not_negative)]
    usd_per_kwh: f64,
    /// What the building draws / what the boards draw
    #[arg(long, default_value_t = 1.6, value_name = "RATIO", value_parser = target::positive)]
    pue: f64,
    /// Price of a host for up to 8 cards; 0 leaves hosts out
    #[arg(long, default_value_t = 10_000.0, value_name = "USD", value_parser = target::not_negative)]
    host_usd: f64,
    /// vLLM version whose arithmetic to follow [default: that of the runs, else 0.11.2]
    #[arg(long, value_name = "VERSION")]
    vllm: Option<String>,
    /// Also keep the plan as plan.json in this run folder, whose report then has it as a section
    #[arg(long, value_name = "RUN")]
    into: Option<PathBuf>,
    /// Language of the text; `both` prints English
    #[arg(long, value_enum, default_value_t = Lang::En)]
    lang: Lang,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    json: bool,
}

/// What the command says. `docs/schema.md` lists the keys.
#[derive(Debug, Serialize)]
struct Planned {
    #[serde(flatten)]
    plan: FleetPlan,
    /// The queue before the fleet again, served by the simulator in virtual time.
    #[serde(skip_serializing_if = "Option::is_none")]
    simulated_queue: Option<Simulated>,
    /// What was assumed of the runs.
    notes: Vec<String>,
}

pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<Exit> {
    let read = runs::read(&args.from, args.measured.as_ref(), args.model.as_deref())?;
    let found = model_of(args.model.as_deref(), &read)?;
    let model = found.model;
    let mut target = args.target.clone().unwrap_or_else(|| usual_target(&found));
    target.slo = args.slo.unwrap_or_default();
    target.weights = target.weights.or(found.weights);
    let engine = engine_of(args.vllm.as_deref(), &read)?;
    let prices = prices(args)?;
    let (measured, mut notes) = runs::measured(&read, model);
    if found.is_stand_in {
        notes.insert(0, format!("the shape is that of {}, which stands in for {}", model.name, found.served));
    }
    let question = Question {
        engine,
        served: &found.served,
        gpus: gpus(&args.gpus)?,
        prices: &prices,
        money: Money {
            years: args.years,
            usd_per_kwh: (args.usd_per_kwh > 0.0).then_some(args.usd_per_kwh),
            pue: args.pue,
            host_usd: args.host_usd,
        },
        measured: &measured,
        ..Question::of(model, &target)
    };
    let plan = planner::plan(&question).exit(Exit::Usage)?;
    if let Some(folder) = &args.into {
        keep(folder, &plan)?;
    }
    let planned = Planned { simulated_queue: queue::simulated(&plan), plan, notes };
    output::emit(args.json, &planned, |planned| text(planned, args.lang, !args.from.is_empty()))?;
    Ok(Exit::Ok)
}

/// A model and the name under which it is served.
pub(crate) struct Found {
    pub(crate) model: &'static ModelSpec,
    /// The name that was asked for.
    pub(crate) served: String,
    /// The format that the name tells.
    pub(crate) weights: Option<WeightFormat>,
    /// Whether the catalogue has its shape under another name.
    pub(crate) is_stand_in: bool,
}

/// Finds a model by a name as people type it.
pub(crate) fn find(name: &str) -> anyhow::Result<Found> {
    let found = catalogue::checkpoint(name).exit(Exit::Usage)?;
    // A short name of the model itself serves the model.
    let served = if found.is_stand_in && name.contains('/') { name } else { &found.model.name };
    Ok(Found {
        model: found.model,
        served: served.to_owned(),
        weights: found.weights,
        is_stand_in: found.is_stand_in && name.contains('/'),
    })
}

/// The reference report's load, in the format in which the model is published or that its name tells.
pub(crate) fn usual_target(found: &Found) -> Target {
    let weights = found.weights.unwrap_or_else(|| planner::published_format(found.model));
    Target { weights: Some(weights), ..analysis::reference_target() }
}

/// The model that was named, else that of the runs, else the reference's.
fn model_of(named: Option<&str>, read: &[Read]) -> anyhow::Result<Found> {
    let of_runs = || read.first().map(|run| run.model.as_str());
    find(named.or_else(of_runs).unwrap_or(sizing::reference::MODEL))
}

/// The engine that was named, else that of the runs where its arithmetic is known, else the reference's.
fn engine_of(named: Option<&str>, read: &[Read]) -> anyhow::Result<Engine> {
    if let Some(version) = named {
        return Engine::vllm(version).exit(Exit::Usage);
    }
    let of_runs = read.iter().find_map(|run| Engine::vllm(run.vllm_version.as_deref()?).ok());
    of_runs.map_or_else(|| Engine::vllm("0.11.2").exit(Exit::Usage), Ok)
}

fn prices(args: &PlanArgs) -> anyhow::Result<Prices> {
    let Some(path) = &args.prices else {
        return Ok(Prices::builtin().clone());
    };
    let text =
        fs::read_to_string(path).with_context(|| format!("read the prices in {}", path.display())).exit(Exit::Usage)?;
    Prices::from_toml(&text).exit(Exit::Usage)
}

fn gpus(names: &[String]) -> anyhow::Result<Vec<&'static GpuSpec>> {
    if names.is_empty() {
        return Ok(catalogue::gpus().iter().collect());
    }
    let find = |name: &String| catalogue::gpu(name.trim()).exit(Exit::Usage);
    names.iter().map(find).collect()
}

fn keep(folder: &std::path::Path, plan: &FleetPlan) -> anyhow::Result<()> {
    let dir = RunDir::open(folder).exit(Exit::Usage)?;
    let mut json = serde_json::to_vec_pretty(plan).context("write the plan as JSON")?;
    json.push(b'\n');
    dir.write(run_dir::PLAN, &json)?;
    Ok(())
}

/// The plan that a run folder keeps, if it keeps one that this version reads.
pub(crate) fn kept(dir: &RunDir) -> anyhow::Result<Option<FleetPlan>> {
    let path = dir.path().join(run_dir::PLAN);
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let plan = serde_json::from_slice(&bytes)
        .with_context(|| {
            let name = program_name();
            format!("cannot parse {}\nhint: make it again with `{name} plan --into`, or remove it", path.display())
        })
        .map_err(|error| exit::error(Exit::Usage, format!("{error:#}")))?;
    Ok(Some(plan))
}

fn text(planned: &Planned, lang: Lang, from_runs: bool) -> String {
    let mut text = report::plan_console(&planned.plan, lang.spoken(), CONSOLE_WIDTH);
    if let Some(queue) = &planned.simulated_queue {
        text.push('\n');
        text.push_str(&queue.line());
    }
    // Without runs the text itself says what the speeds rest on.
    let notes = planned.notes.iter().filter(|_| from_runs);
    for note in notes {
        text.push_str("\nnote: ");
        text.push_str(note);
    }
    text
}
