//! Requests that fit on each GPU option, by the simple method and really held, against the target.

use analysis::{GpuOption, SizingSection};
use plotters::style::Color;

use super::{
    Chart, Drawn, Scene,
    axis::Axis,
    named,
    series::{BLUE, SKY},
    sheet::{AXIS, Anchor, BODY, GRID, INK, LABEL, PAPER, Sheet, TICK, Type, WIDTH, paper, shortened, text_width},
};
use crate::{
    ReportError,
    number::{count, held},
    prose::{
        self,
        sizing::{holds, option_name},
    },
    view::sizing::{fit_text, simple_text},
};

const NAME: &str = "capacity";
const LEFT: f64 = 150.0;
const RIGHT: f64 = WIDTH - 90.0;
const ROW: f64 = 42.0;

pub(super) fn draw(scene: &Scene<'_>) -> Result<Option<Chart>, ReportError> {
    let Some(sizing) = &scene.summary.sizing else {
        return Ok(None);
    };
    let shown = shown(sizing);
    if shown.is_empty() {
        return Ok(None);
    }
    let title = scene.words.say("chart.capacity", &[("tokens", &count(sizing.context_tokens))]);
    let height = BODY + 96.0 + ROW * shown.len() as f64;
    let svg = named(NAME, paper(height, &title, &subtitle(scene, sizing), |sheet| plot(scene, sheet, sizing, &shown)))?;
    let rows = sizing
        .options
        .iter()
        .map(|option| vec![option_name(option), simple_text(option, scene.words), held_text(option, scene)])
        .collect();
    Ok(Some(Chart {
        name: NAME,
        title,
        reading: prose::caption::capacity(sizing, scene.words),
        table: scene.table(&["column.gpu", "column.fits_simple", "column.fits_held"], rows),
        svg,
    }))
}

/// Unlike the other charts this one shows a computation, not the measured server; a simulated run still says so.
fn subtitle(scene: &Scene<'_>, sizing: &SizingSection) -> String {
    let mut parts = Vec::new();
    if let Some(profile) = &scene.summary.run.simulated_profile {
        parts.push(scene.words.say("chart.simulated", &[("profile", profile)]));
    }
    parts.push(scene.words.get("chart.computed"));
    parts.push(format!("{} {}", sizing.model, sizing.weight_dtype));
    parts.push(sizing.engine.clone());
    crate::sanitise::one_line(&parts.join(" · "))
}

/// One card of each GPU that holds anything, and the smallest number of it that holds the target; the table has all.
fn shown(sizing: &SizingSection) -> Vec<&GpuOption> {
    let enough = |option: &GpuOption| holds(sizing, option);
    let fewest = |gpu: &str| {
        let of_gpu = sizing.options.iter().filter(|option| option.gpu == gpu);
        of_gpu.filter(|option| enough(option)).map(|o| o.count).min()
    };
    let fits = |option: &GpuOption| option.simple_max_requests > 0 || option.held_max_requests.is_some();
    let options = sizing.options.iter();
    options
        .filter(|option| fits(option))
        .filter(|option| option.count == 1 || Some(option.count) == fewest(&option.gpu))
        .collect()
}

fn plot(scene: &Scene<'_>, sheet: &Sheet<'_>, sizing: &SizingSection, shown: &[&GpuOption]) -> Drawn {
    let target = f64::from(sizing.target_concurrency);
    let longest = |option: &&GpuOption| fits(option).map(|(_, fit)| fit).into_iter().fold(0.0, f64::max);
    let max = shown.iter().map(longest).fold(target, f64::max);
    let axis = Axis::from_zero(max, 6.0);
    let top = BODY + 40.0;
    let bottom = top + ROW * shown.len() as f64;
    let at = |value: f64| LEFT + axis.share(value) * (RIGHT - LEFT);
    key(scene, sheet)?;
    for tick in &axis.ticks {
        let x = at(tick.at);
        sheet.line(&[(x, top), (x, bottom)], GRID, 1.0)?;
        sheet.text((x, bottom + 18.0), Anchor::Middle, TICK, &tick.label)?;
    }
    let below = scene.words.get("chart.fits_axis");
    sheet.text((f64::midpoint(LEFT, RIGHT), bottom + 38.0), Anchor::Middle, TICK, &below)?;
    let row = |index: usize| top + ROW * index as f64;
    for (index, option) in shown.iter().enumerate() {
        let y = row(index);
        let name = shortened(&option_name(option), LABEL.size, LEFT - 26.0);
        sheet.text((LEFT - 8.0, y + ROW / 2.0 + 4.0), Anchor::End, LABEL, &name)?;
        for (exact, fit) in fits(option) {
            bar(sheet, (at(0.0), at(fit)), bar_top(y, exact), exact)?;
        }
    }
    sheet.line(&[(LEFT, top), (LEFT, bottom)], AXIS, 1.0)?;
    sheet.dashed(&[(at(target), top - 6.0), (at(target), bottom)], INK, 1.5, (6, 4))?;
    let text = scene.words.say("chart.target", &[("c", &count(sizing.target_concurrency))]);
    let face = Type { bold: true, ..LABEL };
    sheet.text((at(target), top - 11.0), Anchor::Middle, face, &text)?;
    for (index, option) in shown.iter().enumerate() {
        let texts = [simple_text(option, scene.words), held_text(option, scene)];
        for ((exact, fit), text) in fits(option).into_iter().zip(texts) {
            value(sheet, (at(fit) + 5.0, bar_top(row(index), exact)), &text)?;
        }
    }
    Ok(())
}

/// `(exact, requests)` of both methods.
fn fits(option: &GpuOption) -> [(bool, f64); 2] {
    [(false, f64::from(option.simple_max_requests)), (true, option.held_max_requests.unwrap_or(0.0))]
}

/// Requests that are really held, in whole ones.
fn held_text(option: &GpuOption, scene: &Scene<'_>) -> String {
    fit_text(option.held_max_requests, scene.words, held)
}

fn bar_top(row: f64, exact: bool) -> f64 {
    row + if exact { 22.0 } else { 6.0 }
}

/// A figure at the end of its bar, on a patch of paper so that the target's line does not cross it.
fn value(sheet: &Sheet<'_>, (x, y): (f64, f64), text: &str) -> Drawn {
    let width = text_width(text, LABEL.size);
    sheet.rect((x - 2.0, y - 0.5), (x + width + 2.0, y + 13.5), PAPER.filled())?;
    sheet.text((x, y + 10.5), Anchor::Start, LABEL, text)
}

fn key(scene: &Scene<'_>, sheet: &Sheet<'_>) -> Drawn {
    let y = BODY + 6.0;
    let mut x = 16.0;
    for (exact, name) in [(false, "sizing.simple"), (true, "column.fits_held")] {
        let name = scene.words.get(name);
        bar(sheet, (x, x + 24.0), y - 6.0, exact)?;
        sheet.text((x + 31.0, y + 4.0), Anchor::Start, LABEL, &name)?;
        x += 31.0 + text_width(&name, LABEL.size) + 24.0;
    }
    Ok(())
}

/// The exact method is a filled bar, the simple one an outline: they stay apart in print without colour.
fn bar(sheet: &Sheet<'_>, (from, to): (f64, f64), y: f64, exact: bool) -> Drawn {
    if to <= from {
        return Ok(());
    }
    if exact {
        return sheet.rect((from, y), (to, y + 13.0), BLUE.filled());
    }
    sheet.rect((from, y), (to, y + 13.0), SKY.mix(0.25).filled())?;
    sheet.rect((from + 0.5, y + 0.5), (to - 0.5, y + 12.5), BLUE.stroke_width(2))
}
