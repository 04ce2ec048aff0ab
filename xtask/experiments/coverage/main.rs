//! How often the intervals of a report hold the truth: hundreds of runs of a simulated server in virtual time, each
//! summarised as a real run would be, against the same server watched for very long.
//!
//! ```text
//! cargo run --release -p xtask --example coverage            # 1,000 runs a row, writes the table in docs/methodology.md
//! cargo run --release -p xtask --example coverage -- 100     # fewer, printed only
//! cargo run --release -p xtask --example coverage -- search  # the search for a capacity against full sweeps;
//!                                          # then searches, requests a slot in the shortest probe, tolerance in percent
//! cargo run --release -p xtask --example coverage -- stop    # intervals at which --stop-when ends a level; then levels
//! ```

use std::{fs, path::Path, thread, time::Duration};

use analysis::{Estimate, Summary};
use anyhow::Context as _;
use records::{Metric, Objectives};
use simserver::simulate::{Served, closed_loop};
use stats::{Quantile, Sample, quantile};

mod search;
mod stop_rule;
mod virtual_engine;
mod virtual_run;

use virtual_engine::{OSL, profile};
use virtual_run::{Scenario, load, ms, nanoseconds, simulated};

const RUNS: u64 = 1000;
/// Searches, if not told otherwise.
const SEARCHES: u64 = 400;
/// Levels that the stop rule ends, if not told otherwise.
const STOPPED_LEVELS: u64 = 400;
/// Measured requests of each slot in the shortest probe of the search, as the tool has them.
const PROBE_WAVES: u64 = 10;
const MARKS: (&str, &str) = ("<!-- coverage -->", "<!-- /coverage -->");

const SCENARIOS: [Scenario; 6] = [
    Scenario {
        name: "in step: 120 waves of 16",
        levels: [8, 12, 16, 20, 24],
        waves: 120,
        turnaround: Duration::ZERO,
        noise: 0.2,
        warmup: 2,
    },
    Scenario {
        name: "in step: 300 waves of 16",
        levels: [8, 12, 16, 20, 24],
        waves: 300,
        turnaround: Duration::ZERO,
        noise: 0.2,
        warmup: 2,
    },
    Scenario {
        name: "in step: 12 waves of 16",
        levels: [8, 12, 16, 20, 24],
        waves: 12,
        turnaround: Duration::ZERO,
        noise: 0.2,
        warmup: 2,
    },
    Scenario {
        name: "staggered: 40 rounds of 16",
        levels: [8, 12, 16, 20, 24],
        waves: 40,
        turnaround: Duration::from_millis(150),
        noise: 0.2,
        warmup: 20,
    },
    Scenario {
        name: "staggered: 200 rounds of 16",
        levels: [8, 12, 16, 20, 24],
        waves: 200,
        turnaround: Duration::from_millis(150),
        noise: 0.2,
        warmup: 20,
    },
    Scenario {
        name: "one request at a time: 200",
        levels: [1, 2, 3, 4, 5],
        waves: 200,
        turnaround: Duration::ZERO,
        noise: 0.2,
        warmup: 2,
    },
];

/// What the server does in the long run.
#[derive(Debug)]
struct Truth {
    p95_ttft_ms: f64,
    mean_ttft_ms: f64,
    mean_e2el_ms: f64,
    output_tok_s: f64,
    good_per_s: f64,
    attainment: f64,
    capacity: f64,
    objectives: Objectives,
}

#[expect(clippy::print_stdout, reason = "a program that prints a table")]
fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).is_some_and(|word| word == "search") {
        let scenario = SCENARIOS[0];
        let word = |at| std::env::args().nth(at);
        let number = |at: usize, or: u64| word(at).map_or(Ok(or), |n| n.parse());
        let asked = search::Search {
            runs: number(2, SEARCHES)?,
            waves: u32::try_from(number(3, PROBE_WAVES)?)?,
            tolerance: number(4, 10)? as f64 / 100.0,
        };
        return search::print(scenario, &truth(scenario)?, asked);
    }
    if std::env::args().nth(1).is_some_and(|word| word == "stop") {
        let levels = std::env::args().nth(2).map_or(Ok(STOPPED_LEVELS), |n| n.parse())?;
        return stop_rule::print(SCENARIOS[0], levels);
    }
    let asked = std::env::args().nth(1).map(|n| n.parse::<u64>()).transpose()?;
    let mut table =
        String::from("| load | figure | truth | intervals | hold it | median width |\n|---|---|---|---|---|---|\n");
    for scenario in SCENARIOS {
        let truth = truth(scenario)?;
        println!("{scenario:?}\n{truth:?}");
        for row in counted(scenario, &truth, asked.unwrap_or(RUNS))? {
            let line = row.line(scenario);
            print!("{line}");
            table.push_str(&line);
        }
    }
    if asked.is_none() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/methodology.md");
        let text = fs::read_to_string(&path)?;
        let (before, rest) = text.split_once(MARKS.0).context("docs/methodology.md has the marks")?;
        let (_, after) = rest.split_once(MARKS.1).context("docs/methodology.md has both marks")?;
        fs::write(path, format!("{before}{}\n{table}{}{after}", MARKS.0, MARKS.1))?;
    }
    Ok(())
}

/// What so many runs say, worked out side by side.
fn counted(scenario: Scenario, truth: &Truth, runs: u64) -> anyhow::Result<Vec<Row>> {
    let side_by_side = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let every = |first: u64| -> anyhow::Result<Vec<Row>> {
        let mut rows = rows();
        for seed in (first..runs).step_by(usize::try_from(side_by_side)?) {
            let summary = simulated(scenario, seed, truth.objectives)?;
            for row in &mut rows {
                row.count(&summary, truth, scenario);
            }
        }
        Ok(rows)
    };
    thread::scope(|scope| {
        let started: Vec<_> = (0..side_by_side).map(|first| scope.spawn(move || every(first))).collect();
        let mut all = rows();
        for thread in started {
            let part = thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
            for (row, more) in all.iter_mut().zip(part) {
                row.add(more);
            }
        }
        Ok(all)
    })
}

/// A figure of a summary, its truth, and how often the interval held it.
struct Row {
    name: &'static str,
    figure: fn(&Summary, Scenario) -> Option<(f64, f64)>,
    truth: fn(&Truth) -> f64,
    value: f64,
    intervals: u64,
    held: u64,
    widths: Vec<f64>,
}

impl Row {
    fn count(&mut self, summary: &Summary, truth: &Truth, scenario: Scenario) {
        self.value = (self.truth)(truth);
        if let Some((low, high)) = (self.figure)(summary, scenario) {
            self.intervals += 1;
            self.held += u64::from(low <= self.value && self.value <= high);
            // An open end has no width.
            self.widths.extend(Some(high - low).filter(|width| width.is_finite()));
        }
    }

    fn add(&mut self, more: Self) {
        self.value = more.value;
        self.intervals += more.intervals;
        self.held += more.held;
        self.widths.extend(more.widths);
    }

    fn line(&self, scenario: Scenario) -> String {
        let width = Sample::new(self.widths.clone()).map_or(f64::NAN, |widths| quantile(&widths, Quantile::P50));
        if self.intervals == 0 {
            return format!("| {} | {} | {:.3} | none | — | — |\n", scenario.name, self.name, self.value);
        }
        let share = 100.0 * self.held as f64 / self.intervals as f64;
        format!(
            "| {} | {} | {:.3} | {} | {share:.1} % | {:.1} % |\n",
            scenario.name,
            self.name,
            self.value,
            self.intervals,
            100.0 * width / self.value
        )
    }
}

fn rows() -> Vec<Row> {
    let row =
        |name, figure, truth| Row { name, figure, truth, value: f64::NAN, intervals: 0, held: 0, widths: Vec::new() };
    vec![
        row("TTFT p95 (ms)", |s, c| ends(middle(s, c).ttft_ms?.p95), |t| t.p95_ttft_ms),
        row("TTFT mean (ms)", |s, c| ends(Some(middle(s, c).ttft_ms?.mean)), |t| t.mean_ttft_ms),
        row("E2EL mean (ms)", |s, c| ends(Some(middle(s, c).e2el_ms?.mean)), |t| t.mean_e2el_ms),
        row("output (tok/s)", |s, c| ends(middle(s, c).output_tok_s_estimate), |t| t.output_tok_s),
        row("SLO attainment", |s, c| ends(Some(next(s, c).goodput?.attainment)), |t| t.attainment),
        row("goodput (req/s)", |s, c| ends(Some(next(s, c).goodput?.requests_per_s)), |t| t.good_per_s),
        row(
            "capacity (concurrency)",
            |s, _| {
                let capacity = s.goodput.as_ref()?.capacity;
                Some((capacity.low?, capacity.high.unwrap_or(f64::INFINITY)))
            },
            |t| t.capacity,
        ),
    ]
}

fn middle(summary: &Summary, _: Scenario) -> &analysis::LevelSummary {
    &summary.levels[2]
}

fn next(summary: &Summary, _: Scenario) -> &analysis::LevelSummary {
    &summary.levels[3]
}

fn ends(estimate: Option<Estimate>) -> Option<(f64, f64)> {
    estimate.and_then(|estimate| Some((estimate.low?, estimate.high?)))
}

fn truth(scenario: Scenario) -> anyhow::Result<Truth> {
    const LONG: u32 = 60_000;
    let long = |concurrency: u32| -> anyhow::Result<Vec<Served>> {
        let profile = profile(1_000_000 + u64::from(concurrency), scenario.noise)?;
        let served = closed_loop(&profile, &load(scenario, concurrency, LONG))?;
        // Neither the beginning nor the end, where slots have sent their last, is the steady state.
        let rounds = |n: u32| (n * concurrency) as usize;
        let steady = served.into_iter().skip(rounds(20)).take(rounds(LONG / 2) + 1);
        Ok(steady.collect())
    };
    let [_, _, at, next, _] = scenario.levels;
    let p95 = |served: &[Served]| -> anyhow::Result<f64> {
        let ttft = Sample::new(served.iter().map(|s| ms(s.ttft())).collect())?;
        Ok(quantile(&ttft, Quantile::P95))
    };
    // The objective is the p95 of a load a little above the middle level: between these two the capacity lies.
    let served = long(at)?;
    let (below, above) = (p95(&served)?, p95(&long(at + 1)?)?);
    let between = below.midpoint(above);
    let line = [(f64::from(at), below), (f64::from(at + 1), above)];
    let stats::Crossing::At(capacity) = stats::crossing(&line, between) else {
        anyhow::bail!("the 95th percentile of TTFT rises with the load");
    };
    let at_next = long(next)?;
    let mean =
        |figure: fn(&Served) -> Duration| served.iter().map(|s| ms(figure(s))).sum::<f64>() / served.len() as f64;
    // The last request only marks the end of the time before it.
    let seconds = |served: &[Served]| served[served.len() - 1].sent.as_secs_f64() - served[0].sent.as_secs_f64();
    let good = at_next.iter().filter(|s| ms(s.ttft()) <= between).count() as f64;
    Ok(Truth {
        p95_ttft_ms: p95(&served)?,
        mean_ttft_ms: mean(Served::ttft),
        mean_e2el_ms: mean(Served::e2el),
        output_tok_s: (served.len() - 1) as f64 * f64::from(OSL) / seconds(&served),
        good_per_s: good / seconds(&at_next),
        attainment: good / at_next.len() as f64,
        capacity,
        objectives: Objectives {
            limits_ns: [(Metric::Ttft, nanoseconds(between))].into_iter().collect(),
            attainment: 0.95,
        },
    })
}
