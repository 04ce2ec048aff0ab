//! Search for the capacity: levels one after another, each chosen by the results of those before it, in one run folder.
//!
//! `analysis::next_search_step` decides what to try next; here it is carried out. A probe is an ordinary level: the plan
//! in the manifest grows by it, and it is run as a run is resumed. An interrupted search goes on: the plan contains which
//! loads were tried and for how long. The load is a rate where the settings begin at a rate, otherwise a concurrency.

use std::path::Path;

use analysis::{
    LevelSummary, LoadCapacity, Probe, SearchEnd, SearchLimits, SearchStep, Summary, fewest_effective, next_search_step,
};
use loadgen::Level;
use records::{EndReason, Manifest, RunData, RunDir, Search, Stage};

use crate::{
    BenchError, Context, Event, SearchedLoad,
    begun::Begun,
    host, levels,
    measure::{Measured, measure},
    schedule,
    settings::{Arrivals, Number, SearchSettings, Settings},
};

/// Largest concurrency that is tried.
const CONCURRENCY_MAX: u32 = 4096;
/// Smallest and largest rate that are tried: a request in a quarter of an hour, and more than a client sends.
const RATES: (f64, f64) = (0.001, 100_000.0);
/// Confidence of the interval unless the settings name another.
const CONFIDENCE_DEFAULT: f64 = 0.95;

/// A level that the search chose.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tried {
    load: f64,
    volumes: u32,
}

/// Settings of the search with the kind of its load.
struct Sought<'a> {
    settings: &'a Settings,
    limits: SearchSettings,
    first: f64,
    is_rate: bool,
}

impl<'a> Sought<'a> {
    fn new(settings: &'a Settings, limits: SearchSettings) -> Result<Self, BenchError> {
        let (first, is_rate) = match &settings.load.arrivals {
            Arrivals::Concurrency { levels } if levels.len() == 1 => (levels.first().copied().map(f64::from), false),
            Arrivals::Rate { per_second, .. } if per_second.len() == 1 => {
                (per_second.first().map(|rate| rate.0).filter(|rate| rate.is_finite() && *rate > 0.0), true)
            }
            _ => (None, false),
        };
        let first = first.ok_or_else(|| {
            BenchError::setting(
                "load.arrivals",
                "a search begins at one load",
                "give --find-capacity one --concurrency or one --request-rate; it chooses the others",
            )
        })?;
        Ok(Self { settings, limits, first, is_rate })
    }

    fn load(&self, load: f64) -> SearchedLoad {
        if self.is_rate { SearchedLoad::Rate(load) } else { SearchedLoad::Concurrency(load) }
    }

    fn limits(&self, summary: &Summary, attainment: f64) -> SearchLimits {
        let (smallest, largest, step) =
            if self.is_rate { (RATES.0, RATES.1, 0.0) } else { (1.0, f64::from(CONCURRENCY_MAX), 1.0) };
        SearchLimits {
            tolerance: self.limits.tolerance,
            max_requests: self.limits.requests_max,
            smallest,
            largest,
            fewest: fewest_effective(attainment, summary.confidence_level.unwrap_or(CONFIDENCE_DEFAULT)),
            step,
        }
    }

    /// The shortest levels of these loads.
    fn least(&self, loads: impl Iterator<Item = f64>) -> Result<Vec<Level>, BenchError> {
        let mut settings = self.settings.clone();
        match &mut settings.load.arrivals {
            Arrivals::Rate { per_second, .. } => *per_second = loads.map(Number).collect(),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the search tries whole numbers up to CONCURRENCY_MAX"
            )]
            other => *other = Arrivals::Concurrency { levels: loads.map(|load| load as u32).collect() },
        }
        levels::levels(&settings)
    }

    fn levels(&self, tried: &[Tried]) -> Result<Vec<Level>, BenchError> {
        let least = self.least(tried.iter().map(|tried| tried.load))?;
        Ok(least.into_iter().zip(tried).map(|(level, tried)| levels::grow(level, tried.volumes)).collect())
    }

    /// The levels that the plan of a search has, and how much each measures.
    fn tried(&self, begun: &Begun) -> Result<Vec<Tried>, BenchError> {
        let plan = &begun.manifest.plan;
        let loads: Vec<f64> = if self.is_rate {
            plan.arrivals.iter().filter_map(|arrivals| arrivals.as_ref()?.per_second).collect()
        } else {
            plan.levels.iter().copied().map(f64::from).collect()
        };
        let least = self.least(loads.iter().copied())?;
        let tried = (0..).zip(least).zip(loads).map(|((index, least), load)| {
            let planned = |values: &[u64]| values.get(index).copied().filter(|n| *n > 0);
            let volumes = levels::times_as_much(&least, planned(&plan.requests), planned(&plan.durations_ns))?;
            Some(Tried { load, volumes })
        });
        tried.collect::<Option<_>>().ok_or_else(|| BenchError::PlanChanged { path: begun.dir.path().to_owned() })
    }
}

/// Runs levels until the capacity is known as precisely as asked. Leaves a run folder like any other.
pub(crate) fn run(
    context: &Context<'_>,
    settings: &Settings,
    limits: SearchSettings,
    mut begun: Option<Begun>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Measured, BenchError> {
    // Every level of the run belongs to one seed.
    let mut settings = settings.clone();
    settings.load.seed.get_or_insert_with(host::unix_ns);
    let sought = Sought::new(&settings, limits)?;
    if settings.judgement.objectives.is_none() {
        return Err(BenchError::setting("judgement.objectives", "a search needs them", "give --goodput"));
    }
    let mut tried = match &begun {
        Some(begun) => sought.tried(begun)?,
        None => vec![Tried { load: sought.first, volumes: 1 }],
    };
    loop {
        let resumed = begun.as_ref().map(|begun| begun.manifest.resumed.clone());
        let ours = begun.as_ref().is_some_and(|b| b.manifest.end == Some(EndReason::Completed));
        let measured = measure(context, &settings, sought.levels(&tried)?, begun.take(), on_event)?;
        let run = RunData::load(&RunDir::open(measured.dir.path())?)?;
        let step = decide(&sought, &run, &tried, on_event);
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
            SearchStep::Probe { .. } if context.stop.is_stopped() => {
                return Ok(Measured { end: EndReason::Interrupted, ..measured });
            }
            SearchStep::Stop(ended) => {
                let search = Search { ended, requests: run.requests.len() as u64 };
                return finished(measured, manifest, search, on_event);
            }
            SearchStep::Probe { load, volumes } => {
                on_event(Event::SearchProbe { load: sought.load(load), volumes });
                tried.push(Tried { load, volumes });
                begun = Some(next_level(measured.dir.path(), context, &sought, &tried, manifest)?);
            }
        }
    }
}

/// The run as it is with one more level in its plan.
fn next_level(
    path: &Path,
    context: &Context<'_>,
    sought: &Sought<'_>,
    tried: &[Tried],
    mut manifest: Manifest,
) -> Result<Begun, BenchError> {
    let levels = sought.levels(tried)?;
    let (planned, _) = schedule::build(sought.settings, levels, context.secrets, &manifest.engine)?;
    let planned = planned.to_record();
    manifest.plan = records::Plan {
        levels: planned.levels,
        requests: planned.requests,
        arrivals: planned.arrivals,
        durations_ns: planned.durations_ns,
        warmup_requests: planned.warmup_requests,
        ..manifest.plan
    };
    RunDir::open(path)?.write_manifest(&manifest)?;
    Begun::with_next_level(path, manifest)
}

/// The next step after the levels so far.
fn decide(sought: &Sought<'_>, run: &RunData, tried: &[Tried], on_event: &mut dyn FnMut(Event<'_>)) -> SearchStep {
    let summary = analysis::summarise(run, None, None);
    let goodput = summary.goodput.as_ref();
    let capacity = goodput.and_then(|goodput| {
        if sought.is_rate { goodput.capacity_per_s } else { Some(LoadCapacity::from(goodput.capacity)) }
    });
    let capacity = capacity.unwrap_or(LoadCapacity::UNKNOWN);
    let attainment = goodput.map_or(CONFIDENCE_DEFAULT, |goodput| goodput.attainment);
    let step =
        next_search_step(&probes(&summary, run, tried), &capacity, sought.first, sought.limits(&summary, attainment));
    on_event(Event::SearchEstimate { capacity: &capacity, levels: summary.levels.len(), requests: run.requests.len() });
    step
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
            effective: level.goodput.and_then(|goodput| goodput.effective).unwrap_or(0.0),
        })
    };
    complete.filter_map(probe).collect()
}

fn finished(
    measured: Measured,
    mut manifest: Manifest,
    search: Search,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Measured, BenchError> {
    let why = match search.ended {
        SearchEnd::Tight => "the interval of the capacity was as narrow as asked",
        SearchEnd::Spent => "the requests of --capacity-budget were spent",
        SearchEnd::NeverFailed => "the largest load that is tried still held",
        SearchEnd::NeverHeld => "the smallest load that is tried already failed",
    };
    let note = format!(
        "the levels were chosen by a search for the capacity, which spent {} requests, warm-up included, and ended because {why}",
        search.requests
    );
    on_event(Event::SearchEnded { note: &note });
    manifest.notes.push(note);
    manifest.search = Some(search);
    measured.dir.write_manifest(&manifest)?;
    Ok(measured)
}
