//! Throughput against concurrency, of the whole server and of one request side by side.
//!
//! The reference report drew only the second, called it "throughput", and concluded that one request at a time gives
//! the most. Two panels with their own scales keep the two apart.

use analysis::LevelSummary;

use super::{
    Chart, Drawn, Scene,
    axis::Axis,
    frame::{Frame, Place, two_panels},
    named,
    series::PALETTE,
    sheet::{BODY, LABEL, Sheet, Type, paper},
};
use crate::{
    ReportError,
    number::{count, figure, maybe, mean, mean_only, number},
    prose,
};

const NAME: &str = "throughput";

pub(super) fn draw(scene: &Scene<'_>) -> Result<Option<Chart>, ReportError> {
    let levels = scene.levels();
    let total = points(&levels, |level| level.output_tok_s);
    let single = points(&levels, |level| Some(level.per_request_tok_s?.mean.value));
    if total.is_empty() || single.is_empty() {
        return Ok(None);
    }
    let title = scene.words.get("chart.throughput");
    let [left, right] = two_panels(BODY + 38.0, 240.0);
    let svg = named(
        NAME,
        paper(BODY + 328.0, &title, &scene.subject(), |sheet| {
            panel(scene, sheet, left, &total, 0, "chart.total_tok_s")?;
            panel(scene, sheet, right, &single, 1, "chart.single_tok_s")
        }),
    )?;
    let rows = levels
        .iter()
        .map(|level| {
            vec![
                count(level.concurrency),
                maybe(level.output_tok_s),
                mean(level.per_request_tok_s),
                number(level.requests_per_s, 2),
                mean_only(level.e2el_ms),
            ]
        })
        .collect();
    Ok(Some(Chart {
        name: NAME,
        title,
        reading: prose::caption::throughput(scene.summary, scene.words),
        table: scene.table(
            &[
                "column.concurrency",
                "column.total_tok_s",
                "column.single_tok_s",
                "column.requests_per_s",
                "column.e2el_mean",
            ],
            rows,
        ),
        svg,
    }))
}

/// `(concurrency, figure)` of the levels that have the figure.
pub(super) fn points(levels: &[&LevelSummary], figure: impl Fn(&LevelSummary) -> Option<f64>) -> Vec<(f64, f64)> {
    levels.iter().filter_map(|level| Some((f64::from(level.concurrency), figure(level)?))).collect()
}

fn panel(scene: &Scene<'_>, sheet: &Sheet<'_>, place: Place, values: &[(f64, f64)], look: usize, head: &str) -> Drawn {
    let max = values.iter().map(|&(_, y)| y).fold(0.0, f64::max);
    let axes = (Axis::levels(&scene.levels()), Axis::from_zero(max * 1.05, 5.0));
    let head = scene.words.get(head);
    let frame = Frame::draw(sheet, place, axes, &head, &scene.concurrency_title())?;
    frame.line_with_marks(PALETTE[look], values)?;
    frame.marks(PALETTE[look].hollow(), &scene.doubtful(values))?;
    let mut places = frame.places(&[values]);
    // The largest and the smallest value first: they are what the reader looks for, so they get their places for certain.
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].1.total_cmp(&values[a].1));
    let smallest = order.pop();
    order.splice(1.min(order.len())..1.min(order.len()), smallest);
    for (rank, index) in order.into_iter().enumerate() {
        let face = Type { bold: rank == 0, ..LABEL };
        frame.label(&mut places, values[index], &figure(values[index].1), face)?;
    }
    Ok(())
}
