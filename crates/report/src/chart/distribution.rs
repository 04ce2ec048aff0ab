//! Distribution of TTFT and E2EL: the share of requests that were at least as fast (ECDF), one curve a level.
//!
//! Drawn for at most five levels, evenly chosen, and only for those with enough requests to have a shape.

use analysis::{Distribution, LevelSummary, Metric, MetricRow};
use records::Stage;

use super::{
    Chart, Drawn, Scene,
    axis::Axis,
    frame::{Frame, Place, two_panels},
    named,
    series::{PALETTE, Sample, Series, legend},
    sheet::{BODY, Sheet, paper},
};
use crate::{
    ReportError,
    number::{count, figure, maybe},
    prose,
};

const NAME: &str = "distribution";
/// Below this a curve is a handful of steps that says less than its table row.
const FEWEST: usize = 10;
/// Points of one curve; more are not seen in 300 pixels.
const MOST_POINTS: usize = 600;

struct Curve<'a> {
    level: &'a LevelSummary,
    ttft: Vec<f64>,
    e2el: Vec<f64>,
}

pub(super) fn draw(scene: &Scene<'_>) -> Result<Option<Chart>, ReportError> {
    let curves = curves(scene);
    if curves.is_empty() {
        return Ok(None);
    }
    let names: Vec<(Series, String)> =
        PALETTE.into_iter().zip(&curves).map(|(look, curve)| (look, name(scene, curve))).collect();
    let title = scene.words.get("chart.distribution");
    let [left, right] = two_panels(BODY + 68.0, 220.0);
    let svg = named(
        NAME,
        paper(BODY + 338.0, &title, &scene.subject(), |sheet| {
            legend(sheet, (16.0, BODY + 10.0), &names, Sample::Line)?;
            let ttft: Vec<_> = curves.iter().map(|curve| curve.ttft.as_slice()).collect();
            panel(scene, sheet, left, &ttft, "chart.ttft")?;
            let e2el: Vec<_> = curves.iter().map(|curve| curve.e2el.as_slice()).collect();
            panel(scene, sheet, right, &e2el, "chart.e2el")
        }),
    )?;
    let levels: Vec<&LevelSummary> = curves.iter().map(|curve| curve.level).collect();
    Ok(Some(Chart {
        name: NAME,
        title,
        reading: prose::caption::distribution(&levels, scene.words, scene.figures),
        table: scene.table(
            &[
                "column.concurrency",
                "column.n",
                "column.ttft_p50",
                "column.ttft_p95",
                "column.ttft_max",
                "column.e2el_p50",
                "column.e2el_p95",
                "column.e2el_max",
            ],
            levels.iter().map(|level| row(level)).collect(),
        ),
        svg,
    }))
}

/// The curves of at most as many levels as there are looks.
fn curves<'a>(scene: &Scene<'a>) -> Vec<Curve<'a>> {
    let mut curves: Vec<Option<Curve<'a>>> = scene
        .levels()
        .into_iter()
        .map(|level| Curve {
            level,
            ttft: sorted(scene, level.level, Metric::Ttft),
            e2el: sorted(scene, level.level, Metric::E2el),
        })
        .filter(|curve| curve.ttft.len() >= FEWEST && curve.e2el.len() >= FEWEST)
        .map(Some)
        .collect();
    evenly(curves.len(), PALETTE.len()).into_iter().filter_map(|index| curves[index].take()).collect()
}

fn name(scene: &Scene<'_>, curve: &Curve<'_>) -> String {
    scene.words.say("chart.level_n", &[("c", &count(curve.level.concurrency)), ("n", &count(curve.e2el.len() as u64))])
}

fn row(level: &LevelSummary) -> Vec<String> {
    let parts = |d: Option<Distribution>| {
        [
            maybe(d.and_then(|d| Some(d.p50?.value))),
            maybe(d.and_then(|d| Some(d.p95?.value))),
            d.map_or_else(|| maybe(None), |d| figure(d.max)),
        ]
    };
    let mut row = vec![count(level.concurrency), count(level.requests.completed)];
    row.extend(parts(level.ttft_ms));
    row.extend(parts(level.e2el_ms));
    row
}

/// Values of the level's measured, completed requests, ascending.
fn sorted(scene: &Scene<'_>, level: u32, metric: Metric) -> Vec<f64> {
    let mut times: Vec<f64> = scene
        .run
        .requests
        .iter()
        .filter(|request| request.level == level && request.stage == Stage::Measured)
        .filter(|request| request.e2el().is_some())
        .filter_map(|request| MetricRow::new(metric).of_request(request))
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

/// `wanted` indices out of `len`, first and last among them.
fn evenly(len: usize, wanted: usize) -> Vec<usize> {
    if len <= wanted {
        return (0..len).collect();
    }
    (0..wanted).map(|index| index * (len - 1) / (wanted - 1)).collect()
}

fn panel(scene: &Scene<'_>, sheet: &Sheet<'_>, place: Place, curves: &[&[f64]], head: &str) -> Drawn {
    let all = || curves.iter().copied().flatten().copied();
    let axes = (Axis::times(all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max), scene.figures), Axis::percent());
    let below = scene.words.get(head);
    let head = scene.words.say("chart.share", &[("metric", &below)]);
    let frame = Frame::draw(sheet, place, axes, &head, &below)?;
    PALETTE.into_iter().zip(curves).try_for_each(|(look, sorted)| frame.line(look, &steps(sorted)))
}

/// The corners of the empirical distribution function, in percent.
fn steps(sorted: &[f64]) -> Vec<(f64, f64)> {
    let n = sorted.len();
    let stride = n.div_ceil(MOST_POINTS).max(1);
    let mut corners = Vec::new();
    let mut below = 0.0;
    for index in (0..n).filter(|index| index % stride == 0 || index + 1 == n) {
        let share = (index + 1) as f64 / n as f64 * 100.0;
        corners.push((sorted[index], below));
        corners.push((sorted[index], share));
        below = share;
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_climbs_by_one_nth_at_every_value() {
        assert_eq!(
            steps(&[1.0, 2.0, 4.0, 8.0]),
            [(1.0, 0.0), (1.0, 25.0), (2.0, 25.0), (2.0, 50.0), (4.0, 50.0), (4.0, 75.0), (8.0, 75.0), (8.0, 100.0)]
        );
    }

    #[test]
    fn levels_are_chosen_evenly() {
        assert_eq!(evenly(8, 5), [0, 1, 3, 5, 7]);
        assert_eq!(evenly(3, 5), [0, 1, 2]);
    }
}
