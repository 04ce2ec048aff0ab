//! Where the memory of one card goes, for every choice of a plan that is shown: weights, the rest, KV cache in use and free.

use analysis::planning::{Choice, FleetPlan, Memory};
use plotters::style::{Color, RGBColor};

use super::{
    Chart, Drawn, Scene,
    axis::Axis,
    named,
    series::{BLUE, GREEN, SKY, VERMILLION},
    sheet::{AXIS, Anchor, BODY, GRID, LABEL, MUTED, Sheet, TICK, WIDTH, paper, shortened, text_width},
};
use crate::{
    ReportError,
    number::{gib, number},
    prose::plan::shown,
};

const NAME: &str = "plan_memory";
const LEFT: f64 = 250.0;
const RIGHT: f64 = WIDTH - 60.0;
const ROW: f64 = 26.0;
const GIB: f64 = (1_u64 << 30) as f64;

/// Parts of a bar with their key, colour, and whether they are only outlined: told apart in print without colour.
const PARTS: [(&str, RGBColor, f64); 4] = [
    ("plan.part_weights", BLUE, 1.0),
    ("plan.part_other", VERMILLION, 0.55),
    ("plan.part_used", GREEN, 0.9),
    ("plan.part_free", SKY, 0.25),
];

fn parts(memory: &Memory) -> [u64; 4] {
    [memory.weight_bytes, memory.other_bytes, memory.kv_used_bytes, memory.kv_free_bytes]
}

pub(super) fn draw(scene: &Scene<'_>) -> Result<Option<Chart>, ReportError> {
    let Some(plan) = scene.summary.plan.as_deref() else {
        return Ok(None);
    };
    let choices: Vec<&Choice> = shown(plan).into_iter().filter_map(|index| plan.choices.get(index)).collect();
    if choices.is_empty() {
        return Ok(None);
    }
    let title = scene.words.get("chart.plan_memory");
    let height = BODY + 92.0 + ROW * choices.len() as f64;
    let subtitle = super::plan_frontier::subtitle(scene, plan);
    let svg = named(NAME, paper(height, &title, &subtitle, |sheet| plot(scene, sheet, &choices)))?;
    let rows = choices.iter().map(|choice| {
        let mut cells = vec![choice.name(), gib(choice.memory.visible_bytes)];
        cells.extend(parts(&choice.memory).map(gib));
        cells
    });
    Ok(Some(Chart {
        name: NAME,
        title,
        reading: reading(scene, plan, &choices),
        table: scene.table(
            &[
                "column.choice",
                "column.visible",
                "plan.part_weights",
                "plan.part_other",
                "plan.part_used",
                "plan.part_free",
            ],
            rows.collect(),
        ),
        svg,
    }))
}

fn reading(scene: &Scene<'_>, plan: &FleetPlan, choices: &[&Choice]) -> String {
    let best = plan.recommended.least_cost.and_then(|index| plan.choices.get(index));
    let choice = best.or_else(|| choices.first().copied());
    choice.map_or_else(String::new, |choice| {
        scene.words.say(
            "reading.plan_memory",
            &[
                ("name", &*choice.name()),
                ("weights", &gib(choice.memory.weight_bytes)),
                ("used", &gib(choice.memory.kv_used_bytes)),
                ("room", &number(choice.head_room, 2)),
            ],
        )
    })
}

fn plot(scene: &Scene<'_>, sheet: &Sheet<'_>, choices: &[&Choice]) -> Drawn {
    let largest = choices.iter().map(|choice| choice.memory.visible_bytes).max().unwrap_or(1);
    let axis = Axis::from_zero(largest as f64 / GIB, 6.0);
    let top = BODY + 38.0;
    let bottom = top + ROW * choices.len() as f64;
    let at = |bytes: u64| LEFT + axis.share(bytes as f64 / GIB) * (RIGHT - LEFT);
    key(scene, sheet)?;
    for tick in &axis.ticks {
        let x = LEFT + axis.share(tick.at) * (RIGHT - LEFT);
        sheet.line(&[(x, top), (x, bottom)], GRID, 1.0)?;
        sheet.text((x, bottom + 18.0), Anchor::Middle, TICK, &tick.label)?;
    }
    let below = scene.words.get("chart.gib_axis");
    let centre = f64::midpoint(LEFT, RIGHT);
    sheet.text((centre, bottom + 36.0), Anchor::Middle, TICK, &below)?;
    for (index, choice) in choices.iter().enumerate() {
        let y = top + ROW * index as f64;
        let name = shortened(&choice.name(), LABEL.size, LEFT - 24.0);
        sheet.text((LEFT - 8.0, y + ROW / 2.0 + 4.0), Anchor::End, LABEL, &name)?;
        let mut from = 0;
        for (bytes, (_, colour, strength)) in parts(&choice.memory).into_iter().zip(PARTS) {
            let to = from + bytes;
            bar(sheet, (at(from), at(to)), y + 6.0, colour, strength)?;
            from = to;
        }
        // What the engine leaves alone is the room up to this mark.
        let end = at(choice.memory.visible_bytes);
        sheet.line(&[(end, y + 4.0), (end, y + ROW - 4.0)], MUTED, 1.5)?;
    }
    sheet.line(&[(LEFT, top), (LEFT, bottom)], AXIS, 1.0)
}

fn key(scene: &Scene<'_>, sheet: &Sheet<'_>) -> Drawn {
    let y = BODY + 6.0;
    let mut x = 16.0;
    for (name, colour, strength) in PARTS {
        let name = scene.words.get(name);
        bar(sheet, (x, x + 20.0), y - 6.0, colour, strength)?;
        sheet.text((x + 26.0, y + 4.0), Anchor::Start, LABEL, &name)?;
        x += 26.0 + text_width(&name, LABEL.size) + 20.0;
    }
    Ok(())
}

fn bar(sheet: &Sheet<'_>, (from, to): (f64, f64), y: f64, colour: RGBColor, strength: f64) -> Drawn {
    if to - from < 0.5 {
        return Ok(());
    }
    sheet.rect((from, y), (to, y + 14.0), colour.mix(strength).filled())?;
    sheet.rect((from + 0.5, y + 0.5), (to - 0.5, y + 13.5), colour.stroke_width(2))
}
