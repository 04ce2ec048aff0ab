//! Two charts over a plan's choices: what an hour costs against the TPOT that a user gets, and the least that each objective of
//! TPOT and of TTFT costs.

use analysis::planning::{Choice, FleetPlan, Interval, Speed};

use super::{
    Chart, Drawn, Scene,
    axis::Axis,
    frame::{Frame, two_panels},
    frontier::{HEIGHT, worth_and_dominated},
    named,
    series::PALETTE,
    sheet::{BODY, LABEL, Sheet, paper},
};
use crate::{
    ReportError,
    number::{dollars, figure},
};

const FRONTIER: &str = "plan_frontier";
const SLO: &str = "plan_slo";

/// A latency of a speed.
type Latency = fn(&Speed) -> Interval;

/// A choice with both figures.
struct Point<'a> {
    choice: &'a Choice,
    speed: Speed,
    usd: f64,
}

/// Choices in the formats that were asked for whose speed and hourly cost are known.
fn points(plan: &FleetPlan) -> Vec<Point<'_>> {
    let asked = plan.choices.iter().filter(|choice| choice.as_asked);
    let known =
        asked.filter_map(|choice| Some(Point { choice, speed: choice.speed?, usd: choice.cost.usd_per_hour()? }));
    known.collect()
}

/// A plan is a computation, whatever the server was that the run measured.
pub(super) fn subtitle(scene: &Scene<'_>, plan: &FleetPlan) -> String {
    let basis = if plan.basis.measured.is_empty() { "chart.from_catalogue" } else { "chart.from_runs" };
    let parts = [scene.words.get("chart.predicted"), plan.model.clone(), scene.words.get(basis)];
    crate::sanitise::one_line(&parts.join(" · "))
}

pub(super) fn frontier(scene: &Scene<'_>) -> Result<Option<Chart>, ReportError> {
    let Some(plan) = scene.summary.plan.as_deref() else {
        return Ok(None);
    };
    let points = points(plan);
    if points.len() < 2 {
        return Ok(None);
    }
    let title = scene.words.get("chart.plan_frontier");
    let svg =
        named(FRONTIER, paper(HEIGHT, &title, &subtitle(scene, plan), |sheet| plot_frontier(scene, sheet, &points)))?;
    let best = points.iter().filter(|point| point.choice.on_frontier);
    let rows = best.clone().map(|point| {
        vec![
            point.choice.name(),
            dollars(point.usd),
            scene.figures.time(point.speed.tpot_s.likely * 1e3),
            figure(point.speed.output_tokens_per_second.likely),
        ]
    });
    let heads = ["column.choice", "column.hourly", "column.plan_tpot", "column.plan_total"];
    let table = scene.table(&heads, rows.collect());
    let count = |n: usize| crate::number::count(n as u64);
    let reading =
        scene.words.say("reading.plan_frontier", &[("on", &count(best.count())), ("all", &count(points.len()))]);
    Ok(Some(Chart { name: FRONTIER, title, reading, table, svg }))
}

fn ends(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max))
}

fn axes(scene: &Scene<'_>, points: &[Point<'_>], of: Latency) -> (Axis, Axis) {
    let (fastest, slowest) = ends(points.iter().map(|point| of(&point.speed).likely * 1e3));
    let (least, most) = ends(points.iter().map(|point| point.usd));
    (Axis::times(fastest, slowest, scene.figures), Axis::prices(least, most))
}

fn plot_frontier(scene: &Scene<'_>, sheet: &Sheet<'_>, points: &[Point<'_>]) -> Drawn {
    let keys = ["chart.on_frontier", "chart.behind_frontier"].map(|key| scene.words.get(key));
    let (place, hollow) = worth_and_dominated(sheet, keys)?;
    let head = scene.words.get("column.hourly");
    let below = scene.words.get("chart.tpot_axis");
    let frame = Frame::draw(sheet, place, axes(scene, points, |speed| speed.tpot_s), &head, &below)?;
    let at = |point: &Point<'_>| (point.speed.tpot_s.likely * 1e3, point.usd);
    let all: Vec<_> = points.iter().map(at).collect();
    let behind: Vec<_> = points.iter().filter(|point| !point.choice.on_frontier).map(at).collect();
    frame.marks(hollow, &behind)?;
    let mut places = frame.places(&[]);
    for &value in &all {
        places.block(frame.at(value), 4.0);
    }
    for point in points.iter().filter(|point| point.choice.on_frontier) {
        frame.marks(PALETTE[0], &[at(point)])?;
        frame.label(&mut places, at(point), &point.choice.name(), LABEL)?;
    }
    Ok(())
}

/// The least hourly cost at which a latency is reached, by latency: each point beats all slower ones that cost more.
fn steps(points: &[Point<'_>], of: Latency) -> Vec<(f64, f64)> {
    let mut sorted: Vec<(f64, f64)> = points.iter().map(|point| (of(&point.speed).likely * 1e3, point.usd)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut least = f64::INFINITY;
    sorted.retain(|&(_, usd)| {
        let better = usd < least;
        least = least.min(usd);
        better
    });
    sorted
}

pub(super) fn slo(scene: &Scene<'_>) -> Result<Option<Chart>, ReportError> {
    let Some(plan) = scene.summary.plan.as_deref() else {
        return Ok(None);
    };
    let points = points(plan);
    let tpot = steps(&points, |speed| speed.tpot_s);
    if tpot.len() < 2 {
        return Ok(None);
    }
    let title = scene.words.get("chart.plan_slo");
    let svg = named(SLO, paper(BODY + 330.0, &title, &subtitle(scene, plan), |sheet| plot_slo(scene, sheet, &points)))?;
    let rows = tpot.iter().map(|&(ms, usd)| vec![scene.figures.time(ms), dollars(usd)]);
    let table = scene.table(&["column.plan_tpot", "column.hourly"], rows.collect());
    let reading = match (tpot.first(), tpot.last()) {
        (Some(&(fast, dear)), Some(&(slow, cheap))) => scene.words.say(
            "reading.plan_slo",
            &[
                ("slow", &*scene.figures.time(slow)),
                ("cheap", &dollars(cheap)),
                ("fast", &scene.figures.time(fast)),
                ("dear", &dollars(dear)),
            ],
        ),
        _ => String::new(),
    };
    Ok(Some(Chart { name: SLO, title, reading, table, svg }))
}

fn plot_slo(scene: &Scene<'_>, sheet: &Sheet<'_>, points: &[Point<'_>]) -> Drawn {
    let of: [(&str, Latency); 2] =
        [("chart.tpot_axis", |speed| speed.tpot_s), ("chart.ttft_axis", |speed| speed.ttft_s)];
    for (place, (below, of)) in two_panels(BODY + 40.0, 216.0).into_iter().zip(of) {
        let head = scene.words.get("column.hourly");
        let below = scene.words.get(below);
        let frame = Frame::draw(sheet, place, axes(scene, points, of), &head, &below)?;
        let corners = steps(points, of);
        // A staircase: a latency is paid for by the choice that is at least as fast.
        let mut line = Vec::new();
        for pair in corners.windows(2) {
            line.extend([pair[0], (pair[1].0, pair[0].1)]);
        }
        line.extend(corners.last().copied());
        frame.line(PALETTE[0], &line)?;
        frame.marks(PALETTE[0], &corners)?;
    }
    Ok(())
}
