//! The adaptive search for a capacity: what it costs and how often it is right, against sweeps of the tool's own levels
//! that are run for longer until their interval is as narrow.

use analysis::{LoadCapacity, Probe, SearchLimits, SearchStep, Summary, next_search_step};
use stats::{Quantile, Sample, quantile};

use crate::{
    Truth,
    virtual_run::{Scenario, VirtualRun},
};

const LIMITS: SearchLimits =
    SearchLimits { tolerance: 0.1, max_requests: 200_000, smallest: 1.0, largest: 256.0, fewest: 72.0, step: 1.0 };
/// Levels of a sweep for which none are named.
const SWEEP: [u32; 8] = [1, 2, 4, 8, 16, 32, 48, 64];
/// Sweeps whose median width is compared.
const SWEEPS: u64 = 41;
/// Measured requests of each slot in the shortest sweep.
const WAVES: u32 = 20;

/// What to search for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    /// Searches.
    pub(crate) runs: u64,
    /// Measured requests of each slot in the shortest probe.
    pub(crate) waves: u32,
    /// Width of the interval over the capacity.
    pub(crate) tolerance: f64,
}

/// Prints both as they become known: the searches, then sweeps that grow until they are as tight.
#[expect(clippy::print_stdout, reason = "part of a program that prints a table")]
pub(crate) fn print(scenario: Scenario, truth: &Truth, asked: Search) -> anyhow::Result<()> {
    let Search { runs, waves, .. } = asked;
    let (mut held, mut below, mut widths, mut costs) = (0, 0, Vec::new(), Vec::new());
    for seed in 0..runs {
        let (capacity, cost) = search(scenario, truth, asked, 5000 + seed)?;
        let (low, high) = ends(&capacity);
        held += u64::from(low <= truth.capacity && truth.capacity <= high);
        below += u64::from(high < truth.capacity);
        widths.push((high - low) / truth.capacity);
        costs.push(cost as f64);
    }
    let (cost, width) = (median(costs)?, median(widths)?);
    println!(
        "search by probes of {waves} requests a slot and more: truth {:.2}, {runs} runs, held {:.1} % ({below} too low), median width {:.1} %, median requests {cost}",
        truth.capacity,
        100.0 * held as f64 / runs as f64,
        100.0 * width
    );
    let mut waves = WAVES;
    loop {
        let (sweep_width, sweep_cost) = sweeps(Scenario { waves, ..scenario }, truth)?;
        println!(
            "sweep, {waves} requests a slot: median width {:.1} %, {sweep_cost} requests; the search took {:.2} of them",
            100.0 * sweep_width,
            cost / sweep_cost as f64
        );
        if sweep_width <= width || waves > 2000 {
            return Ok(());
        }
        waves = waves * 6 / 5;
    }
}

fn sweeps(scenario: Scenario, truth: &Truth) -> anyhow::Result<(f64, u64)> {
    let mut cost = 0;
    let mut widths = Vec::new();
    for seed in 0..SWEEPS {
        let mut run = VirtualRun::new(scenario, 90_000 + seed, truth.objectives);
        cost = 0;
        for concurrency in SWEEP {
            cost += run.measure(concurrency, scenario.waves)?;
        }
        let (low, high) = ends(&capacity(&run.summary())?);
        widths.push(((high - low) / truth.capacity).min(1e3));
    }
    Ok((median(widths)?, cost))
}

fn search(scenario: Scenario, truth: &Truth, asked: Search, seed: u64) -> anyhow::Result<(LoadCapacity, u64)> {
    let mut run = VirtualRun::new(scenario, seed, truth.objectives);
    let mut probes: Vec<Probe> = Vec::new();
    let mut known = LoadCapacity::UNKNOWN;
    let limits = SearchLimits { tolerance: asked.tolerance, ..LIMITS };
    while let SearchStep::Probe { load, volumes } = next_search_step(&probes, &known, 8.0, limits) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "loads of this search are numbers of slots"
        )]
        let requests = run.measure(load as u32, volumes * asked.waves)?;
        probes.push(Probe { load, volumes, requests, effective: 0.0 });
        let summary = run.summary();
        let last = summary.levels.last().and_then(|level| level.goodput);
        if let (Some(probe), Some(of)) = (probes.last_mut(), last) {
            probe.effective = of.effective.unwrap_or(0.0);
        }
        known = capacity(&summary)?;
    }
    Ok((known, probes.iter().map(|probe| probe.requests).sum()))
}

fn capacity(summary: &Summary) -> anyhow::Result<LoadCapacity> {
    let goodput = summary.goodput.as_ref();
    goodput.map(|goodput| LoadCapacity::from(goodput.capacity)).ok_or_else(|| anyhow::anyhow!("the run has objectives"))
}

fn ends(capacity: &LoadCapacity) -> (f64, f64) {
    (capacity.low.unwrap_or(0.0), capacity.high.unwrap_or(f64::INFINITY))
}

fn median(values: Vec<f64>) -> anyhow::Result<f64> {
    Ok(quantile(&Sample::new(values)?, Quantile::P50))
}
