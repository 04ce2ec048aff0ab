//! A run in virtual time, recorded as the tool records a real one.

use std::time::Duration;

use analysis::{Summary, summarise};
use records::{
    ClockAnchor, EndReason, EngineFacts, Host, Judgement, Manifest, Objectives, Offset, Phase, PhaseKind, Plan,
    RunData, SCHEMA_VERSION, Stage, Target, Tool,
};
use simserver::simulate::{ClosedLoop, closed_loop};

use crate::virtual_engine::{ISL, OSL, profile, record};

/// A way of loading the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Levels of the sweep. Latencies are taken at the middle one, goodput at the next, where objectives begin to fail.
    pub(crate) levels: [u32; 5],
    /// Measured requests of each slot.
    pub(crate) waves: u32,
    /// Spread of the slots' pauses: 0 keeps them in step.
    pub(crate) turnaround: Duration,
    /// Standard deviation of a step over its mean.
    pub(crate) noise: f64,
    /// Warm-up requests a slot.
    pub(crate) warmup: u32,
}

pub(crate) fn load(scenario: Scenario, concurrency: u32, waves: u32) -> ClosedLoop {
    ClosedLoop {
        concurrency,
        requests_per_slot: waves,
        prompt_tokens: ISL,
        output_tokens: OSL,
        ramp: scenario.turnaround,
        turnaround: scenario.turnaround,
    }
}

pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(crate) fn nanoseconds(ms: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(ms / 1e3).as_nanos()).unwrap_or(u64::MAX)
}

/// A run as the tool would have recorded it, level by level.
pub(crate) struct VirtualRun {
    scenario: Scenario,
    seed: u64,
    run: RunData,
    epoch: Duration,
}

impl VirtualRun {
    pub(crate) fn new(scenario: Scenario, seed: u64, objectives: Objectives) -> Self {
        let run = RunData {
            manifest: manifest(seed, objectives),
            requests: Vec::new(),
            phases: Vec::new(),
            gpu: Vec::new(),
            server: Vec::new(),
            skipped: Vec::new(),
        };
        Self { scenario, seed, run, epoch: Duration::ZERO }
    }

    /// Measures one level more, with so many requests a slot. Gives the requests that it cost, warm-up included.
    pub(crate) fn measure(&mut self, concurrency: u32, waves: u32) -> anyhow::Result<u64> {
        let Scenario { warmup, .. } = self.scenario;
        let plan = &mut self.run.manifest.plan;
        let index = u32::try_from(plan.levels.len())?;
        plan.levels.push(concurrency);
        plan.requests.push(u64::from(concurrency * waves));
        plan.warmup_requests.push(u64::from(concurrency * warmup));
        let profile = profile(self.seed * 64 + u64::from(index), self.scenario.noise)?;
        // More than is measured, so that the load is the same until the last measured request has ended.
        let sent = 2 * waves + warmup;
        let served = closed_loop(&profile, &load(self.scenario, concurrency, sent))?;
        let mut warm = warmup * concurrency;
        let mut measured = waves * concurrency;
        let mut window = (u64::MAX, 0);
        for request in served {
            let stage = if warm > 0 {
                warm -= 1;
                Stage::Warmup
            } else if measured > 0 {
                measured -= 1;
                Stage::Measured
            } else {
                Stage::Cooldown
            };
            let number = self.run.requests.len() as u64;
            let since_sent = |since: Duration| nanoseconds(ms(since.saturating_sub(request.sent)));
            let stamps = [request.first_token, request.last_token].map(since_sent);
            let record = record((number, index), self.epoch, &request, stage, stamps.to_vec());
            if stage == Stage::Measured {
                window.0 = window.0.min(record.sent_ns.0);
                window.1 = window.1.max(record.finished_ns.0);
            }
            self.run.requests.push(record);
        }
        self.run.phases.push(Phase {
            kind: PhaseKind::Measure,
            level: Some(index),
            start_ns: Offset(window.0),
            end_ns: Offset(window.1),
            client: None,
            ended_by: None,
        });
        self.epoch = Duration::from_nanos(window.1) + Duration::from_secs(1);
        Ok(u64::from(concurrency * (waves + warmup)))
    }

    /// The records, for levels that are measured in another way.
    pub(crate) fn into_records(self) -> RunData {
        self.run
    }

    pub(crate) fn summary(&self) -> Summary {
        summarise(&self.run, None, None)
    }
}

/// A sweep over the scenario's levels.
pub(crate) fn simulated(scenario: Scenario, seed: u64, objectives: Objectives) -> anyhow::Result<Summary> {
    let mut run = VirtualRun::new(scenario, seed, objectives);
    for concurrency in scenario.levels {
        run.measure(concurrency, scenario.waves)?;
    }
    Ok(run.summary())
}

fn manifest(seed: u64, objectives: Objectives) -> Manifest {
    let anchor = ClockAnchor { offset_ns: Offset::ZERO, unix_ns: 0 };
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id: "coverage".to_owned(),
        tool: Tool {
            name: "plimsoll".to_owned(),
            version: String::new(),
            git_revision: None,
            profile: "release".to_owned(),
        },
        argv: Vec::new(),
        settings: None,
        search: None,
        target: Target::Server { url: String::new() },
        plan: Plan {
            levels: Vec::new(),
            requests: Vec::new(),
            arrivals: Vec::new(),
            durations_ns: Vec::new(),
            warmup_requests: Vec::new(),
            endpoint: String::new(),
            model: "m".to_owned(),
            stream: true,
            workload: String::new(),
            workload_options: serde_json::Map::new(),
            osl: OSL,
            ignore_eos: true,
            extra_body: serde_json::Map::new(),
            seed,
            request_timeout_ns: u64::MAX,
            stop_when: None,
            retries: 0,
        },
        host: Host::default(),
        engine: EngineFacts::default(),
        started: anchor,
        ended: Some(anchor),
        end: Some(EndReason::Completed),
        resumed: Vec::new(),
        notes: Vec::new(),
        judgement: Judgement { objectives: Some(objectives), confidence_level: None },
    }
}
