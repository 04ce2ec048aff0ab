//! What only some GPUs have (profiling, links, instances, XID errors), and what seldom happens to one.

use std::time::{Duration, Instant};

use gpumon::{
    Line, Occasion, Selection, Source,
    nvml::{NvmlAbsent, NvmlSource},
};
use records::{Clock, GpuLine, GpuSample, GpuState, Offset};

use crate::{
    gpu_library::GpuLibrary,
    nvml::{H100, gpu_state, only_sample, open, sample, timeless},
};

/// What only some GPUs have beside all that.
const MORE: &str = r"
field_82 = 77
field_138_all = 1_000
field_139_all = { start = 2_000, per_call = 8 }
field_138 = 1
field_139 = 2
field_197 = 5_000_000_000
field_198 = { start = 7_000, per_call = 24 }
power_violation = { start = 5, per_call = 1_000 }
thermal_violation = 0
gpm_support = 1
gpm_2 = 85
gpm_3 = 40
gpm_5 = 30
gpm_10 = 61
gpm_20 = 100
gpm_21 = 200
gpm_60 = 30_000
gpm_61 = 20_000
power_limit_default = 650_000
sm_clock_max = 1_980
pcie_generation = 5
pcie_width = 16
pcie_replays = 3
ecc_uncorrected = 0
field_143 = 2
";

fn states(lines: &[Line]) -> Vec<&GpuState> {
    lines.iter().filter_map(gpu_state).collect()
}

/// A clock that says `seconds` now.
fn clock_at(seconds: u64) -> Clock {
    Clock::new(Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap())
}

fn sample_at(source: &mut NvmlSource, seconds: u64) -> Vec<Line> {
    let mut lines = Vec::new();
    source.sample(clock_at(seconds), Occasion::Scheduled, &mut lines);
    lines
}

#[test]
fn profiling_counters_come_with_the_second_reading() {
    let library = GpuLibrary::playing(&format!("{H100}{MORE}"));
    let mut source = open(&library);
    let first = only_sample(sample_at(&mut source, 10));
    assert_eq!(first.sm_active_percent, None, "there is nothing to compare with yet");
    assert_eq!(first.memory_temperature_c, Some(77));
    let second = only_sample(sample_at(&mut source, 11));
    assert_eq!((second.sm_active_percent, second.sm_occupancy_percent), (Some(85.0), Some(40.0)));
    assert_eq!((second.tensor_active_percent, second.dram_active_percent), (Some(30.0), Some(61.0)));
    let mib = f64::from(1 << 20);
    assert_eq!(second.pcie_tx_bytes_per_s, Some(100.0 * mib));
    assert_eq!(second.pcie_rx_bytes_per_s, Some(200.0 * mib));
    assert_eq!(second.nvlink_rx_bytes_per_s, Some(30_000.0 * mib));
    assert_eq!(second.nvlink_tx_bytes_per_s, Some(20_000.0 * mib));
    // Counters: the probe was the first call. All links together, not the first one alone.
    assert_eq!(second.nvlink_tx_bytes, Some(1_000 << 10));
    assert_eq!(second.nvlink_rx_bytes, Some(2_016 << 10));
    // More than 32 bits hold.
    assert_eq!(second.pcie_tx_bytes, Some(5_000_000_000));
    assert_eq!(second.pcie_rx_bytes, Some(7_048));
    assert_eq!((second.power_violation_ns, second.thermal_violation_ns), (Some(2_005), Some(0)));
}

#[test]
fn readings_too_close_for_profiling_do_without_it() {
    let library = GpuLibrary::playing(&format!("{H100}{MORE}"));
    let mut source = open(&library);
    let clock = clock_at(10);
    let mut lines = Vec::new();
    source.sample(clock, Occasion::Requested, &mut lines);
    source.sample(clock, Occasion::Requested, &mut lines);
    let third = only_sample(sample_at(&mut source, 12));
    assert_eq!(third.sm_active_percent, Some(85.0), "it is compared with the first");
}

#[test]
fn the_moment_that_the_driver_gives_is_kept() {
    let library = GpuLibrary::playing(H100);
    let lines = sample(&mut open(&library), Occasion::Scheduled);
    let Line::Gpu(GpuLine::Sample(sample)) = &lines[0] else {
        panic!("{lines:?}");
    };
    // The library's fixed moment, 2026-11-24 00:00 UTC.
    assert_eq!(sample.power_unix_ns, Some(1_795_478_400_000_000_000));
}

#[test]
fn the_state_is_read_at_a_slower_rate() {
    let library = GpuLibrary::playing(&format!("{H100}{MORE}"));
    let mut source = open(&library);
    let expected = GpuState {
        uuid: "GPU-h100".to_owned(),
        power_limit_mw: Some(700_000),
        power_limit_default_mw: Some(650_000),
        sm_clock_max_mhz: Some(1_980),
        pcie_generation: Some(5),
        pcie_width: Some(16),
        pcie_replays: Some(3),
        ecc_uncorrected: Some(0),
        remapped_rows: Some(2),
        ..GpuState::default()
    };
    let first = sample_at(&mut source, 100);
    let [state] = states(&first)[..] else { panic!("{first:?}") };
    let timeless = GpuState { t_ns: Offset::ZERO, read_ns: 0, ..state.clone() };
    assert_eq!(timeless, expected);
    assert_eq!(states(&sample_at(&mut source, 104)), Vec::<&GpuState>::new());
    assert_eq!(states(&sample_at(&mut source, 106)).len(), 1);
}

#[test]
fn an_xid_is_told_once_with_its_gpu() {
    let library = GpuLibrary::playing(&format!("{H100}\n[[devices.xids]]\nafter_calls = 45\ncode = 79\n"));
    let mut source = open(&library);
    let mut xids = Vec::new();
    for second in 10..20 {
        for line in sample_at(&mut source, second) {
            if let Line::Gpu(GpuLine::Xid { uuid, code, .. }) = line {
                xids.push((uuid, code));
            }
        }
    }
    assert_eq!(xids, [(Some("GPU-h100".to_owned()), 79)]);
}

#[test]
fn a_divided_gpu_is_read_as_a_whole_and_in_its_parts() {
    let divided = H100
        .replace("gpu_util = 97", "gpu_util = { error = \"NOT_SUPPORTED\" }\nmig_mode = 1")
        .replace("memory_util = 61\n", "");
    let library = GpuLibrary::playing(&format!(
        r#"{divided}
        [[devices.mig]]
        uuid = "MIG-a"
        gpu_instance = 3
        [devices.mig.values]
        memory_total = 20_000
        memory_reserved = 100
        memory_used = 5_000
        gpm_2 = 55
        gpm_10 = 44
        "#
    ));
    let mut source = open(&library);
    let described = source.describe();
    let [Line::Gpu(GpuLine::Device(whole)), Line::Gpu(GpuLine::Device(part))] = &described[..] else {
        panic!("{described:?}");
    };
    assert!(whole.unsupported.contains(&"gpu_util_percent".to_owned()));
    assert_eq!((part.uuid.as_str(), part.parent.as_deref()), ("MIG-a", Some("GPU-h100")));
    assert_eq!(part.memory_total_bytes, Some(20_000));

    sample_at(&mut source, 10);
    let second = sample_at(&mut source, 11);
    let [Line::Gpu(GpuLine::Sample(whole)), Line::Gpu(GpuLine::Sample(part))] = &second[..] else {
        panic!("{second:?}");
    };
    assert_eq!((whole.gpu_util_percent, whole.power_average_mw), (None, Some(512_345)));
    let expected = GpuSample {
        uuid: "MIG-a".to_owned(),
        memory_used_bytes: Some(5_000),
        memory_reserved_bytes: Some(100),
        memory_free_bytes: Some(14_900),
        sm_active_percent: Some(55.0),
        dram_active_percent: Some(44.0),
        ..GpuSample::default()
    };
    assert_eq!(timeless(part.clone()), expected);
}

fn eight() -> String {
    let (head, device) = H100.split_once("[[devices]]").unwrap();
    let gpus = (0..8).map(|i| format!("[[devices]]{}", device.replace("GPU-h100", &format!("GPU-{i}"))));
    format!("{head}{}", gpus.collect::<Vec<_>>().concat())
}

#[test]
fn eight_gpus_and_a_choice_among_them() {
    let library = GpuLibrary::playing(&eight());
    let mut all = open(&library);
    assert_eq!(all.describe().len(), 8);
    assert_eq!(
        sample(&mut all, Occasion::Scheduled).iter().filter(|l| matches!(l, Line::Gpu(GpuLine::Sample(_)))).count(),
        8
    );
    let chosen = open(&library).choosing(&Selection::of(&["GPU-3".to_owned(), "GPU-5".to_owned()]));
    let uuids: Vec<String> = chosen.unwrap().describe().iter().map(|line| format!("{line:?}")).collect();
    assert!(uuids.len() == 2 && uuids[0].contains("GPU-3") && uuids[1].contains("GPU-5"), "{uuids:?}");
    let none = open(&library).choosing(&Selection::of(&["GPU-9".to_owned()]));
    assert_eq!(none.unwrap_err(), NvmlAbsent::NotChosen);
}

#[test]
fn a_counter_that_wraps_arrives_as_it_is() {
    let wrapping = H100.replace(
        "energy = { start = 9_000_000_000, per_call = 250_000 }",
        "energy = { start = 4_294_900_000, per_call = 50_000, wrap = 4_294_967_296 }",
    );
    let library = GpuLibrary::playing(&wrapping);
    let mut source = open(&library);
    let mut read = || only_sample(sample(&mut source, Occasion::Scheduled)).energy_mj;
    // 4,294,900,000 was the probe's; then 4,294,950,000, and 4,295,000,000 − 2³² = 32,704.
    assert_eq!((read(), read()), (Some(4_294_950_000), Some(32_704)));
}

#[test]
fn a_slow_call_is_seen_in_what_the_reading_took() {
    let library = GpuLibrary::playing(&format!("{H100}\n[devices.delay_ms]\ntemperature = 30\n"));
    let lines = sample(&mut open(&library), Occasion::Scheduled);
    let Line::Gpu(GpuLine::Sample(sample)) = &lines[0] else {
        panic!("{lines:?}");
    };
    assert!(sample.read_ns >= 30_000_000, "{}", sample.read_ns);
}

#[test]
fn a_gpu_lost_at_a_moment_leaves_a_gap() {
    let library = GpuLibrary::playing(&H100.replace("[9, 0]", "[9, 0]\nlost_after_ms = 200"));
    let mut source = open(&library);
    let mut lines = Vec::new();
    while !matches!(lines.last(), Some(Line::Gpu(GpuLine::Gap { .. }))) {
        source.sample(clock_at(1), Occasion::Scheduled, &mut lines);
    }
}
