//! Joules of a level, against arithmetic by hand.

use analysis::{EnergyLevel, EnergyMethod, FindingKind, WindowIssue, summarise};
use records::{GpuDevice, GpuLine, GpuSample, Offset, Phase, PhaseKind, RunData};

use crate::build::{MS, one_level, phase, request};

/// A level measured from 12 s to 16 s, in which 20 tokens arrive; before it ten seconds without load.
fn run(gpu: Vec<GpuLine>) -> RunData {
    let mut run = one_level(vec![request(12_000 * MS, 100 * MS, 4000 * MS, 20)], (12_000 * MS, 16_000 * MS));
    run.phases.insert(0, Phase { level: None, ..phase(PhaseKind::Idle, 0, 0, 10_000 * MS) });
    run.gpu = gpu;
    run
}

fn energy(gpu: Vec<GpuLine>) -> EnergyLevel {
    summarise(&run(gpu), None, None).levels[0].energy.clone().unwrap()
}

/// Readings every half second from 0 to 20 s: 100 W up to 11 s, 300 W from there on.
fn samples(uuid: &str) -> Vec<GpuSample> {
    (0..=40_u64)
        .map(|i| {
            let t_ms = 500 * i;
            let loaded_ms = t_ms.saturating_sub(11_000);
            GpuSample {
                t_ns: Offset(t_ms * MS),
                uuid: uuid.to_owned(),
                power_instant_mw: Some(if t_ms > 11_000 { 300_000 } else { 100_000 }),
                energy_mj: Some(100 * (t_ms - loaded_ms) + 300 * loaded_ms),
                ..GpuSample::default()
            }
        })
        .collect()
}

fn lines(samples: Vec<GpuSample>) -> Vec<GpuLine> {
    samples.into_iter().map(GpuLine::Sample).collect()
}

fn close(value: Option<f64>, expected: f64) {
    let value = value.expect("a figure");
    assert!((value - expected).abs() < 1e-9 * expected.abs().max(1.0), "{value}, not {expected}");
}

#[test]
fn joules_total_and_above_idle_per_output_token_and_per_token() {
    let level = energy(lines(samples("GPU-1")));
    assert_eq!(level.issues, []);
    close(level.energy_j, 1200.0); // 4 s of 300 W
    close(level.integral_j, 1200.0);
    close(level.idle_w, 100.0);
    close(level.above_idle_j, 800.0);
    close(level.total_tokens, 80.0); // 20 output, 60 prompt
    close(level.j_per_output_token, 60.0);
    close(level.j_per_total_token, 15.0);
    close(level.above_idle_j_per_output_token, 40.0);
    close(level.above_idle_j_per_total_token, 10.0);
    assert_eq!(level.gpus[0].method, Some(EnergyMethod::Counter));
    let phases: Vec<_> = level.phases.iter().map(|p| (p.phase, p.power_w)).collect();
    assert_eq!(phases, [(PhaseKind::Idle, 100.0), (PhaseKind::Measure, 300.0)]);
}

#[test]
fn gpus_are_summed_and_one_that_is_missing_is_missed() {
    let mut both = lines(samples("GPU-1"));
    both.extend(lines(samples("GPU-2")));
    let level = energy(both);
    close(level.energy_j, 2400.0);
    assert_eq!(level.gpus.len(), 2);
    close(level.gpus[1].energy_j, 1200.0);

    let mut one = lines(samples("GPU-1"));
    one.push(GpuLine::Device(GpuDevice { uuid: "GPU-2".into(), ..GpuDevice::default() }));
    let level = energy(one);
    assert_eq!(level.energy_j, None, "a sum over some would be no sum");
    close(level.gpus[0].energy_j, 1200.0);
    assert!(level.issues.contains(&WindowIssue::ExpectedGpuCountMismatch { expected: 2, seen: 1 }));
}

#[test]
fn a_part_of_a_gpu_is_not_counted_beside_the_whole() {
    let mut mig = lines(samples("GPU-1"));
    mig.push(GpuLine::Device(GpuDevice {
        uuid: "GPU-1/GI-3".into(),
        parent: Some("GPU-1".into()),
        ..GpuDevice::default()
    }));
    mig.extend(lines(samples("GPU-1/GI-3")));
    let summary = summarise(&run(mig), None, None);
    let level = summary.levels[0].energy.as_ref().unwrap();
    close(level.energy_j, 1200.0);
    assert_eq!((level.gpus.len(), summary.levels[0].gpu.unwrap().gpus), (1, 1));
}

#[test]
fn a_counter_that_says_something_else_than_power_is_found_out() {
    let mut wrong = samples("GPU-1");
    for sample in &mut wrong {
        sample.energy_mj = sample.energy_mj.map(|mj| mj * 11 / 10);
    }
    let level = energy(lines(wrong.clone()));
    close(level.energy_j, 1320.0);
    let mismatch = WindowIssue::EnergyMismatch { counter_j: 1320.0, integral_j: 1200.0 };
    assert_eq!(level.issues, [mismatch]);
    let found = FindingKind::EnergyMismatch { concurrency: 1, counter_j: 1320.0, integral_j: 1200.0 };
    let findings = |gpu| summarise(&run(gpu), None, None).findings;
    let told = findings(lines(wrong));
    assert!(told.iter().any(|finding| finding.what == found), "{told:?}");

    let mut nearly = samples("GPU-1");
    for sample in &mut nearly {
        sample.energy_mj = sample.energy_mj.map(|mj| mj * 104 / 100);
    }
    assert_eq!(energy(lines(nearly)).issues, [], "4 % is within what is accepted");
}

#[test]
fn without_a_counter_the_integral_stands_in_and_says_so() {
    let mut no_counter = samples("GPU-1");
    for sample in &mut no_counter {
        sample.energy_mj = None;
    }
    let level = energy(lines(no_counter.clone()));
    close(level.energy_j, 1200.0);
    assert_eq!(level.gpus[0].method, Some(EnergyMethod::InstantPower));
    assert_eq!(level.issues, []);

    for sample in &mut no_counter {
        sample.power_average_mw = sample.power_instant_mw.take();
    }
    let level = energy(lines(no_counter));
    assert_eq!(level.gpus[0].method, Some(EnergyMethod::AveragePower));
    assert_eq!(level.integral_j, None, "an average is no cross-check");
}

#[test]
fn a_window_that_does_not_count_says_why() {
    let codes = |keep: &dyn Fn(u64) -> bool| -> Vec<String> {
        let kept = samples("GPU-1").into_iter().filter(|s| keep(s.t_ns.0 / MS));
        let level = energy(lines(kept.collect()));
        let codes = level.issues.iter().map(|issue| serde_json::to_value(issue).unwrap());
        codes.map(|code| code["code"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(codes(&|_| true), [""; 0]);
    assert_eq!(codes(&|t| t <= 15_000), ["benchmark_window_not_bracketed"]);
    assert_eq!(codes(&|t| !(12_500..15_000).contains(&t)), ["sampling_gap_exceeded"]);
    assert_eq!(
        codes(&|t| t <= 11_000),
        ["expected_gpu_count_mismatch", "benchmark_window_not_bracketed", "too_few_samples"]
    );
    let mut set_back = samples("GPU-1");
    for sample in set_back.iter_mut().filter(|s| s.t_ns.0 > 14_000 * MS) {
        sample.energy_mj = sample.energy_mj.map(|mj| mj - 1_900_000);
    }
    let level = energy(lines(set_back));
    assert_eq!(level.issues, [WindowIssue::CounterReset]);
    assert_eq!(level.gpus[0].method, Some(EnergyMethod::InstantPower));
    close(level.energy_j, 1200.0);
}

#[test]
fn no_gpu_no_energy() {
    assert_eq!(summarise(&run(vec![]), None, None).levels[0].energy, None);
}
