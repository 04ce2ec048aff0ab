//! NVML through the real wrapper and loader, against a library that plays a scenario.

use std::{path::Path, time::Instant};

use gpumon::{
    Line, Occasion, Period, Sampler, Source,
    nvml::{NvmlAbsent, NvmlSource, open_library},
};
use records::{Clock, GpuDevice, GpuLine, GpuSample, GpuState, Offset};

use crate::gpu_library::GpuLibrary;

pub(crate) const H100: &str = r#"
driver = "570.86.15"

[[devices]]
uuid = "GPU-h100"
name = "NVIDIA H100 80GB HBM3"
compute_capability = [9, 0]

[devices.values]
gpu_util = 97
memory_util = 61
memory_total = 85_520_809_984
memory_reserved = 554_827_776
memory_used = 76_235_669_504
field_185 = 512_345
field_186 = { start = 500_000, per_call = 1_000 }
power_usage = 1
energy = { start = 9_000_000_000, per_call = 250_000 }
temperature = 61
sm_clock = 1_755
memory_clock = 2_619
throttle = 0x4000_0000_0000_0004
power_limit = 700_000
"#;

pub(crate) fn open(library: &GpuLibrary) -> NvmlSource {
    open_library(&library.path()).unwrap()
}

pub(crate) fn sample(source: &mut NvmlSource, occasion: Occasion) -> Vec<Line> {
    let mut lines = Vec::new();
    source.sample(Clock::new(Instant::now()), occasion, &mut lines);
    lines
}

/// The only sample among the lines, without its times. The slow state may stand beside it.
pub(crate) fn only_sample(mut lines: Vec<Line>) -> GpuSample {
    lines.retain(|line| !matches!(line, Line::Gpu(GpuLine::State(_))));
    match <[Line; 1]>::try_from(lines) {
        Ok([Line::Gpu(GpuLine::Sample(sample))]) => timeless(sample),
        other => panic!("not one sample: {other:?}"),
    }
}

pub(crate) fn timeless(sample: GpuSample) -> GpuSample {
    GpuSample { t_ns: Offset::ZERO, read_ns: 0, power_unix_ns: None, ..sample }
}

fn only_device(source: &mut NvmlSource) -> GpuDevice {
    match <[Line; 1]>::try_from(source.describe()) {
        Ok([Line::Gpu(GpuLine::Device(device))]) => device,
        other => panic!("not one device: {other:?}"),
    }
}

fn only_gap(lines: &[Line]) -> &str {
    match lines {
        [Line::Gpu(GpuLine::Gap { reason, .. })] => reason,
        other => panic!("not one gap: {other:?}"),
    }
}

#[test]
fn every_metric_arrives_under_its_name() {
    let library = GpuLibrary::playing(H100);
    let mut source = open(&library);
    let device = GpuDevice {
        uuid: "GPU-h100".to_owned(),
        name: "NVIDIA H100 80GB HBM3".to_owned(),
        source: "nvml".to_owned(),
        driver: Some("570.86.15".to_owned()),
        memory_total_bytes: Some(85_520_809_984),
        power_limit_mw: Some(700_000),
        unsupported: vec![],
        memory_api: Some("nvml_v2".to_owned()),
        ..GpuDevice::default()
    };
    assert_eq!(only_device(&mut source), device);

    // The probe was the first call of each ramp.
    let expected = GpuSample {
        uuid: "GPU-h100".to_owned(),
        gpu_util_percent: Some(97),
        memory_util_percent: Some(61),
        memory_used_bytes: Some(76_235_669_504),
        memory_reserved_bytes: Some(554_827_776),
        memory_free_bytes: Some(8_730_312_704),
        power_average_mw: Some(512_345),
        power_instant_mw: Some(501_000),
        energy_mj: Some(9_000_250_000),
        temperature_c: Some(61),
        sm_clock_mhz: Some(1_755),
        memory_clock_mhz: Some(2_619),
        throttle_bits: Some(0x4000_0000_0000_0004), // a bit that no version of NVML has named
        ..GpuSample::default()
    };
    assert_eq!(only_sample(sample(&mut source, Occasion::Scheduled)), expected);
    let next = only_sample(sample(&mut source, Occasion::Scheduled));
    assert_eq!(next.power_instant_mw, Some(502_000));
    assert_eq!(next.energy_mj, Some(9_000_500_000));
}

#[test]
fn what_is_not_supported_is_absent_and_named() {
    let library = GpuLibrary::playing(
        r#"
        driver = "470.1"
        [[devices]]
        uuid = "GPU-t4"
        name = "Tesla T4"
        compute_capability = [7, 5]
        [devices.values]
        gpu_util = 0
        memory_util = 0
        temperature = { error = "NOT_SUPPORTED" }
        sm_clock = { error = "NO_PERMISSION" }
        memory_clock = { error = "UNKNOWN" }
        "#,
    );
    let mut source = open(&library);
    let device = only_device(&mut source);
    let unsupported = [
        "memory_used_bytes",
        "memory_reserved_bytes",
        "power_average_mw",
        "power_instant_mw",
        "energy_mj",
        "temperature_c",
        "sm_clock_mhz",
        "throttle_bits",
    ];
    assert_eq!(device.unsupported, unsupported, "an unknown error may pass");
    assert_eq!((device.memory_total_bytes, device.power_limit_mw), (None, None));
    let expected = GpuSample {
        uuid: "GPU-t4".to_owned(),
        gpu_util_percent: Some(0),
        memory_util_percent: Some(0),
        ..GpuSample::default()
    };
    assert_eq!(only_sample(sample(&mut source, Occasion::Scheduled)), expected);
}

/// As on GPUs that share the host's memory (DGX Spark).
#[test]
fn a_gpu_without_memory_of_its_own_has_no_memory_metrics() {
    let library = GpuLibrary::playing(
        r#"
        driver = "580.95"
        [[devices]]
        uuid = "GPU-gb10"
        name = "NVIDIA GB10"
        compute_capability = [12, 1]
        [devices.values]
        memory_total = 0
        memory_reserved = 0
        memory_used = 0
        temperature = 45
        power_limit = 0
        power_usage = 12_000
        "#,
    );
    let mut source = open(&library);
    let device = only_device(&mut source);
    assert_eq!(device.memory_total_bytes, None);
    assert_eq!(device.power_limit_mw, None);
    assert!(device.unsupported.contains(&"memory_used_bytes".to_owned()));
    let expected = GpuSample {
        uuid: "GPU-gb10".to_owned(),
        power_average_mw: Some(12_000),
        temperature_c: Some(45),
        ..GpuSample::default()
    };
    assert_eq!(only_sample(sample(&mut source, Occasion::Scheduled)), expected);
}

/// nvml.h on `nvmlDeviceGetPowerUsage`: an average on Ampere (except GA100) or newer, instantaneous on GA100 and older.
#[test]
fn the_plain_power_call_stands_in_only_for_what_it_means() {
    for (capability, average, instant) in [
        ("[7, 5]", None, Some(70_000)),
        ("[8, 0]", None, Some(70_000)),
        ("[8, 6]", Some(70_000), None),
        ("[9, 0]", Some(70_000), None),
    ] {
        let library = GpuLibrary::playing(&format!(
            r#"
            driver = "470.1"
            [[devices]]
            uuid = "GPU-1"
            name = "some GPU"
            compute_capability = {capability}
            [devices.values]
            power_usage = 70_000
            "#
        ));
        let sample = only_sample(sample(&mut open(&library), Occasion::Scheduled));
        assert_eq!(
            (sample.power_average_mw, sample.power_instant_mw),
            (average, instant),
            "compute capability {capability}"
        );
    }
}

#[test]
fn an_implausible_value_is_left_out_and_noted_once() {
    let odd = H100.replace("gpu_util = 97", "gpu_util = 4_294_967_295");
    let library = GpuLibrary::playing(&odd);
    let mut source = open(&library);
    let mut first = sample(&mut source, Occasion::Scheduled);
    let Line::Note(note) = first.remove(0) else {
        panic!("no note before {first:?}");
    };
    assert!(note.contains("GPU-h100 reports gpu_util_percent = 4294967295"), "{note}");
    let first = only_sample(first);
    assert_eq!(first.gpu_util_percent, None);
    assert_eq!(first.memory_util_percent, Some(61));
    only_sample(sample(&mut source, Occasion::Scheduled));
}

#[test]
fn a_lost_gpu_leaves_one_gap_and_the_others_go_on() {
    let second = H100
        .split_once("[[devices]]")
        .map(|(_, device)| format!("[[devices]]{device}"))
        .unwrap()
        .replace("GPU-h100", "GPU-other")
        .replace("[9, 0]", "[9, 0]\nlost_after_calls = 60");
    let library = GpuLibrary::playing(&format!("{H100}\n{second}"));
    let mut source = open(&library);
    assert_eq!(source.describe().len(), 2);
    let mut gaps = Vec::new();
    let mut samples = 0;
    for _ in 0..10 {
        for line in sample(&mut source, Occasion::Requested) {
            match line {
                Line::Gpu(GpuLine::Gap { reason, .. }) => gaps.push(reason),
                Line::Gpu(GpuLine::Sample(sample)) if sample.uuid == "GPU-h100" => samples += 1,
                Line::Gpu(GpuLine::Sample(_)) => assert!(gaps.is_empty()),
                Line::Gpu(GpuLine::State(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(samples, 10);
    assert_eq!(gaps, ["GPU-other: device fell off the bus or has otherwise become inacessible"]);
}

#[test]
fn a_driver_that_comes_back_is_opened_anew() {
    let library = GpuLibrary::playing(&H100.replace("[9, 0]", "[9, 0]\nlost_after_calls = 60"));
    let mut source = open(&library);
    library.rewrite("driver = \"570.86.15\"\ninit = \"DRIVER_NOT_LOADED\"");
    let mut lines = sample(&mut source, Occasion::Scheduled);
    while !matches!(lines[..], [Line::Gpu(GpuLine::Gap { .. })]) {
        only_sample(lines);
        lines = sample(&mut source, Occasion::Scheduled);
    }
    assert!(only_gap(&lines).contains("fell off the bus"));
    assert_eq!(sample(&mut source, Occasion::Requested), [], "no second gap");
    assert_eq!(sample(&mut source, Occasion::Scheduled), [], "and no hurry");

    // Another GPU has taken the first place meanwhile.
    let (head, device) = H100.split_once("[[devices]]").unwrap();
    let new = device.replace("GPU-h100", "GPU-new").replace("512_345", "1_000");
    library.rewrite(&format!("{head}[[devices]]{new}"));
    assert_eq!(sample(&mut source, Occasion::Requested), [], "it is not taken for ours");
    library.rewrite(&format!("{head}[[devices]]{new}[[devices]]{device}"));
    let back = only_sample(sample(&mut source, Occasion::Requested));
    assert_eq!(back.uuid, "GPU-h100");
    assert_eq!(back.power_average_mw, Some(512_345));
}

#[test]
fn absence_is_one_clear_sentence() {
    let missing = open_library(Path::new("no-such-folder/libnvidia-ml.so.1")).unwrap_err();
    assert_eq!(missing, NvmlAbsent::NoLibrary);
    assert_eq!(missing.to_string(), "no NVIDIA driver library found; GPU telemetry is off");
    for (scenario, absent) in [
        ("init = \"DRIVER_NOT_LOADED\"", NvmlAbsent::DriverNotLoaded),
        ("init = \"NO_PERMISSION\"", NvmlAbsent::NoPermission),
        ("init = \"LIB_RM_VERSION_MISMATCH\"", NvmlAbsent::VersionMismatch),
        ("", NvmlAbsent::NoGpu),
        ("init = \"UNKNOWN\"", NvmlAbsent::Other("an internal driver error occurred".to_owned())),
    ] {
        let library = GpuLibrary::playing(&format!("driver = \"570.86.15\"\n{scenario}"));
        assert_eq!(open_library(&library.path()).unwrap_err(), absent);
    }
}

#[test]
fn the_sampler_reads_a_gpu() {
    let library = GpuLibrary::playing(H100);
    let epoch = Instant::now();
    let sampler = Sampler::start(vec![Box::new(open(&library))], Period::default(), epoch).unwrap();
    sampler.sample_now();
    let lines = sampler.stop().lines;
    let upper = Clock::new(epoch).at(Instant::now());
    assert!(matches!(&lines[0], Line::Gpu(GpuLine::Device(device)) if device.uuid == "GPU-h100"));
    assert!(lines.len() > 1);
    for line in lines[1..].iter().filter(|line| gpu_state(line).is_none()) {
        let Line::Gpu(GpuLine::Sample(sample)) = line else {
            panic!("not a sample: {line:?}");
        };
        assert!(sample.t_ns.0 + sample.read_ns <= upper.0);
        assert_eq!(sample.gpu_util_percent, Some(97));
    }
}

pub(crate) fn gpu_state(line: &Line) -> Option<&GpuState> {
    match line {
        Line::Gpu(GpuLine::State(state)) => Some(state),
        _ => None,
    }
}
