//! `plimsoll models` and `plimsoll gpus`: what the catalogue has.

use clap::Args;
use serde::Serialize;
use sizing::{Prices, catalogue, planner};

use crate::{exit::Exit, output};

/// Flags of `models` and `gpus`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only names that contain this, without regard to case
    #[arg(value_name = "PART")]
    part: Option<String>,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    json: bool,
}

impl ListArgs {
    fn wants(&self, name: &str, aliases: &[String]) -> bool {
        let Some(part) = self.part.as_deref().map(str::to_lowercase) else {
            return true;
        };
        std::iter::once(name).chain(aliases.iter().map(String::as_str)).any(|name| name.to_lowercase().contains(&part))
    }
}

#[derive(Debug, Serialize)]
struct Model {
    name: String,
    parameters: u64,
    published: &'static str,
    speed_known: bool,
    aliases: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Gpu {
    name: String,
    memory_gb: f64,
    visible_gib: [f64; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    bandwidth_gb_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purchase_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rent_usd_per_hour: Option<f64>,
    aliases: Vec<String>,
}

pub(crate) fn models(args: &ListArgs) -> anyhow::Result<Exit> {
    let wanted = catalogue::models().iter().filter(|model| args.wants(&model.name, &model.aliases));
    let models: Vec<Model> = wanted
        .map(|model| Model {
            name: model.name.clone(),
            parameters: model.parameters.value,
            published: planner::weight_name(planner::published_format(model)),
            speed_known: model.work.is_some(),
            aliases: model.aliases.clone(),
        })
        .collect();
    output::emit(args.json, &models, |models| {
        let line = |model: &Model| {
            let speed = if model.speed_known { "" } else { "  (no speeds)" };
            let billions = model.parameters as f64 / 1e9;
            format!("{:<48} {billions:>7.1}B  {}{speed}", model.name, model.published)
        };
        models.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Ok)
}

pub(crate) fn gpus(args: &ListArgs) -> anyhow::Result<Exit> {
    let prices = Prices::builtin();
    let wanted = catalogue::gpus().iter().filter(|gpu| args.wants(&gpu.name, &gpu.aliases));
    let gpus: Vec<Gpu> = wanted
        .map(|gpu| {
            let visible = gpu.visible();
            Gpu {
                name: gpu.name.clone(),
                memory_gb: gpu.marketed.value.as_gb(),
                visible_gib: [visible.low.as_gib(), visible.high.as_gib()],
                bandwidth_gb_s: gpu.bandwidth.as_ref().map(|rate| rate.value.as_gb_per_second()),
                purchase_usd: prices.purchase(&gpu.name, 1).map(|quote| quote.price.get()),
                rent_usd_per_hour: prices.rent(&gpu.name, 1, 1).map(|rented| rented.quote.price.get()),
                aliases: gpu.aliases.clone(),
            }
        })
        .collect();
    output::emit(args.json, &gpus, |gpus| {
        let maybe =
            |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"));
        let line = |gpu: &Gpu| {
            let [low, high] = gpu.visible_gib;
            let seen = if (high - low).abs() < 0.005 { format!("{low:.2}") } else { format!("{low:.1} to {high:.1}") };
            format!(
                "{:<14} {:>4.0} GB  {seen:>14} GiB  {:>5} GB/s  {:>6} USD  {:>6} USD/h",
                gpu.name,
                gpu.memory_gb,
                maybe(gpu.bandwidth_gb_s, 0),
                maybe(gpu.purchase_usd, 0),
                maybe(gpu.rent_usd_per_hour, 2),
            )
        };
        gpus.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Ok)
}
