//! The adaptive search for a capacity: what it costs and how often it is right, against sweeps of the tool's own levels
//! that are run for longer until their interval is as narrow.

use analysis::{Probe, SearchLimits, SearchStep, SloCapacity, Summary, next_search_step};
use stats::{Quantile, Sample, quantile};

use crate::{
    Truth,
    virtual_run::{Scenario, VirtualRun},
};

const LIMITS: SearchLimits = SearchLimits {
    tolerance: 0.1,
    max_requests: 200_000,
    max_concurrency: 256,
};
/// Levels of a sweep for which none are named.
const SWEEP: [u32; 8] = [1, 2, 4, 8, 16, 32, 48, 64];
/// Sweeps whose median width is compared.
const SWEEPS: u64 = 21;
/// Measured requests of each slot in the shortest sweep.
const WAVES: u32 = 30;

/// Prints both as they become known: `runs` searches by probes of `probe_waves` requests a slot, then sweeps that grow until they are as tight.
#[expect(clippy::print_stdout, reason = "part of a program that prints a table")]
pub(crate) fn print(
    scenario: Scenario,
    truth: &Truth,
    runs: u64,
    probe_waves: u32,
) -> anyhow::Result<()> {
    let probed = Scenario {
        waves: probe_waves,
        ..scenario
    };
    let (mut held, mut widths, mut costs) = (0, Vec::new(), Vec::new());
    for seed in 0..runs {
        let (capacity, cost) = search(probed, truth, 5000 + seed)?;
        let (low, high) = ends(&capacity);
        held += u64::from(low <= truth.capacity && truth.capacity <= high);
        widths.push((high - low) / truth.capacity);
        costs.push(cost as f64);
    }
    let (cost, width) = (median(costs)?, median(widths)?);
    println!(
        "search by probes of {probe_waves} waves: truth {:.2}, {runs} runs, held {:.1} %, median width {:.1} %, median requests {cost}",
        truth.capacity,
        100.0 * held as f64 / runs as f64,
        100.0 * width
    );
    let mut waves = WAVES;
    loop {
        let (sweep_width, sweep_cost) = sweeps(Scenario { waves, ..scenario }, truth)?;
        println!(
            "sweep, {waves} waves a level: median width {:.1} %, {sweep_cost} requests; the search took {:.2} of them",
            100.0 * sweep_width,
            cost / sweep_cost as f64
        );
        if sweep_width <= width || waves > 2000 {
            return Ok(());
        }
        waves = waves * 3 / 2;
    }
}

fn sweeps(scenario: Scenario, truth: &Truth) -> anyhow::Result<(f64, u64)> {
    let mut cost = 0;
    let mut widths = Vec::new();
    for seed in 0..SWEEPS {
        let mut run = VirtualRun::new(scenario, 90_000 + seed, truth.objectives);
        cost = 0;
        for concurrency in SWEEP {
            cost += run.measure(concurrency)?;
        }
        let (low, high) = ends(&capacity(&run.summary())?);
        widths.push(((high - low) / truth.capacity).min(1e3));
    }
    Ok((median(widths)?, cost))
}

fn search(scenario: Scenario, truth: &Truth, seed: u64) -> anyhow::Result<(SloCapacity, u64)> {
    let mut run = VirtualRun::new(scenario, seed, truth.objectives);
    let mut probes: Vec<Probe> = Vec::new();
    let mut known = SloCapacity {
        concurrency: None,
        low: None,
        high: None,
        held_at: None,
        failed_at: None,
    };
    while let SearchStep::Probe(concurrency) = next_search_step(&probes, &known, 8, LIMITS) {
        let requests = run.measure(concurrency)?;
        probes.push(Probe {
            concurrency,
            requests,
        });
        known = capacity(&run.summary())?;
    }
    Ok((known, probes.iter().map(|probe| probe.requests).sum()))
}

fn capacity(summary: &Summary) -> anyhow::Result<SloCapacity> {
    let goodput = summary.goodput.as_ref();
    goodput
        .map(|goodput| goodput.capacity)
        .ok_or_else(|| anyhow::anyhow!("the run has objectives"))
}

fn ends(capacity: &SloCapacity) -> (f64, f64) {
    (
        capacity.low.unwrap_or(0.0),
        capacity.high.unwrap_or(f64::INFINITY),
    )
}

fn median(values: Vec<f64>) -> anyhow::Result<f64> {
    Ok(quantile(&Sample::new(values)?, Quantile::P50))
}
