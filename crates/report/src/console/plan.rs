//! What `plan` prints: what was asked, the choices worth a look, the recommended ones with their commands, what would change
//! the answer, and what was left out.

use analysis::planning::{Choice, FleetPlan};

use super::text::{Column, grid, wrapped};
use crate::{
    language::{Language, Words},
    number::{ABSENT, Figures, dollars, held_tenths, number, percent},
    prose::plan::{answer, asked, basis, change, left_out, recommendation, recommended, shown, tpot},
};

/// A plan in a terminal of `width` columns.
///
/// The text ends with a line feed and holds no colour and no control character; English is pure ASCII.
pub fn plan_console(plan: &FleetPlan, language: Language, width: usize) -> String {
    // A catalogue that cannot be read is caught by the tests.
    let Ok(words) = Words::load(language) else {
        return String::new();
    };
    let page = Page { plan, words: &words, figures: Figures::of(language), width: width.max(40) };
    let mut lines = page.paragraph(&asked(plan, &words, page.figures), "");
    lines.extend(page.paragraph(&basis(plan, &words), ""));
    lines.push(String::new());
    if plan.choices.iter().any(|choice| choice.as_asked) {
        lines.extend(grid(&page.table(), language, page.width));
        lines.extend(page.paragraph(&words.get("plan.table_note"), ""));
    } else {
        lines.extend(page.paragraph(&words.get("plan.nothing"), ""));
    }
    lines.extend(page.recommendations());
    lines.extend(page.hours());
    lines.extend(page.changes());
    lines.extend(page.rest());
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

struct Page<'a> {
    plan: &'a FleetPlan,
    words: &'a Words,
    figures: Figures,
    width: usize,
}

impl Page<'_> {
    fn paragraph(&self, text: &str, bullet: &str) -> Vec<String> {
        wrapped(text, bullet, self.words.language, self.width)
    }

    fn heading(&self, key: &str) -> Vec<String> {
        vec![String::new(), self.words.get(key)]
    }

    fn table(&self) -> Vec<Column> {
        let choices = || shown(self.plan).into_iter().filter_map(|index| self.plan.choices.get(index));
        let column = |cost, head: &str, cell: &dyn Fn(&Choice) -> String| {
            Column::numbers(cost, self.words.get(head), choices().map(cell))
        };
        let usd = |usd: Option<f64>| usd.map_or_else(|| ABSENT.into(), dollars);
        let speed = |of: fn(&analysis::planning::Speed, Figures) -> String| {
            let figures = self.figures;
            move |choice: &Choice| choice.speed.as_ref().map_or_else(|| ABSENT.into(), |speed| of(speed, figures))
        };
        let name = |choice: &Choice| {
            let mark = if choice.on_frontier { " *" } else { "" };
            format!("{}{mark}", choice.name())
        };
        vec![
            Column::words(0, self.words.get("column.choice"), choices().map(name)),
            column(4, "console.each", &|choice| held_tenths(choice.concurrency)),
            column(3, "console.room", &|choice| format!("{}x", number(choice.head_room, 2))),
            column(2, "console.plan_ttft", &speed(|speed, figures| figures.time(speed.ttft_s.likely * 1e3))),
            column(0, "console.plan_tpot", &speed(tpot)),
            column(1, "console.plan_total", &speed(|speed, _| number(speed.output_tokens_per_second.likely, 0))),
            column(0, "console.purchase", &|choice| usd(choice.cost.purchase.as_ref().map(|price| price.usd))),
            column(0, "console.cloud_hour", &|choice| usd(choice.cost.cloud_per_hour.as_ref().map(|price| price.usd))),
            column(3, "console.million", &|choice| usd(choice.cost.usd_per_million().map(|usd| usd.likely))),
            column(5, "console.joules", &|choice| {
                choice.cost.joules_per_token_at_most.map_or_else(|| ABSENT.into(), |joules| number(joules, 1))
            }),
        ]
    }

    fn recommendations(&self) -> Vec<String> {
        let mut lines = self.heading("part.plan_recommended");
        for (key, index) in recommended(self.plan) {
            let name = self.words.get(key);
            let found = index.and_then(|index| self.plan.choices.get(index));
            let text = recommendation(self.plan, key, index, self.words, self.figures);
            lines.extend(self.paragraph(&format!("{name}: {text}"), "- "));
            // Verbatim and in one line, to be copied.
            lines.extend(found.map(|found| format!("    {}", found.command)));
        }
        lines
    }

    fn hours(&self) -> Vec<String> {
        let Some(day) = &self.plan.fleet else {
            return Vec::new();
        };
        let hours = || day.hours.iter();
        let columns = [
            Column::numbers(0, self.words.get("column.hour"), (0..hours().count()).map(|hour| hour.to_string())),
            Column::numbers(0, self.words.get("column.arrivals"), hours().map(|hour| number(hour.rate_per_s, 2))),
            Column::numbers(0, self.words.get("column.replicas"), hours().map(|hour| hour.replicas.to_string())),
            Column::numbers(0, self.words.get("column.waits"), hours().map(|hour| percent(hour.waits))),
        ];
        let mut lines = self.heading("part.plan_fleet");
        lines.extend(grid(&columns, self.words.language, self.width));
        let mean = number(day.mean_replicas, 1);
        lines.extend(self.paragraph(&self.words.say("plan.fleet_note", &[("mean", &mean)]), ""));
        lines
    }

    fn changes(&self) -> Vec<String> {
        let mut lines = self.heading("part.plan_sensitivity");
        for changed in &self.plan.sensitivity {
            let key = if changed.changes { "plan.then" } else { "plan.stays" };
            let price = changed.purchase_usd.map(dollars).unwrap_or_default();
            let answer = format!("{} {price}", answer(changed, self.words));
            let values = [("change", &*change(changed, self.words)), ("answer", answer.trim_end())];
            lines.extend(self.paragraph(&self.words.say(key, &values), "- "));
        }
        lines
    }

    fn rest(&self) -> Vec<String> {
        let left_out = left_out(self.plan, self.words, self.figures);
        let mut lines = Vec::new();
        if !left_out.is_empty() {
            lines.extend(self.heading("part.plan_left_out"));
            lines.extend(left_out.iter().flat_map(|sentence| self.paragraph(sentence, "- ")));
        }
        lines.push(String::new());
        lines.extend(self.paragraph(&crate::prose::plan::limits(self.plan, self.words), ""));
        lines
    }
}
