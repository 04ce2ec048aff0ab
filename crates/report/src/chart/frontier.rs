//! What the server gives in all against what one user gets: every level a point, in load order.
//!
//! Up and to the right is better; a point with another both above and to the right of it is a level not worth running.

use super::{
    Chart, Drawn, Scene,
    axis::Axis,
    frame::{Frame, Place},
    named,
    series::{PALETTE, Sample, Series, legend},
    sheet::{BODY, DrawError, LABEL, MUTED, Sheet, Type, paper},
};
use crate::{
    ReportError,
    number::{count, figure},
    prose,
};

const NAME: &str = "frontier";

/// A level's point.
#[derive(Clone, Copy)]
struct Point {
    concurrency: u32,
    single: f64,
    total: f64,
    dominated: bool,
    valid: bool,
}

pub(super) fn draw(scene: &Scene<'_>) -> Result<Option<Chart>, ReportError> {
    let points = points(scene);
    if points.len() < 2 {
        return Ok(None);
    }
    let title = scene.words.get("chart.frontier");
    let svg = named(NAME, paper(HEIGHT, &title, &scene.subject(), |sheet| plot(scene, sheet, &points)))?;
    let yes_no = |dominated: bool| scene.words.get(if dominated { "word.yes" } else { "word.no" });
    let rows = points
        .iter()
        .map(|point| vec![count(point.concurrency), figure(point.single), figure(point.total), yes_no(point.dominated)])
        .collect();
    let dominated: Vec<u32> = points.iter().filter(|point| point.dominated).map(|point| point.concurrency).collect();
    Ok(Some(Chart {
        name: NAME,
        title,
        reading: prose::caption::frontier(&dominated, scene.words),
        table: scene
            .table(&["column.concurrency", "column.single_tok_s", "column.total_tok_s", "column.dominated"], rows),
        svg,
    }))
}

fn points(scene: &Scene<'_>) -> Vec<Point> {
    let mut points: Vec<Point> = scene
        .levels()
        .iter()
        .filter_map(|level| {
            Some(Point {
                concurrency: level.concurrency,
                single: level.per_request_tok_s?.mean.value,
                total: level.output_tok_s?,
                dominated: false,
                valid: level.invalid.is_empty(),
            })
        })
        .collect();
    for index in 0..points.len() {
        let this = points[index];
        points[index].dominated = points.iter().any(|other| {
            other.single >= this.single
                && other.total >= this.total
                && (other.single > this.single || other.total > this.total)
        });
    }
    points
}

/// Height of a chart of one frontier.
pub(super) const HEIGHT: f64 = BODY + 400.0;

/// The legend of points that are worth it and, hollow, of those that are not; where the points go, and the hollow mark.
pub(super) fn worth_and_dominated(
    sheet: &Sheet<'_>,
    [worth, dominated]: [String; 2],
) -> Result<(Place, Series), DrawError> {
    let hollow = PALETTE[0].hollow();
    legend(sheet, (16.0, BODY + 10.0), &[(PALETTE[0], worth), (hollow, dominated)], Sample::Mark)?;
    let place = Place { left: 68.0, top: BODY + 68.0, width: 664.0, height: 284.0 };
    Ok((place, hollow))
}

fn plot(scene: &Scene<'_>, sheet: &Sheet<'_>, points: &[Point]) -> Drawn {
    let keys = ["chart.worth", "chart.dominated"].map(|key| scene.words.get(key));
    let (place, hollow) = worth_and_dominated(sheet, keys)?;
    let max = |of: fn(&Point) -> f64| points.iter().map(of).fold(0.0, f64::max) * 1.06;
    let axes = (Axis::from_zero(max(|point| point.single), 8.0), Axis::from_zero(max(|point| point.total), 5.0));
    let head = scene.words.get("chart.total_tok_s");
    let below = scene.words.get("chart.single_tok_s");
    let frame = Frame::draw(sheet, place, axes, &head, &below)?;
    let values: Vec<_> = points.iter().map(|p| (p.single, p.total)).collect();
    sheet.line(&frame.all_at(&values), MUTED, 1.0)?;
    let mut places = frame.places(&[&values]);
    for (point, &value) in points.iter().zip(&values) {
        let look = if point.dominated { hollow } else { PALETTE[0] };
        look.marks(sheet, &[frame.at(value)])?;
        let face = Type { bold: !point.dominated, ..LABEL };
        let mut text = scene.words.say("chart.level", &[("c", &count(point.concurrency))]);
        if !point.valid {
            text.push_str(" †");
        }
        frame.label(&mut places, value, &text, face)?;
    }
    Ok(())
}
