//! What the GPUs did, against arithmetic by hand.

use analysis::{GpuLevel, summarise};
use records::{GpuLine, GpuSample, Offset};

use crate::build::{MS, one_level, request};

fn sample(uuid: &str, t_ms: u64, energy_mj: u64) -> GpuSample {
    GpuSample {
        t_ns: Offset(t_ms * MS),
        uuid: uuid.to_owned(),
        gpu_util_percent: Some(80),
        memory_used_bytes: Some(t_ms),
        power_average_mw: Some(1),
        power_instant_mw: Some(300_000),
        energy_mj: Some(energy_mj),
        temperature_c: Some(60),
        ..GpuSample::default()
    }
}

/// A level measured from 1 s to 3 s, in which ten tokens arrive.
fn gpu(samples: Vec<GpuSample>) -> Option<GpuLevel> {
    let mut run = one_level(vec![request(1000 * MS, 100 * MS, 2000 * MS, 10)], (1000 * MS, 3000 * MS));
    run.gpu = samples.into_iter().map(GpuLine::Sample).collect();
    summarise(&run, None, None).levels[0].gpu
}

#[test]
fn energy_is_interpolated_at_the_borders_of_the_window() {
    // 100 J a second up to 2 s, 300 J a second after that: 100 J + 300 J in the window.
    let gpu = gpu(vec![
        sample("a", 500, 50_000),
        sample("a", 1500, 150_000),
        sample("a", 2000, 200_000),
        sample("a", 2500, 350_000),
        sample("a", 3500, 650_000),
    ])
    .unwrap();
    assert_eq!((gpu.gpus, gpu.samples), (1, 3));
    assert!((gpu.energy_j.unwrap() - 400.0).abs() < 1e-9);
    assert!((gpu.j_per_output_token.unwrap() - 40.0).abs() < 1e-9);
    assert_eq!(gpu.memory_used_bytes_max, Some(2500));
    assert_eq!(gpu.power_w_mean, Some(300.0));
    assert_eq!(gpu.gpu_util_percent_mean, Some(80.0));
    assert_eq!(gpu.temperature_c_max, Some(60));
}

#[test]
fn energy_needs_a_reading_on_both_sides_of_each_border() {
    let without_start = gpu(vec![sample("a", 1500, 0), sample("a", 3500, 1000)]).unwrap();
    assert_eq!(without_start.energy_j, None);
    let without_end = gpu(vec![sample("a", 500, 0), sample("a", 2500, 1000)]).unwrap();
    assert_eq!((without_end.energy_j, without_end.j_per_output_token), (None, None));
    let set_back = gpu(vec![sample("a", 1000, 5000), sample("a", 2000, 0), sample("a", 3000, 1000)]);
    assert_eq!(set_back.unwrap().energy_j, None);
    let far_apart = gpu(vec![sample("a", 1000, 0), sample("a", 1500, 500), sample("a", 4501, 9000)]);
    assert_eq!(far_apart.unwrap().energy_j, None);
}

#[test]
fn figures_for_all_gpus_need_all_gpus() {
    let mut second = sample("b", 2000, 0);
    second.power_instant_mw = None;
    second.power_average_mw = Some(50_000);
    second.memory_used_bytes = None;
    second.gpu_util_percent = Some(40);
    second.temperature_c = Some(71);
    let gpu = gpu(vec![sample("a", 2000, 0), second]).unwrap();
    assert_eq!((gpu.gpus, gpu.samples), (2, 2));
    assert_eq!(gpu.power_w_mean, Some(350.0));
    assert_eq!(gpu.gpu_util_percent_mean, Some(60.0));
    assert_eq!(gpu.temperature_c_max, Some(71));
    assert_eq!(gpu.memory_used_bytes_max, None);
}

#[test]
fn samples_outside_the_window_are_no_samples_of_the_level() {
    assert_eq!(gpu(vec![sample("a", 500, 0), sample("a", 3000, 1000)]), None);
}
