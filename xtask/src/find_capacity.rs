//! `--find-capacity`: levels one after another, each chosen by what the ones before it showed, in one run folder.
//!
//! What to try next is decided by `analysis::next_search_step`; here it is carried out. A probe is an ordinary level: the
//! plan in the manifest grows by it, and it is run as a run is resumed. An interrupted search goes on with `--resume`.

use std::path::Path;

use analysis::{Probe, SearchEnd, SearchLimits, SearchStep, Summary, next_search_step};
use clap::Args;
use records::{EndReason, Manifest, RunData, RunDir, Stage, Target};

use crate::{
    cli::{LoadArgs, OutputArgs},
    exit::{self, Exit, WithExit as _},
    host,
    levels::{self, Defaults},
    measure::{Measured, measure},
    progress::log,
    report,
    resume::{self, Begun},
};

/// Where the search begins when the user names no concurrency.
const FIRST: u32 = 8;
/// Largest concurrency that is tried.
const MAX_CONCURRENCY: u32 = 4096;

/// How to search.
#[derive(Clone, Debug, Args)]
pub(crate) struct SearchArgs {
    /// Look for the largest concurrency that meets --goodput, level by level, instead of running given levels; begins at
    /// --concurrency [default: 8]
    #[arg(long, requires = "goodput", conflicts_with_all = ["request_rate", "ramp_up_strategy", "stages", "trace", "num_runs", "dry_run"])]
    pub(crate) find_capacity: bool,
    /// Stop the search when the interval of the capacity is this narrow, in percent of it
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = percent, requires = "find_capacity")]
    capacity_tolerance: f64,
    /// Stop the search when as many requests, warm-up included, have been sent
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..), requires = "find_capacity")]
    capacity_budget: u64,
}

/// `10%` or `10`, as a share.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    let value: f64 = number.parse().map_err(|e| format!("`{text}`: {e}"))?;
    if value > 0.0 && value < 100.0 {
        return Ok(value / 100.0);
    }
    Err(format!("`{text}` is not between 0 and 100 percent"))
}

/// Runs levels until the capacity is known as well as asked. Leaves a run folder like any other.
pub(crate) fn find_capacity(
    target: &Target,
    load: &LoadArgs,
    defaults: Defaults,
    output: &OutputArgs,
    mut begun: Option<Begun>,
) -> anyhow::Result<Measured> {
    // Every level of the run belongs to one seed.
    let load = &LoadArgs {
        seed: load.seed.or_else(|| Some(host::unix_ns())),
        ..load.clone()
    };
    let limits = SearchLimits {
        tolerance: load.search.capacity_tolerance,
        max_requests: load.search.capacity_budget,
        max_concurrency: MAX_CONCURRENCY,
    };
    let first = match load.concurrency[..] {
        [] => FIRST,
        [first] => first,
        _ => {
            return Err(exit::error(
                Exit::Usage,
                "understand --concurrency: --find-capacity begins at one number and chooses the others",
            ));
        }
    };
    let mut planned = begun
        .as_ref()
        .map_or_else(|| vec![first], |begun| begun.manifest.plan.levels.clone());
    loop {
        let probes = LoadArgs {
            concurrency: planned.clone(),
            ..load.clone()
        };
        let resumed = begun.as_ref().map(|begun| begun.manifest.resumed.clone());
        let ours = resumed.is_some()
            && begun
                .as_ref()
                .is_some_and(|b| b.manifest.end == Some(EndReason::Completed));
        let measured = measure(target.clone(), &probes, defaults, output, begun.take())?;
        let (step, run) = decide(measured.dir.path(), first, limits)?;
        let mut manifest = run.manifest;
        if let (true, Some(before)) = (ours, resumed) {
            // Going on with the next probe is no resumption that anyone asked for.
            manifest.resumed = before;
            measured.dir.write_manifest(&manifest)?;
        }
        if measured.end != EndReason::Completed {
            return Ok(measured);
        }
        match step {
            SearchStep::Stop(end) => {
                return finished(measured, manifest, end, spent(&run.requests));
            }
            SearchStep::Probe(concurrency) => {
                log(&format!(
                    "find capacity: next level, concurrency {concurrency}"
                ));
                planned.push(concurrency);
                let dir = RunDir::open(measured.dir.path()).exit(Exit::Usage)?;
                begun = Some(next(&dir, load, manifest, concurrency, defaults)?);
            }
        }
    }
}

/// The run as it is with one more level in its plan.
fn next(
    dir: &RunDir,
    load: &LoadArgs,
    mut manifest: Manifest,
    concurrency: u32,
    defaults: Defaults,
) -> anyhow::Result<Begun> {
    let one = LoadArgs {
        concurrency: vec![concurrency],
        ..load.clone()
    };
    for level in levels::levels(&one, defaults)? {
        let plan = &mut manifest.plan;
        plan.levels.push(concurrency);
        plan.requests.push(level.planned_requests(0).unwrap_or(0));
        plan.warmup_requests.push(level.warmup_requests);
        if let Some(&same) = plan.durations_ns.first() {
            plan.durations_ns.push(same);
        }
    }
    dir.write_manifest(&manifest)?;
    resume::next_level(dir.path(), load, manifest)
}

/// What the run so far asks for, and the run.
fn decide(dir: &Path, first: u32, limits: SearchLimits) -> anyhow::Result<(SearchStep, RunData)> {
    let run = RunData::load(&RunDir::open(dir).exit(Exit::Usage)?)?;
    let summary = report::summarise(&run);
    let step = match &summary.goodput {
        Some(goodput) => {
            next_search_step(&probes(&summary, &run), &goodput.capacity, first, limits)
        }
        None => {
            return Err(exit::error(
                Exit::Usage,
                "find a capacity without objectives\nhint: give --goodput",
            ));
        }
    };
    if let Some(goodput) = &summary.goodput {
        let of = |value: Option<f64>| value.map_or_else(|| "…".to_owned(), |v| format!("{v:.1}"));
        let capacity = goodput.capacity;
        log(&format!(
            "find capacity: {} ({} to {}) after {} levels and {} requests",
            of(capacity.concurrency),
            of(capacity.low),
            of(capacity.high),
            summary.levels.len(),
            spent(&run.requests)
        ));
    }
    Ok((step, run))
}

fn probes(summary: &Summary, run: &RunData) -> Vec<Probe> {
    let complete = summary.levels.iter().filter(|level| level.complete);
    let requests = |level: u32| {
        let sent = run.requests.iter();
        sent.filter(|r| r.level == level && r.stage != Stage::Cooldown)
            .count() as u64
    };
    complete
        .map(|level| Probe {
            concurrency: level.concurrency,
            requests: requests(level.level),
        })
        .collect()
}

fn spent(requests: &[records::RequestRecord]) -> usize {
    requests.len()
}

fn finished(
    measured: Measured,
    mut manifest: Manifest,
    end: SearchEnd,
    spent: usize,
) -> anyhow::Result<Measured> {
    let why = match end {
        SearchEnd::Tight => "the interval of the capacity was as narrow as asked",
        SearchEnd::Spent => "the requests of --capacity-budget were spent",
        SearchEnd::NeverFailed => "the largest concurrency that is tried still held",
        SearchEnd::NeverHeld => "a single request at a time already failed",
    };
    let note = format!(
        "the levels were chosen by a search for the capacity, which spent {spent} requests, warm-up included, and ended because {why}"
    );
    log(&note);
    manifest.notes.push(note);
    measured.dir.write_manifest(&manifest)?;
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tolerance_is_a_percentage_with_or_without_its_sign() {
        assert!(percent("10%").is_ok_and(|share| (share - 0.1).abs() < 1e-12));
        assert!(percent("2.5 %").is_ok_and(|share| (share - 0.025).abs() < 1e-12));
        assert!(percent("15").is_ok_and(|share| (share - 0.15).abs() < 1e-12));
        for wrong in ["0", "100%", "-1", "wide", "nan"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }
}
