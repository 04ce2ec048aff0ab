//! From the levels of a run to what the model of speed is calibrated with.
//!
//! Means at the load that was really held: the requests in flight by the client's own records, the prompt tokens that no
//! prefix cache spared, the output tokens that came. Cool-down requests may be shorter than measured ones (in older runs
//! a tenth), and beside shorter ones the server prefills more often: only what ended before the first of them counts. A
//! level whose load is not what it seems is left out with its reason.

use records::{RequestRecord, RunData, Stage};
use sizing::performance::{Load, Observation};
use stats::{Span, occupancy};

use crate::{
    LeftOut, LeftOutLevel, LevelSummary,
    level::tokens::{tokens, tokens_within},
    level::window::{self, LevelRecords, is_completed},
};

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

/// Usable levels by concurrency, and the others with their reasons. `levels` is what the summary says of the same run.
pub fn observations(run: &RunData, levels: &[LevelSummary]) -> (Vec<Observed>, Vec<LeftOutLevel>) {
    from_records(run, &window::levels(run), levels)
}

/// The same, where the records are already told apart by level.
pub(super) fn from_records(
    run: &RunData,
    records: &[LevelRecords<'_>],
    levels: &[LevelSummary],
) -> (Vec<Observed>, Vec<LeftOutLevel>) {
    let mut used = Vec::new();
    let mut left_out = Vec::new();
    for level in levels {
        let Some(record) = records.iter().find(|record| record.index == level.level) else {
            continue;
        };
        match observed(run, record, level) {
            Ok(observed) => used.push(observed),
            Err(why) => left_out.push(LeftOutLevel { level: level.level, concurrency: level.concurrency, why }),
        }
    }
    used.sort_by_key(|observed| (observed.concurrency, observed.level));
    (used, left_out)
}

fn observed(run: &RunData, records: &LevelRecords<'_>, level: &LevelSummary) -> Result<Observed, LeftOut> {
    let preemptions = level.server.and_then(|server| server.preemptions);
    let failed = level.requests.failed as f64 / level.requests.measured.max(1) as f64;
    if has_schedule(run, level.level) {
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
    let clean = Clean::of(records).ok_or(LeftOut::TooShort)?;
    if clean.requests.len() < usize::try_from(level.concurrency).unwrap_or(usize::MAX) {
        return Err(LeftOut::TooShort);
    }
    Ok(Observed {
        level: level.level,
        concurrency: level.concurrency,
        observation: clean.observation().ok_or(LeftOut::LengthsUnknown)?,
    })
}

fn has_schedule(run: &RunData, level: u32) -> bool {
    let schedules = &run.manifest.plan.arrivals;
    let of_level = usize::try_from(level).ok().and_then(|at| schedules.get(at));
    of_level.is_some_and(Option::is_some)
}

/// A level before its first cool-down request.
struct Clean<'a> {
    /// Measured requests that completed in that time, in no particular order.
    requests: Vec<&'a RequestRecord>,
    /// All requests of the level, whatever their stage.
    all: &'a [&'a RequestRecord],
    window: Span,
}

impl<'a> Clean<'a> {
    fn of(level: &'a LevelRecords<'_>) -> Option<Self> {
        let cooldown = level.requests.iter().filter(|record| record.stage == Stage::Cooldown);
        let until = cooldown.map(|record| record.sent_ns.0).min();
        let until = until.unwrap_or(u64::MAX).min(level.window?.end());
        let completed = level.measured().filter(|record| is_completed(record));
        Some(Self {
            requests: completed.filter(|record| record.finished_ns.0 <= until).collect(),
            all: &level.requests,
            window: Span::new(level.window?.start(), until)?,
        })
    }

    fn observation(&self) -> Option<Observation> {
        let of = |figure: &dyn Fn(&RequestRecord) -> Option<f64>| {
            let figures = self.requests.iter().filter_map(|record| figure(record));
            let (sum, n) = figures.fold((0.0, 0.0), |(sum, n), figure| (sum + figure, n + 1.0));
            Some(sum / n).filter(|mean: &f64| mean.is_finite() && *mean > 0.0)
        };
        let spans = self.all.iter();
        let spans = spans.filter_map(|record| Span::new(record.sent_ns.0, record.finished_ns.0));
        let seconds = self.window.ticks() as f64 / 1e9;
        let output: f64 = self.all.iter().map(|r| tokens_within(r, self.window)).sum();
        Some(Observation {
            load: Load {
                // A slot that is late with its next request leaves less than one in flight.
                concurrency: occupancy(spans, self.window).mean.max(1.0),
                isl: of(&computed_prompt_tokens)?.max(1.0),
                osl: of(&|record| Some(tokens(record) as f64))?.max(1.0),
            },
            ttft_s: of(&|record| Some(record.ttft()?.as_secs_f64())),
            tpot_s: of(&|record| Some(record.tpot()?.as_secs_f64())),
            output_tokens_per_second: (output > 0.0).then(|| output / seconds),
        })
    }
}

/// Prompt tokens that no prefix cache spared, by the server's account.
fn computed_prompt_tokens(record: &RequestRecord) -> Option<f64> {
    let cached = record.cached_prompt_tokens.unwrap_or(0);
    Some(record.prompt_tokens?.saturating_sub(cached) as f64)
}
