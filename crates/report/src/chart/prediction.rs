//! What was predicted of each level without it, against what was measured: TTFT, TPOT and the whole server's output.
//!
//! Both axes are logarithmic and alike, so the diagonal is where prediction and measurement agree; a point whose interval
//! does not reach the diagonal is a miss, and hollow.

use analysis::{Held, HeldOutLevel, PerformanceSection};

use super::{
    Chart, Drawn, Scene,
    axis::Axis,
    frame::{Frame, Place},
    named,
    series::{PALETTE, Sample, Series, legend},
    sheet::{BODY, MUTED, Sheet, paper},
};
use crate::{
    ReportError,
    number::count,
    prose::performance::{predicted, sentences},
};

const NAME: &str = "prediction";

type Pick = fn(&HeldOutLevel) -> Option<Held>;

/// A figure's head, its levels' values, and whether it is a time.
const PANELS: [(&str, Pick, bool); 3] = [
    ("chart.ttft", |level| level.ttft_ms, true),
    ("chart.tpot", |level| level.tpot_ms, true),
    ("chart.total_short", |level| level.output_tok_s, false),
];

pub(super) fn draw(scene: &Scene<'_>) -> Result<Option<Chart>, ReportError> {
    let Some(section) = &scene.summary.performance else {
        return Ok(None);
    };
    let panels: Vec<_> = PANELS
        .into_iter()
        .map(|(head, pick, is_time)| (head, points(section, pick), is_time))
        .filter(|(_, points, _)| !points.is_empty())
        .collect();
    if panels.is_empty() {
        return Ok(None);
    }
    let title = scene.words.get("chart.prediction");
    let svg = named(
        NAME,
        paper(BODY + 292.0, &title, &scene.subject(), |sheet| {
            key(scene, sheet)?;
            for (index, (head, points, is_time)) in panels.iter().enumerate() {
                panel(scene, sheet, place(index), (head, points, *is_time))?;
            }
            Ok(())
        }),
    )?;
    Ok(Some(Chart {
        name: NAME,
        title,
        reading: sentences(section, scene.words).join(" "),
        table: scene.table(
            &[
                "column.concurrency",
                "column.ttft_mean",
                "column.predicted",
                "column.tpot",
                "column.predicted",
                "column.total_tok_s",
                "column.predicted",
            ],
            section.levels.iter().map(row).collect(),
        ),
        svg,
    }))
}

fn points(section: &PerformanceSection, pick: Pick) -> Vec<Held> {
    let levels = section.levels.iter().filter_map(pick);
    levels.filter(|held| held.predicted.is_some()).collect()
}

fn row(level: &HeldOutLevel) -> Vec<String> {
    let mut cells = vec![count(level.concurrency)];
    for held in [level.ttft_ms, level.tpot_ms, level.output_tok_s] {
        let told = held.and_then(|held| held.predicted);
        let plain = |value: f64| format!("{value:.2}");
        cells.push(held.map_or_else(|| crate::number::ABSENT.into(), |held| plain(held.measured)));
        cells.push(told.map_or_else(
            || crate::number::ABSENT.into(),
            |told| {
                let (text, ends) = predicted(told);
                format!("{text} ({ends})")
            },
        ));
    }
    cells
}

fn place(index: usize) -> Place {
    Place { left: [62.0, 310.0, 558.0][index.min(2)], top: BODY + 62.0, width: 180.0, height: 180.0 }
}

fn missed() -> Series {
    PALETTE[1].hollow()
}

fn key(scene: &Scene<'_>, sheet: &Sheet<'_>) -> Drawn {
    let entries =
        [(PALETTE[0], scene.words.get("chart.interval_held")), (missed(), scene.words.get("chart.interval_missed"))];
    legend(sheet, (16.0, BODY + 10.0), &entries, Sample::Mark)
}

fn panel(scene: &Scene<'_>, sheet: &Sheet<'_>, place: Place, (head, points, is_time): (&str, &[Held], bool)) -> Drawn {
    let reaches = points.iter().flat_map(|held| {
        let told = held.predicted.map(|told| [told.low, told.high]);
        std::iter::once(held.measured).chain(told.into_iter().flatten())
    });
    let (low, high) = reaches.fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let axis = || {
        if is_time { Axis::times(low, high, scene.figures) } else { Axis::rates(low, high) }
    };
    let head = scene.words.get(head);
    let below = scene.words.get("chart.measured_axis");
    let frame = Frame::draw(sheet, place, (axis(), axis()), &head, &below)?;
    let (from, to) = axis().ends();
    sheet.dashed(&frame.all_at(&[(from, from), (to, to)]), MUTED, 1.0, (4, 3))?;
    for held in points {
        let Some(told) = held.predicted else {
            continue;
        };
        let holds = held.holds() == Some(true);
        let look = if holds { PALETTE[0] } else { missed() };
        let whisker = [(held.measured, told.low), (held.measured, told.high)];
        sheet.line(&frame.all_at(&whisker), look.colour, 1.5)?;
        frame.marks(look, &[(held.measured, told.likely)])?;
    }
    Ok(())
}
