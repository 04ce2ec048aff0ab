//! Writes a run folder of a million requests, as a run of the tool would have left it, to see what a report of it costs.
//! The requests are those of the simulated engine in virtual time, at eight levels, with every token's stamp.
//!
//! ```text
//! cargo run --release -p xtask --example large_run -- /tmp/large            # makes /tmp/large/large-1000000
//! cargo run --release -p xtask --example large_run -- /tmp/large 100000     # fewer
//! /usr/bin/time -v target/release/xtask report /tmp/large/large-1000000     # what to time
//! ```

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use records::{
    ClockAnchor, Judgement, Manifest, Metric, Objectives, Offset, Outcome, Phase, PhaseKind, RequestRecord, RunDir,
    SCHEMA_VERSION, Stage, Target, run_dir,
};
use simserver::simulate::{ClosedLoop, Served, closed_loop};

#[path = "coverage/virtual_engine.rs"]
mod virtual_engine;

use virtual_engine::{ISL, OSL};

const LEVELS: [u32; 8] = [1, 2, 4, 8, 16, 32, 48, 64];
const REQUESTS: u64 = 1_000_000;

#[expect(clippy::print_stdout, reason = "a program that says what it wrote")]
fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let folder = words.next().filter(|word| !word.starts_with('-'));
    let results = folder.context("name a folder to write to, and how many requests if not a million")?;
    let requests = words.next().map_or(Ok(REQUESTS), |n| n.parse::<u64>()).context("read the number of requests")?;
    let per_level = requests.div_ceil(LEVELS.len() as u64);
    let dir = RunDir::create(Path::new(&results), &format!("large-{requests}"))?;
    dir.write_manifest(&manifest(per_level)?)?;
    let mut lines = dir.append(run_dir::REQUESTS)?;
    let mut phases = dir.append(run_dir::PHASES)?;
    dir.append(run_dir::GPU)?.flush()?;
    dir.append(run_dir::SERVER)?.flush()?;
    let (mut epoch, mut number) = (Duration::ZERO, 0);
    for (level, concurrency) in (0..).zip(LEVELS) {
        let measured = usize::try_from(per_level)?;
        let warmup = usize::try_from(concurrency)?;
        let slots = u64::from(concurrency);
        let load = ClosedLoop {
            concurrency,
            requests_per_slot: u32::try_from(per_level.div_ceil(slots) + 2)?,
            prompt_tokens: ISL,
            output_tokens: OSL,
            ramp: Duration::ZERO,
            turnaround: Duration::from_millis(5),
        };
        let served = closed_loop(&virtual_engine::profile(1, 0.2)?, &load)?;
        let (mut start, mut end) = (u64::MAX, 0);
        for (i, served) in served.iter().take(warmup + measured).enumerate() {
            let stage = if i < warmup { Stage::Warmup } else { Stage::Measured };
            let record = seen((number, level), epoch, served, stage);
            number += 1;
            if stage == Stage::Measured {
                start = start.min(record.sent_ns.0);
                end = end.max(record.finished_ns.0);
            }
            lines.append(&record)?;
        }
        phases.append(&Phase {
            kind: PhaseKind::Measure,
            level: Some(level),
            start_ns: Offset(start),
            end_ns: Offset(end),
            client: None,
            ended_by: None,
        })?;
        epoch = Duration::from_nanos(end) + Duration::from_secs(1);
    }
    lines.flush()?;
    phases.flush()?;
    println!("{}", dir.path().display());
    Ok(())
}

/// As of a client that saw every token, evenly spaced between the first and the last.
fn seen(number: (u64, u32), epoch: Duration, served: &Served, stage: Stage) -> RequestRecord {
    let gap = served.last_token.saturating_sub(served.first_token) / (OSL - 1);
    let stamps = (0..OSL).map(|token| {
        let stamp = served.ttft() + gap * token;
        u64::try_from(stamp.as_nanos()).unwrap_or(u64::MAX)
    });
    RequestRecord {
        head_ns: Some(Offset::from_duration(epoch + served.first_token)),
        cached_prompt_tokens: Some(0),
        outcome: Outcome::Completed { finish_reason: Some("length".to_owned()) },
        ..virtual_engine::record(number, epoch, served, stage, stamps.collect())
    }
}

/// The sample run's, with this plan.
fn manifest(per_level: u64) -> anyhow::Result<Manifest> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../results/sample-llama-cpp-smollm2");
    let mut manifest = RunDir::open(Path::new(sample))?.read_manifest()?;
    let start = ClockAnchor { offset_ns: Offset::ZERO, unix_ns: manifest.started.unix_ns };
    manifest.schema_version = SCHEMA_VERSION;
    "large".clone_into(&mut manifest.run_id);
    manifest.argv.clear();
    manifest.target = Target::Simulated { url: "http://127.0.0.1".to_owned(), profile: "large".to_owned() };
    manifest.started = start;
    manifest.plan.levels = LEVELS.to_vec();
    manifest.plan.requests = vec![per_level; LEVELS.len()];
    manifest.plan.warmup_requests = LEVELS.map(u64::from).to_vec();
    manifest.plan.osl = OSL;
    manifest.judgement = Judgement {
        objectives: Some(Objectives {
            limits_ns: [(Metric::Ttft, 500_000_000), (Metric::Tpot, 50_000_000), (Metric::E2el, 8_000_000_000)]
                .into_iter()
                .collect(),
            attainment: 0.95,
        }),
        confidence_level: None,
    };
    Ok(manifest)
}
