//! Whether two runs sent the same load, so that their figures may be compared.

use records::{Engine, Manifest, Plan};
use serde::{Deserialize, Serialize};

use crate::{Summary, run::recorded::recorded_settings};

/// Relative difference of mean prompt lengths that is still the same load.
const ISL_TOLERANCE: f64 = 0.01;
/// Difference of prefix-cache hit rates from which on one run is warm and the other cold.
const PREFIX_TOLERANCE: f64 = 0.05;

/// Something that two runs differ in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// `model`, `osl`, `isl`, `workload`, `endpoint`, `ignore_eos`, `extra_body`, `prefix_cache`, `target` or one of
    /// [`crate::recorded_settings`]; of what is compared rather than in the way, `engine`, `gpus`, `tool`.
    pub what: String,
    /// In the first run.
    pub first: String,
    /// In the second.
    pub second: String,
}

impl Condition {
    /// Whether it makes a comparison meaningless: the runs sent different things. Engine, GPUs and tool are what one
    /// compares.
    pub(crate) fn is_in_the_way(&self) -> bool {
        !matches!(&*self.what, "engine" | "gpus" | "tool")
    }
}

/// Returns what two runs differ in, by their manifests and summaries.
pub(crate) fn differing((a, of_a): (&Manifest, &Summary), (b, of_b): (&Manifest, &Summary)) -> Vec<Condition> {
    let mut found = Vec::new();
    let mut differ = |what: &str, first: String, second: String| {
        if first != second {
            let what = what.to_owned();
            found.push(Condition { what, first, second });
        }
    };
    let target = |run: &Manifest| {
        let profile = run.target.simulated_profile();
        profile.map_or("a server".to_owned(), |profile| format!("simulated {profile}"))
    };
    differ("target", target(a), target(b));
    differ("model", a.plan.model.clone(), b.plan.model.clone());
    differ("workload", a.plan.workload.clone(), b.plan.workload.clone());
    differ("endpoint", a.plan.endpoint.clone(), b.plan.endpoint.clone());
    differ("stream", a.plan.stream.to_string(), b.plan.stream.to_string());
    differ("conversations", conversations(&a.plan), conversations(&b.plan));
    differ("retries", a.plan.retries.to_string(), b.plan.retries.to_string());
    differ("osl", a.plan.osl.to_string(), b.plan.osl.to_string());
    differ("ignore_eos", a.plan.ignore_eos.to_string(), b.plan.ignore_eos.to_string());
    let body = |run: &Manifest| {
        let value = serde_json::Value::Object(run.plan.extra_body.clone());
        value.to_string()
    };
    differ("extra_body", body(a), body(b));
    let setting = |of: &Summary, id: &str| of.run.settings.get(id).map_or("unset", String::as_str).to_owned();
    for id in recorded_settings() {
        differ(id, setting(of_a, id), setting(of_b, id));
    }
    let alike = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance;
    if let (Some(isl_a), Some(isl_b)) = (of_a.run.isl_mean, of_b.run.isl_mean)
        && !alike(isl_a, isl_b, ISL_TOLERANCE * isl_a.max(isl_b))
    {
        differ("isl", format!("{isl_a:.1}"), format!("{isl_b:.1}"));
    }
    if let (Some(hits_a), Some(hits_b)) = (prefix_hits(of_a), prefix_hits(of_b))
        && !alike(hits_a, hits_b, PREFIX_TOLERANCE)
    {
        let percent = |share: f64| format!("{:.0} % hits", 100.0 * share);
        differ("prefix_cache", percent(hits_a), percent(hits_b));
    }
    let engine = |run: &Manifest| {
        let parts = [run.engine.name.as_ref().map(Engine::id), run.engine.version.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    differ("engine", engine(a), engine(b));
    differ("gpus", of_a.run.gpus.join(", "), of_b.run.gpus.join(", "));
    differ("tool", of_a.run.tool.clone(), of_b.run.tool.clone());
    found
}

/// Turns and pauses, as the plan has them.
fn conversations(plan: &Plan) -> String {
    let figure = |name: &str| plan.workload_options.get(name)?.as_f64();
    figure("session_turns").map_or_else(
        || "none".to_owned(),
        |turns| {
            let think = figure("think_time_ms").unwrap_or(0.0);
            format!("{turns} turns, {think} ms between them")
        },
    )
}

/// Largest share of prompt tokens that came from the prefix cache.
fn prefix_hits(summary: &Summary) -> Option<f64> {
    let levels = summary.levels.iter();
    levels.filter_map(|level| level.server?.prefix_hit_rate).reduce(f64::max)
}
