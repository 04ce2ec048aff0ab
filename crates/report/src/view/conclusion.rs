//! Section 4: what was found about the present server, and what the target would need.

use super::{Block, Desk, Item, Part, Table, operation::held_objectives};
use crate::{
    number::{ABSENT, count, figure, gigabytes, percent},
    prose::{
        self, Completion, is_also_fastest, level_at, mean_of,
        plan::{recommended, short},
        statistic_key, usable_levels,
    },
};

pub(super) fn parts(desk: &Desk<'_>) -> Vec<Part> {
    let text = prose::verdict::sentences(desk.summary, desk.words, desk.figures).join(" ");
    let mut blocks = vec![Block::Paragraph { text }];
    let levels = usable_levels(desk.summary);
    if !levels.is_empty() {
        blocks.push(Block::Table(present(desk)));
        let items = suited(desk);
        if !items.is_empty() {
            blocks.push(Block::Bullets { items });
        }
    }
    let mut parts = vec![desk.part("part.present", blocks)];
    if let Some(table) = target(desk) {
        parts.push(desk.part("part.target", vec![Block::Table(table)]));
    }
    parts
}

fn present(desk: &Desk<'_>) -> Table {
    let limits = &desk.summary.limits;
    let tested = || desk.summary.levels.iter().map(|level| level.concurrency);
    let range = tested()
        .min()
        .zip(tested().max())
        .map_or_else(|| ABSENT.into(), |(least, most)| format!("{}–{}", count(least), count(most)));
    let success = Completion::of(desk.summary).map_or_else(
        || ABSENT.into(),
        |all| {
            let share = percent(all.share());
            format!("{share} ({}/{})", count(all.completed), count(all.measured))
        },
    );
    let recommended = match held_objectives(desk) {
        (Some(tight), widest) => {
            let up_to = widest.and_then(|row| row.concurrency).or(tight.concurrency);
            let low = count(tight.concurrency.unwrap_or_default());
            let high = count(up_to.unwrap_or_default());
            if low == high { low } else { format!("{low}–{high}") }
        }
        _ => desk.get("conclusion.none_recommended"),
    };
    let peak = limits.peak_output.map_or_else(
        || ABSENT.into(),
        |peak| {
            let values = [("tok_s", &*figure(peak.tok_s)), ("c", &*count(peak.concurrency))];
            desk.words.say("conclusion.peak_value", &values)
        },
    );
    let rows = [
        ("conclusion.range", range),
        ("conclusion.success", success),
        ("conclusion.stable", limits.largest_stable.map_or_else(|| desk.get("conclusion.none_stable"), count)),
        ("conclusion.recommended", recommended),
        ("conclusion.peak", peak),
    ]
    .into_iter()
    .map(|(name, value)| vec![desk.get(name), value])
    .collect();
    Table::plain(desk.texts(&["column.item", "column.result"]), rows)
}

fn suited(desk: &Desk<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    let (tightest, _) = held_objectives(desk);
    if let Some((row, concurrency)) = tightest.and_then(|row| Some((row, row.concurrency?))) {
        let values = [
            ("limit", &*desk.figures.limit(row.e2el_below_ms)),
            ("statistic", &*desk.get(statistic_key(row.statistic))),
            ("c", &*count(concurrency)),
        ];
        items.push(Item::labelled(desk.get("conclusion.suited"), desk.words.say("conclusion.suited_text", &values)));
    }
    let limits = &desk.summary.limits;
    let peak = limits
        .peak_output
        .filter(|peak| !is_also_fastest(limits, *peak))
        .and_then(|peak| level_at(desk.summary, peak.concurrency))
        .filter(|level| level.requests.failed == 0 && level.invalid.is_empty());
    if let Some(level) = peak {
        let e2el = mean_of(level.e2el_ms).map_or_else(|| ABSENT.into(), |ms| desk.figures.time(ms));
        let values = [
            ("c", &*count(level.concurrency)),
            ("total", &*crate::number::maybe(level.output_tok_s)),
            ("e2el", &*e2el),
        ];
        items.push(Item::labelled(desk.get("conclusion.batch"), desk.words.say("conclusion.batch_text", &values)));
    }
    items
}

fn target(desk: &Desk<'_>) -> Option<Table> {
    let sizing = desk.summary.sizing.as_ref()?;
    let mut rows = vec![
        (
            desk.get("conclusion.load"),
            desk.words.say(
                "conclusion.load_value",
                &[("target", &count(sizing.target_concurrency)), ("tokens", &count(sizing.context_tokens))],
            ),
        ),
        (desk.get("conclusion.memory"), gigabytes(sizing.simple.total_gb)),
    ];
    if let Some(fleet) = &sizing.fleet {
        let found = recommended(fleet).into_iter();
        rows.extend(found.map(|(key, index)| (desk.get(key), short(fleet, key, index, desk.words))));
    }
    let rows = rows.into_iter().map(|(name, value)| vec![name, value]).collect();
    Some(Table::plain(desk.texts(&["column.requirement", "column.result"]), rows))
}
