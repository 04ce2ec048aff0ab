//! `--find-capacity`: levels one after another, each chosen by what the ones before it showed, in one run folder.
//!
//! What to try next is decided by `analysis::next_search_step`; here it is carried out. A probe is an ordinary level: the
//! plan in the manifest grows by it, and it is run as a run is resumed. An interrupted search goes on with `--resume`:
//! which loads were tried, and for how long, stands in the plan. With `--request-rate` the load is a rate, otherwise it is
//! the number of requests in flight.

use std::path::Path;

use analysis::{
    LevelSummary, LoadCapacity, Probe, SearchEnd, SearchLimits, SearchStep, Summary, fewest_effective, next_search_step,
};
use anyhow::Context as _;
use clap::Args;
use records::{EndReason, Manifest, RunData, RunDir, Stage, Target};

use crate::{
    access::Secrets,
    cli::{LoadArgs, OutputArgs},
    exit::{self, Exit, WithExit as _},
    host,
    levels::{self, Defaults},
    measure::{Measured, measure},
    plan,
    progress::log,
    report,
    resume::{self, Begun},
};

/// Where the search begins when the user names no concurrency.
const FIRST_CONCURRENCY: u32 = 8;
/// Largest concurrency that is tried.
const MOST_CONCURRENCY: u32 = 4096;
/// Smallest and largest rate that are tried: a request in a quarter of an hour, and more than a client sends.
const RATES: (f64, f64) = (0.001, 100_000.0);

/// How to search.
#[derive(Clone, Debug, Args)]
pub(crate) struct SearchArgs {
    /// Look for the largest load that meets --goodput, level by level, instead of running given levels: a concurrency,
    /// beginning at --concurrency [default: 8], or a rate, beginning at --request-rate. Each level measures --request-count
    /// or --benchmark-duration [default: 10 requests per slot, or 60 seconds of a rate], or several times as much where
    /// that narrows the interval
    #[arg(long, requires = "goodput", conflicts_with_all = ["ramp_up_strategy", "stages", "trace", "dry_run", "num_runs", "level_order", "stop_when"])]
    pub(crate) find_capacity: bool,
    /// Stop the search when the interval of the capacity is this narrow, in percent of it
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = percent, requires = "find_capacity")]
    capacity_tolerance: f64,
    /// Stop the search when as many requests, warm-up included, have been sent
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..), requires = "find_capacity")]
    capacity_budget: u64,
    /// How many times what a level measures by default each level measures; the search sets it.
    #[arg(skip)]
    pub(crate) volumes: Vec<u32>,
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

/// What is sought: the largest number of slots, or the largest rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sought {
    Slots,
    Rate,
}

impl Sought {
    fn limits(self, load: &LoadArgs, summary: &Summary, attainment: f64) -> SearchLimits {
        let (smallest, largest, step) = match self {
            Self::Slots => (1.0, f64::from(MOST_CONCURRENCY), 1.0),
            Self::Rate => (RATES.0, RATES.1, 0.0),
        };
        SearchLimits {
            tolerance: load.search.capacity_tolerance,
            max_requests: load.search.capacity_budget,
            smallest,
            largest,
            fewest: fewest_effective(attainment, summary.confidence_level.unwrap_or(0.95)),
            step,
        }
    }

    fn first(self, load: &LoadArgs) -> anyhow::Result<f64> {
        match (self, &load.concurrency[..], &load.request_rate[..]) {
            (Self::Slots, [], _) => Ok(f64::from(FIRST_CONCURRENCY)),
            (Self::Slots, [first], _) => Ok(f64::from(*first)),
            (Self::Rate, _, [first]) if first.is_finite() && *first > 0.0 => Ok(*first),
            _ => Err(exit::error(
                Exit::Usage,
                "understand where --find-capacity is to begin: it takes one --concurrency, or one --request-rate, and chooses the others",
            )),
        }
    }

    /// The settings of a run of these levels.
    fn settings(self, load: &LoadArgs, tried: &[Tried]) -> LoadArgs {
        let mut load = load.clone();
        let loads = tried.iter().map(|tried| tried.load);
        match self {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the search tries whole numbers up to MOST_CONCURRENCY"
            )]
            Self::Slots => load.concurrency = loads.map(|load| load as u32).collect(),
            Self::Rate => load.request_rate = loads.collect(),
        }
        load.search.volumes = tried.iter().map(|tried| tried.volumes).collect();
        load
    }

    /// The levels that the plan of a search has, and how much each measures.
    fn tried(self, load: &LoadArgs, plan: &records::Plan, defaults: Defaults) -> anyhow::Result<Vec<Tried>> {
        let rates = plan.arrivals.iter();
        let loads: Vec<f64> = match self {
            Self::Slots => plan.levels.iter().copied().map(f64::from).collect(),
            Self::Rate => rates.filter_map(|of| of.as_ref()?.per_second).collect(),
        };
        let once: Vec<Tried> = loads.into_iter().map(|load| Tried { load, volumes: 1 }).collect();
        let least = levels::levels(&self.settings(load, &once), defaults)?;
        (0..)
            .zip(least)
            .zip(once)
            .map(|((index, least), tried)| {
                let of = |values: &[u64]| values.get(index).copied().filter(|n| *n > 0);
                let volumes = levels::times_as_much(&least, of(&plan.requests), of(&plan.durations_ns));
                Ok(Tried { volumes: volumes.context("the plan of the search has a level of another size")?, ..tried })
            })
            .collect()
    }
}

/// A level that the search chose.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tried {
    load: f64,
    volumes: u32,
}

/// Runs levels until the capacity is known as well as asked. Leaves a run folder like any other.
pub(crate) fn find_capacity(
    target: &Target,
    load: &LoadArgs,
    defaults: Defaults,
    output: &OutputArgs,
    mut begun: Option<Begun>,
) -> anyhow::Result<Measured> {
    let defaults = defaults.searching();
    // Every level of the run belongs to one seed.
    let load = &LoadArgs { seed: load.seed.or_else(|| Some(host::unix_ns())), ..load.clone() };
    let sought = if load.request_rate.is_empty() { Sought::Slots } else { Sought::Rate };
    let first = sought.first(load)?;
    let mut tried = match &begun {
        Some(begun) => sought.tried(load, &begun.manifest.plan, defaults)?,
        None => vec![Tried { load: first, volumes: 1 }],
    };
    loop {
        let probes = sought.settings(load, &tried);
        let resumed = begun.as_ref().map(|begun| begun.manifest.resumed.clone());
        let ours = begun.as_ref().is_some_and(|b| b.manifest.end == Some(EndReason::Completed));
        let measured = measure(target.clone(), &probes, defaults, output, begun.take())?;
        let (step, run) = decide(measured.dir.path(), sought, first, load, &tried)?;
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
                return finished(measured, manifest, end, run.requests.len());
            }
            SearchStep::Probe { load: next, volumes } => {
                let what = match sought {
                    Sought::Slots => format!("concurrency {next}"),
                    Sought::Rate => format!("{next} requests per second"),
                };
                log(&format!("find capacity: next level, {what}, {volumes} times the least"));
                tried.push(Tried { load: next, volumes });
                let probes = sought.settings(load, &tried);
                begun = Some(next_level(measured.dir.path(), target, &probes, manifest, defaults)?);
            }
        }
    }
}

/// The run as it is with one more level in its plan.
fn next_level(
    path: &Path,
    target: &Target,
    probes: &LoadArgs,
    mut manifest: Manifest,
    defaults: Defaults,
) -> anyhow::Result<Begun> {
    let secrets = Secrets::gather(probes)?;
    let engine = &manifest.engine;
    let (planned, _) = plan::build(target.url(), probes, &secrets, defaults, engine)?;
    let planned = planned.to_record();
    manifest.plan = records::Plan {
        levels: planned.levels,
        requests: planned.requests,
        arrivals: planned.arrivals,
        durations_ns: planned.durations_ns,
        warmup_requests: planned.warmup_requests,
        ..manifest.plan
    };
    RunDir::open(path).exit(Exit::Usage)?.write_manifest(&manifest)?;
    resume::next_level(path, probes, manifest)
}

/// What the run so far asks for, and the run.
fn decide(
    dir: &Path,
    sought: Sought,
    first: f64,
    load: &LoadArgs,
    tried: &[Tried],
) -> anyhow::Result<(SearchStep, RunData)> {
    let run = RunData::load(&RunDir::open(dir).exit(Exit::Usage)?)?;
    let summary = report::summarise(&run);
    let Some(goodput) = &summary.goodput else {
        return Err(exit::error(Exit::Usage, "find a capacity without objectives\nhint: give --goodput"));
    };
    let capacity = match sought {
        Sought::Slots => LoadCapacity::from(goodput.capacity),
        Sought::Rate => goodput.capacity_per_s.unwrap_or(LoadCapacity::UNKNOWN),
    };
    let probes = probes(&summary, &run, tried);
    let limits = sought.limits(load, &summary, goodput.attainment);
    let step = next_search_step(&probes, &capacity, first, limits);
    let of = |value: Option<f64>| value.map_or_else(|| "…".to_owned(), |v| format!("{v:.3}"));
    log(&format!(
        "find capacity: {} ({} to {}) after {} levels and {} requests",
        of(capacity.load),
        of(capacity.low),
        of(capacity.high),
        summary.levels.len(),
        run.requests.len()
    ));
    Ok((step, run))
}

fn probes(summary: &Summary, run: &RunData, tried: &[Tried]) -> Vec<Probe> {
    let requests = |level: u32| {
        let sent = run.requests.iter();
        sent.filter(|r| r.level == level && r.stage != Stage::Cooldown).count() as u64
    };
    let complete = summary.levels.iter().filter(|level| level.complete);
    let probe = |level: &LevelSummary| {
        let tried = tried.get(usize::try_from(level.level).ok()?)?;
        Some(Probe {
            load: tried.load,
            volumes: tried.volumes,
            requests: requests(level.level),
            effective: level.goodput.and_then(|of| of.effective).unwrap_or(0.0),
        })
    };
    complete.filter_map(probe).collect()
}

/// How the note of a search that is over begins.
const OVER: &str = "the levels were chosen by a search for the capacity";

/// Whether the run is a search whose last level ended but which has not decided yet that it is over.
pub(crate) fn is_under_way(manifest: &Manifest, load: &LoadArgs) -> bool {
    load.search.find_capacity && !manifest.notes.iter().any(|note| note.starts_with(OVER))
}

fn finished(measured: Measured, mut manifest: Manifest, end: SearchEnd, spent: usize) -> anyhow::Result<Measured> {
    let why = match end {
        SearchEnd::Tight => "the interval of the capacity was as narrow as asked",
        SearchEnd::Spent => "the requests of --capacity-budget were spent",
        SearchEnd::NeverFailed => "the largest load that is tried still held",
        SearchEnd::NeverHeld => "the smallest load that is tried already failed",
    };
    let note = format!("{OVER}, which spent {spent} requests, warm-up included, and ended because {why}");
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
