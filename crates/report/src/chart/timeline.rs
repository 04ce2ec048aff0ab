//! The run over elapsed time: requests in flight by the client's account, running and waiting by the server's, and how
//! full the KV cache was. Grey and white bands are the levels.

use analysis::LevelSummary;
use plotters::style::Color;
use records::{Offset, Phase, RequestRecord};

use super::{
    Chart, Drawn, Scene,
    axis::Axis,
    frame::{Frame, Place},
    named,
    series::{PALETTE, Sample, legend},
    sheet::{Anchor, BODY, HEAD, SHADE, Sheet, TICK, paper, text_width},
    steps::{averaged, in_progress, thinned},
};
use crate::{
    ReportError,
    number::{ABSENT, count, figure, maybe, number, percent},
    prose,
};

const NAME: &str = "timeline";
const PANEL: f64 = 664.0;
/// One mean for each CSS pixel.
const COLUMNS: u32 = 664;

/// One curve: its name's key, and its points `(seconds, value)`.
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// Which of several panels over one axis it is: the first names the levels, the last the axis.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub(super) first: bool,
    pub(super) last: bool,
}

pub(super) fn draw(scene: &Scene<'_>) -> Result<Option<Chart>, ReportError> {
    let end = end_of(scene);
    if scene.run.requests.is_empty() || end <= 0.0 {
        return Ok(None);
    }
    let requests = requests(scene, end);
    let cache = server_curve(scene, |sample| Some(sample.kv_usage? * 100.0));
    let title = scene.words.get("chart.timeline");
    let second = if cache.is_empty() { 0.0 } else { 130.0 };
    let svg = named(
        NAME,
        paper(BODY + 288.0 + second, &title, &scene.subject(), |sheet| {
            request_panel(scene, sheet, end, &requests, cache.is_empty())?;
            if cache.is_empty() {
                return Ok(());
            }
            cache_panel(scene, sheet, end, cache)
        }),
    )?;
    let levels = &scene.summary.levels;
    Ok(Some(Chart {
        name: NAME,
        title,
        reading: prose::caption::timeline(scene.summary, scene.words),
        table: scene.table(
            &[
                "column.concurrency",
                "column.from_s",
                "column.to_s",
                "column.in_flight",
                "column.running",
                "column.waiting",
                "column.kv_max",
            ],
            levels.iter().map(|level| row(scene, level)).collect(),
        ),
        svg,
    }))
}

fn request_panel(scene: &Scene<'_>, sheet: &Sheet<'_>, end: f64, curves: &[Curve], last: bool) -> Drawn {
    let names = curves.iter().map(|curve| curve.name.clone());
    let names: Vec<_> = PALETTE.into_iter().zip(names).collect();
    legend(sheet, (16.0, BODY + 10.0), &names, Sample::Line)?;
    let points = curves.iter().flat_map(|curve| &curve.points);
    let max = points.map(|&(_, value)| value).fold(0.0, f64::max);
    let place = panel_place(BODY + 64.0, 180.0);
    let head = scene.words.get("chart.requests");
    let ends = Ends { first: true, last };
    let y = (Axis::from_zero(max, 4.0), head.as_str());
    panel(scene, (sheet, place, ends), y, end, curves)
}

fn cache_panel(scene: &Scene<'_>, sheet: &Sheet<'_>, end: f64, points: Vec<(f64, f64)>) -> Drawn {
    let head = scene.words.get("chart.kv_usage");
    let curve = Curve { name: head.clone(), points };
    let place = panel_place(BODY + 302.0, 74.0);
    let ends = Ends { first: false, last: true };
    let y = (Axis::percent(), head.as_str());
    panel(scene, (sheet, place, ends), y, end, &[curve])
}

fn requests(scene: &Scene<'_>, end: f64) -> Vec<Curve> {
    let sent =
        scene.run.requests.iter().map(|request| (request.sent_ns.as_secs_f64(), request.finished_ns.as_secs_f64()));
    let client = averaged(&in_progress(sent), end, COLUMNS);
    [
        ("chart.in_flight", client),
        ("chart.running", server_curve(scene, |sample| sample.running)),
        ("chart.waiting", server_curve(scene, |sample| sample.waiting)),
    ]
    .into_iter()
    .filter(|(_, points)| !points.is_empty())
    .map(|(name, points)| Curve { name: scene.words.get(name), points })
    .collect()
}

fn server_curve(scene: &Scene<'_>, value: impl Fn(&records::ServerSample) -> Option<f64>) -> Vec<(f64, f64)> {
    let points: Vec<_> =
        scene.run.server.iter().filter_map(|sample| Some((sample.t_ns.as_secs_f64(), value(sample)?))).collect();
    thinned(&points, end_of(scene).max(1e-9), PANEL * 2.0)
}

pub(super) fn panel_place(top: f64, height: f64) -> Place {
    Place { left: 68.0, top, width: PANEL, height }
}

/// A panel over the whole run, with its level bands. The head of the first stands above the names of the levels.
pub(super) fn panel(
    scene: &Scene<'_>,
    (sheet, place, ends): (&Sheet<'_>, Place, Ends),
    (y, head): (Axis, &str),
    end: f64,
    curves: &[Curve],
) -> Drawn {
    bands(scene, (sheet, place, ends), end)?;
    let below = if ends.last { scene.words.get("chart.elapsed_axis") } else { String::new() };
    let beside = if ends.first { "" } else { head };
    if ends.first {
        let above = (place.left - 46.0, place.top - 23.0);
        sheet.text(above, Anchor::Start, HEAD, head)?;
    }
    let frame = Frame::draw(sheet, place, (Axis::span(end, 10.0), y), beside, &below)?;
    for (look, curve) in PALETTE.iter().zip(curves) {
        frame.line(*look, &curve.points)?;
    }
    Ok(())
}

fn bands(scene: &Scene<'_>, (sheet, place, ends): (&Sheet<'_>, Place, Ends), end: f64) -> Drawn {
    let mut free_from = place.left;
    for (index, level) in scene.summary.levels.iter().enumerate() {
        let Some((from, to)) = span_of(scene, level) else {
            continue;
        };
        let at = |seconds: f64| place.left + (seconds / end).clamp(0.0, 1.0) * place.width;
        let (left, right) = (at(from), at(to));
        if index % 2 == 0 {
            sheet.rect((left, place.top), (right, place.bottom()), SHADE.filled())?;
        }
        if !ends.first {
            continue;
        }
        let text = scene.words.say("chart.level", &[("c", &count(level.concurrency))]);
        let short = count(level.concurrency);
        let room = right - left + 2.0;
        for text in [text, short] {
            let width = text_width(&text, TICK.size);
            let start = (left + right - width) / 2.0;
            if width <= room && start >= free_from {
                sheet.text((start, place.top - 5.0), Anchor::Start, TICK, &text)?;
                free_from = start + width + 4.0;
                break;
            }
        }
    }
    Ok(())
}

/// From the level's first sign to its last: phases where they were written, requests where the run was killed before.
fn span_of(scene: &Scene<'_>, level: &LevelSummary) -> Option<(f64, f64)> {
    let of_phases = |phase: &&Phase| phase.level == Some(level.level);
    let of_requests = |request: &&RequestRecord| request.level == level.level;
    let phases = scene.run.phases.iter().filter(of_phases);
    let requests = scene.run.requests.iter().filter(of_requests);
    let (starts, ends): (Vec<Offset>, Vec<Offset>) = phases
        .map(|phase| (phase.start_ns, phase.end_ns))
        .chain(requests.map(|request| (request.sent_ns, request.finished_ns)))
        .unzip();
    let (from, to) = (starts.into_iter().min()?, ends.into_iter().max()?);
    Some((from.as_secs_f64(), to.as_secs_f64()))
}

/// The last thing recorded.
pub(super) fn end_of(scene: &Scene<'_>) -> f64 {
    let requests = scene.run.requests.iter().map(|request| request.finished_ns);
    let phases = scene.run.phases.iter().map(|phase| phase.end_ns);
    requests.chain(phases).max().map_or(0.0, Offset::as_secs_f64)
}

fn row(scene: &Scene<'_>, level: &LevelSummary) -> Vec<String> {
    let span = span_of(scene, level);
    let server = level.server.unwrap_or_default();
    let seconds = |value: Option<f64>| value.map_or_else(|| ABSENT.into(), |s| number(s, 1));
    vec![
        count(level.concurrency),
        seconds(span.map(|span| span.0)),
        seconds(span.map(|span| span.1)),
        figure(level.in_flight_mean),
        maybe(server.running_mean),
        maybe(server.waiting_mean),
        server.kv_usage_max.map_or_else(|| ABSENT.into(), percent),
    ]
}
