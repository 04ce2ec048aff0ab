//! What the GPUs did over the run: utilisation, power and memory, one curve a card. Drawn only where cards were sampled.

use records::{GpuDevice, GpuLine, GpuSample};

use super::{
    Chart, Scene,
    axis::Axis,
    named,
    series::{PALETTE, Sample, Series, legend},
    sheet::{BODY, paper},
    steps::thinned,
    timeline::{Curve, Ends, end_of, panel, panel_place},
};
use crate::{
    ReportError,
    number::{count, figure, maybe, mib},
    prose,
};

const NAME: &str = "gpu";
const STEP: f64 = 132.0;

/// Head line's key and what to read from a sample.
type Panel = (&'static str, fn(&GpuSample) -> Option<f64>);

const PANELS: [Panel; 3] = [
    ("chart.gpu_util", |sample| sample.gpu_util_percent.map(f64::from)),
    ("chart.power", |sample| Some(sample.power_average_mw.or(sample.power_instant_mw)? as f64 / 1000.0)),
    ("chart.memory", |sample| Some(sample.memory_used_bytes? as f64 / f64::from(1 << 30))),
];

pub(super) fn draw(scene: &Scene<'_>) -> Result<Option<Chart>, ReportError> {
    let end = end_of(scene);
    let devices = devices(scene);
    let panels: Vec<(&str, Vec<Curve>)> = PANELS
        .into_iter()
        .map(|(head, value)| (head, curves(scene, &devices, value, end)))
        .filter(|(_, curves)| !curves.is_empty())
        .collect();
    if panels.is_empty() || end <= 0.0 {
        return Ok(None);
    }
    let names: Vec<(Series, String)> = PALETTE
        .into_iter()
        .zip(devices.iter().enumerate())
        .map(|(look, (index, device))| (look, format!("{index}: {}", device.name)))
        .collect();
    let title = scene.words.get("chart.gpu");
    let height = BODY + 58.0 + STEP * panels.len() as f64;
    let svg = named(
        NAME,
        paper(height, &title, &scene.subject(), |sheet| {
            legend(sheet, (16.0, BODY + 10.0), &names, Sample::Line)?;
            panels.iter().enumerate().try_for_each(|(index, (head, curves))| {
                let place = panel_place(BODY + 64.0 + STEP * index as f64, 76.0);
                let y = if *head == "chart.gpu_util" {
                    Axis::percent()
                } else {
                    let values = curves.iter().flat_map(|curve| &curve.points);
                    Axis::from_zero(values.map(|&(_, v)| v).fold(0.0, f64::max), 3.0)
                };
                let ends = Ends { first: index == 0, last: index + 1 == panels.len() };
                panel(scene, (sheet, place, ends), (y, &scene.words.get(head)), end, curves)
            })
        }),
    )?;
    Ok(Some(Chart {
        name: NAME,
        title,
        reading: prose::caption::gpu(scene.summary, scene.words),
        table: scene.table(&["column.concurrency", "column.gpu_util", "column.power", "column.memory"], rows(scene)),
        svg,
    }))
}

fn rows(scene: &Scene<'_>) -> Vec<Vec<String>> {
    scene
        .summary
        .levels
        .iter()
        .map(|level| {
            let gpu = level.gpu.unwrap_or_default();
            vec![
                count(level.concurrency),
                gpu.gpu_util_percent_mean.map_or_else(|| maybe(None), figure),
                maybe(gpu.power_w_mean),
                gpu.memory_used_bytes_max.map_or_else(|| maybe(None), mib),
            ]
        })
        .collect()
}

fn devices<'a>(scene: &'a Scene<'_>) -> Vec<&'a GpuDevice> {
    scene
        .run
        .gpu
        .iter()
        .filter_map(|line| match line {
            GpuLine::Device(device) => Some(device),
            _ => None,
        })
        .take(PALETTE.len())
        .collect()
}

fn curves(scene: &Scene<'_>, devices: &[&GpuDevice], value: fn(&GpuSample) -> Option<f64>, end: f64) -> Vec<Curve> {
    devices
        .iter()
        .map(|device| {
            let points: Vec<(f64, f64)> = scene
                .run
                .gpu
                .iter()
                .filter_map(|line| match line {
                    GpuLine::Sample(sample) if sample.uuid == device.uuid => {
                        Some((sample.t_ns.as_secs_f64(), value(sample)?))
                    }
                    _ => None,
                })
                .collect();
            Curve { name: device.name.clone(), points: thinned(&points, end.max(1e-9), 1400.0) }
        })
        .filter(|curve| !curve.points.is_empty())
        .collect()
}
