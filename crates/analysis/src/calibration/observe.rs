//! From the levels of a run to what the model of speed is calibrated with.
//!
//! Means at the load that was really held: the requests in flight by the client's own records, the prompt tokens that no
//! prefix cache spared, the output tokens that came. A level whose load is not what it seems is left out with its reason.

use sizing::performance::{Load, Observation};

use crate::{Distribution, LeftOut, LeftOutLevel, LevelSummary};

/// Share of failed requests from which on the load of a level is another one than it seems. Failed requests often end at
/// once and leave their slot to the next; a twentieth of them changes the load by no more than a twentieth.
const FAILURES: f64 = 0.05;

/// A level as the model of speed sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observed {
    /// Index into the plan's levels.
    pub level: u32,
    /// Requests kept in flight.
    pub concurrency: u32,
    /// Its load and its means.
    pub observation: Observation,
}

/// Usable levels by concurrency, and the others with their reasons.
pub fn observations(levels: &[LevelSummary]) -> (Vec<Observed>, Vec<LeftOutLevel>) {
    let mut used = Vec::new();
    let mut left_out = Vec::new();
    for level in levels {
        match observed(level) {
            Ok(observed) => used.push(observed),
            Err(why) => left_out.push(LeftOutLevel {
                level: level.level,
                concurrency: level.concurrency,
                why,
            }),
        }
    }
    used.sort_by_key(|observed| (observed.concurrency, observed.level));
    (used, left_out)
}

fn observed(level: &LevelSummary) -> Result<Observed, LeftOut> {
    let preemptions = level.server.and_then(|server| server.preemptions);
    let measured = level.requests.measured.max(1);
    let failed = level.requests.failed as f64 / measured as f64;
    if level.concurrency == 0 {
        return Err(LeftOut::OpenLoop);
    }
    if !level.complete || !level.invalid.is_empty() {
        return Err(LeftOut::Invalid);
    }
    if failed > FAILURES {
        return Err(LeftOut::Failures { share: failed });
    }
    if let Some(preemptions) = preemptions.filter(|preemptions| *preemptions > 0.0) {
        return Err(LeftOut::Preempted { preemptions });
    }
    let load = load(level).ok_or(LeftOut::LengthsUnknown)?;
    let seconds = |of: Option<Distribution>| of.map(|of| of.mean.value / 1e3).filter(positive);
    Ok(Observed {
        level: level.level,
        concurrency: level.concurrency,
        observation: Observation {
            load,
            ttft_s: seconds(level.ttft_ms),
            tpot_s: seconds(level.tpot_ms),
            output_tokens_per_second: level.output_tok_s.filter(positive),
        },
    })
}

/// The load that the level really was; `None` when the lengths are not known.
fn load(level: &LevelSummary) -> Option<Load> {
    let hits = level.server.and_then(|server| server.prefix_hit_rate);
    let computed = 1.0 - hits.unwrap_or(0.0).clamp(0.0, 1.0);
    Some(Load {
        // A slot that is late with its next request leaves less than one in flight.
        concurrency: level.in_flight_mean.max(1.0),
        isl: (level.prompt_tokens?.mean.value * computed).max(1.0),
        osl: level.output_tokens?.mean.value.max(1.0),
    })
}

fn positive(value: &f64) -> bool {
    value.is_finite() && *value > 0.0
}
