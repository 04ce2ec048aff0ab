//! How often the interval at which `--stop-when` ends a level holds the truth, and how far figures at the stop are off: the
//! shares that `docs/methodology.md` quotes.

use std::time::Duration;

use analysis::{StopRule, StopWatch, summarise};
use rand_pcg::{Pcg64, rand_core::Rng};
use records::{Objectives, Offset, Phase, PhaseKind, Stage};
use simserver::simulate::Served;

use crate::{
    virtual_engine::record,
    virtual_run::{Scenario, VirtualRun, ms, nanoseconds},
};

const SLOTS: u32 = 8;
/// Requests after which a level ends in any case.
const REQUESTS_MAX: u32 = 100_000;
/// Levels whose requests share half of their TTFT with their wave: the sum of two exponentials, so gamma of shape 2, whose
/// mean is 2 and whose 95th percentile is 4.743865 (any table).
const CASES: [(&str, f64); 4] =
    [("ttft:10%", 2.0), ("ttft:5%", 2.0), ("ttft_p95:20%", 4.743_864_518), ("ttft_p95:10%", 4.743_864_518)];

/// What a rule did over many levels.
#[derive(Debug, Default)]
struct Outcomes {
    stopped: u32,
    held: u32,
    /// Sum of the estimates over the truth.
    ratio: f64,
    requests: f64,
}

/// Prints a line for each rule, from so many levels.
#[expect(clippy::print_stdout, reason = "part of a program that prints a table")]
pub(crate) fn print(scenario: Scenario, levels: u64) -> anyhow::Result<()> {
    for (text, truth) in CASES {
        let rule: StopRule = text.parse().map_err(anyhow::Error::msg)?;
        let mut outcomes = Outcomes::default();
        for seed in 0..levels {
            level(rule, scenario, 100.0 * truth, seed, &mut outcomes)?;
        }
        let n = f64::from(outcomes.stopped);
        println!(
            "{text}: {} of {levels} levels stopped; {:.1} % of their intervals hold the truth, figures are off by {:+.1} %, {:.0} requests a level",
            outcomes.stopped,
            100.0 * f64::from(outcomes.held) / n,
            100.0 * (outcomes.ratio / n - 1.0),
            outcomes.requests / n
        );
    }
    Ok(())
}

/// One level, measured until the rule ends it.
fn level(rule: StopRule, scenario: Scenario, truth: f64, seed: u64, outcomes: &mut Outcomes) -> anyhow::Result<()> {
    let mut draw = Pcg64::new(u128::from(seed), 77);
    let mut watch = StopWatch::new(rule, SLOTS, None, None);
    let mut run = VirtualRun::new(scenario, seed, Objectives { limits_ns: [].into_iter().collect(), attainment: 0.95 })
        .into_records();
    let mut wave = 0.0;
    for n in 0..REQUESTS_MAX {
        if n % SLOTS == 0 {
            wave = exponential(&mut draw);
        }
        let ttft = Duration::from_nanos(nanoseconds(100.0 * (wave + exponential(&mut draw))));
        let sent = Duration::from_secs(u64::from(n));
        let first_token = sent + ttft;
        let last_token = first_token + Duration::from_micros(1);
        let served =
            Served { slot: n % SLOTS, sent, queued: Duration::ZERO, first_token, last_token, output_tokens: 2 };
        let stamps = [first_token, last_token].map(|at| nanoseconds(ms(at.saturating_sub(sent))));
        let record = record((u64::from(n), 0), Duration::ZERO, &served, Stage::Measured, stamps.to_vec());
        let tight = watch.observe(&record);
        run.requests.push(record);
        if tight {
            break;
        }
    }
    if !watch.is_tight() {
        return Ok(());
    }
    let n = run.requests.len() as u64;
    run.manifest.plan.levels = vec![SLOTS];
    run.manifest.plan.requests = vec![n];
    run.phases.push(Phase {
        kind: PhaseKind::Measure,
        level: Some(0),
        start_ns: Offset(0),
        end_ns: Offset(n * 1_000_000_000),
        client: None,
        ended_by: None,
    });
    let ttft = summarise(&run, None, None).levels.remove(0).ttft_ms;
    let ttft = ttft.ok_or_else(|| anyhow::anyhow!("a level without a TTFT"))?;
    let figure = if truth > 300.0 { ttft.p95 } else { Some(ttft.mean) };
    let figure = figure.ok_or_else(|| anyhow::anyhow!("a level without the figure that it stopped on"))?;
    let inside = figure.low.zip(figure.high).is_some_and(|(low, high)| low <= truth && truth <= high);
    outcomes.stopped += 1;
    outcomes.held += u32::from(inside);
    outcomes.ratio += figure.value / truth;
    outcomes.requests += n as f64;
    Ok(())
}

/// Exponential, mean 1.
fn exponential(draw: &mut Pcg64) -> f64 {
    -(((draw.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64).ln()
}
