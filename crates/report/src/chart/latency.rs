//! TTFT and E2EL against concurrency, both axes logarithmic.
//!
//! The mean as a line; the 95th percentile dashed above it where every level supports one, else the band from the
//! smallest to the largest value, named so.

use analysis::{Distribution, LevelSummary};

use super::{
    Chart, Drawn, Scene,
    axis::Axis,
    frame::{Frame, Place, two_panels},
    named,
    series::{PALETTE, Sample, legend},
    sheet::{BODY, LABEL, Sheet, paper},
};
use crate::{
    ReportError,
    number::{count, figure, maybe, mean},
    prose,
};

const NAME: &str = "latency";

type Pick = fn(&LevelSummary) -> Option<Distribution>;

pub(super) fn draw(scene: &Scene<'_>) -> Result<Option<Chart>, ReportError> {
    let levels = scene.levels();
    let with = |pick: Pick| -> Vec<(f64, Distribution)> {
        levels.iter().filter_map(|level| Some((f64::from(level.concurrency), pick(level)?))).collect()
    };
    let ttft = with(|level| level.ttft_ms);
    let e2el = with(|level| level.e2el_ms);
    if ttft.is_empty() || e2el.is_empty() {
        return Ok(None);
    }
    let title = scene.words.get("chart.latency");
    let [left, right] = two_panels(BODY + 68.0, 240.0);
    let percentile = [&ttft, &e2el].into_iter().all(|panel| supports_p95(panel));
    let svg = named(
        NAME,
        paper(BODY + 358.0, &title, &scene.subject(), |sheet| {
            key(scene, sheet, percentile)?;
            panel(scene, sheet, left, &ttft, percentile, "chart.ttft")?;
            panel(scene, sheet, right, &e2el, percentile, "chart.e2el")
        }),
    )?;
    Ok(Some(Chart {
        name: NAME,
        title,
        reading: prose::caption::latency(scene.summary, scene.words, scene.figures),
        table: scene.table(
            &[
                "column.concurrency",
                "column.n",
                "column.ttft_mean",
                "column.ttft_p95",
                "column.e2el_mean",
                "column.e2el_p95",
                "column.e2el_min",
                "column.e2el_max",
            ],
            levels.iter().map(|level| row(level)).collect(),
        ),
        svg,
    }))
}

fn row(level: &LevelSummary) -> Vec<String> {
    let p95 = |d: Option<Distribution>| maybe(d.and_then(|d| Some(d.p95?.value)));
    vec![
        count(level.concurrency),
        count(level.requests.completed),
        mean(level.ttft_ms),
        p95(level.ttft_ms),
        mean(level.e2el_ms),
        p95(level.e2el_ms),
        level.e2el_ms.map_or_else(|| maybe(None), |d| figure(d.min)),
        level.e2el_ms.map_or_else(|| maybe(None), |d| figure(d.max)),
    ]
}

fn supports_p95(panel: &[(f64, Distribution)]) -> bool {
    panel.iter().all(|(_, d)| d.p95.is_some())
}

fn key(scene: &Scene<'_>, sheet: &Sheet<'_>, percentile: bool) -> Drawn {
    let mut entries = vec![(PALETTE[0], scene.words.get("chart.mean"))];
    let y = BODY + 10.0;
    if percentile {
        entries.push((PALETTE[1], scene.words.get("chart.p95")));
        return legend(sheet, (16.0, y), &entries, Sample::Both);
    }
    legend(sheet, (16.0, y), &entries, Sample::Both)?;
    let x = 34.0 + super::sheet::text_width(&entries[0].1, LABEL.size) + 36.0;
    sheet.polygon(&[(x, y - 6.0), (x + 28.0, y - 6.0), (x + 28.0, y + 6.0), (x, y + 6.0)], PALETTE[0].colour, 0.16)?;
    let text = scene.words.get("chart.min_max");
    sheet.text((x + 34.0, y + 4.0), super::sheet::Anchor::Start, LABEL, &text)
}

fn panel(
    scene: &Scene<'_>,
    sheet: &Sheet<'_>,
    place: Place,
    values: &[(f64, Distribution)],
    percentile: bool,
    head: &str,
) -> Drawn {
    let top = |d: &Distribution| {
        let tail = d.p95.filter(|_| percentile);
        tail.map_or(d.max, |p95| p95.value.max(d.mean.value))
    };
    let bottom = |d: &Distribution| if percentile { d.mean.value } else { d.min };
    let low = values.iter().map(|(_, d)| bottom(d)).fold(f64::MAX, f64::min);
    let high = values.iter().map(|(_, d)| top(d)).fold(0.0, f64::max);
    let axes = (Axis::levels(&scene.levels()), Axis::times(low, high, scene.figures));
    let head = scene.words.get(head);
    let frame = Frame::draw(sheet, place, axes, &head, &scene.concurrency_title())?;
    let means: Vec<_> = values.iter().map(|&(c, d)| (c, d.mean.value)).collect();
    let tail: Vec<_> = values.iter().filter_map(|&(c, d)| Some((c, d.p95.filter(|_| percentile)?.value))).collect();
    if percentile {
        frame.line_with_marks(PALETTE[1], &tail)?;
    } else {
        let range: Vec<_> = values.iter().map(|&(c, d)| (c, d.min, d.max)).collect();
        frame.band(PALETTE[0], &range)?;
    }
    frame.line_with_marks(PALETTE[0], &means)?;
    frame.marks(PALETTE[0].hollow(), &scene.doubtful(&means))?;
    let mut places = frame.places(&[&means, &tail]);
    for value in [means.first(), means.last()].into_iter().flatten() {
        frame.label(&mut places, *value, &scene.figures.time(value.1), LABEL)?;
    }
    Ok(())
}
