//! Sections 6 and 7: how it was measured, so that someone else can do it again, and what lies in the run folder.

use jiff::Timestamp;

use super::{Block, Column, Desk, Fact, Item, Part, Table};
use crate::{
    language::Language,
    number::{ABSENT, count, number, per_second, range},
    prose::{engine_name, list},
};

/// Mean tokens of a chunk from which on it is told; an end-of-sequence token without a chunk of its own stays below.
const SEVERAL_TOKENS: f64 = 1.05;

/// The facts under the title.
pub(super) fn subject(desk: &Desk<'_>) -> Vec<Fact> {
    let run = &desk.summary.run;
    let unknown = || desk.get("word.unknown");
    let engine = engine_name(desk.summary).map_or_else(unknown, |name| {
        let version = run.engine_version.as_deref().unwrap_or_default();
        format!("{name} {version}").trim_end().to_owned()
    });
    let gpus = if run.gpus.is_empty() { desk.get("subject.no_gpu") } else { run.gpus.join(", ") };
    [
        ("subject.started", date(run.started_unix_s)),
        ("subject.model", run.model.clone()),
        ("subject.engine", engine),
        ("subject.gpus", gpus),
        ("subject.workload", workload(desk)),
        ("subject.run", run.run_id.clone()),
    ]
    .into_iter()
    .map(|(name, value)| Fact { name: desk.get(name), value })
    .collect()
}

fn workload(desk: &Desk<'_>) -> String {
    let run = &desk.summary.run;
    let osl = count(run.osl);
    match run.isl_mean {
        Some(isl) => desk
            .words
            .say("subject.workload_value", &[("name", &run.workload), ("isl", &number(isl, 0)), ("osl", &osl)]),
        None => desk.words.say("subject.workload_output", &[("name", &run.workload), ("osl", &osl)]),
    }
}

/// `2025-11-26 16:54:50 UTC`.
fn date(unix_s: u64) -> String {
    i64::try_from(unix_s)
        .ok()
        .and_then(|s| Timestamp::from_second(s).ok())
        .map_or_else(|| ABSENT.into(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

pub(super) fn parts(desk: &Desk<'_>) -> Vec<Part> {
    let run = &desk.summary.run;
    let mut definitions: Vec<Item> = [
        "define.window",
        "define.ttft",
        if desk.run.manifest.plan.retries > 0 { "define.e2el_retries" } else { "define.e2el" },
        "define.tpot",
        "define.total",
        "define.single",
        "define.success",
        "define.interval",
    ]
    .into_iter()
    .map(|key| Item::plain(desk.get(key)))
    .collect();
    definitions.extend(tokens_per_chunk(desk));
    let mut parts = vec![
        desk.part("part.definitions", vec![Block::Bullets { items: definitions }]),
        desk.part(
            "part.setup",
            vec![
                Block::Table(setup(desk)),
                Block::Paragraph { text: desk.get("method.command") },
                Block::Code { text: run.argv.join(" ") },
            ],
        ),
    ];
    if let Some(table) = client(desk) {
        parts.push(desk.part("part.client", vec![Block::Table(table)]));
    }
    let notes: Vec<Item> = run.notes.iter().cloned().map(Item::plain).collect();
    if !notes.is_empty() {
        parts.push(desk.part("part.notes", vec![Block::Bullets { items: notes }]));
    }
    parts
}

/// Where chunks carry several tokens, what that means for the times.
fn tokens_per_chunk(desk: &Desk<'_>) -> Option<Item> {
    let levels = desk.summary.levels.iter();
    let (at, values): (Vec<u32>, Vec<f64>) = levels
        .filter_map(|level| {
            let several = level.tokens_per_chunk.filter(|&mean| mean > SEVERAL_TOKENS)?;
            Some((level.concurrency, several))
        })
        .unzip();
    let values = [("c", &*list(&at, desk.words)), ("range", &*range(values.into_iter(), |mean| number(mean, 2)))];
    (!at.is_empty()).then(|| Item::plain(desk.words.say("define.chunks", &values)))
}

fn setup(desk: &Desk<'_>) -> Table {
    let run = &desk.summary.run;
    let plan = &desk.run.manifest.plan;
    let yes_no = |yes: bool| desk.get(if yes { "word.yes" } else { "word.no" });
    let counts = |values: &[u64]| values.iter().copied().map(count).collect::<Vec<_>>().join(", ");
    let mut rows = vec![("setup.url", run.url.clone()), ("setup.endpoint", plan.endpoint.clone())];
    rows.extend(load(desk));
    rows.extend([
        ("setup.requests", counts(&plan.requests)),
        ("setup.warmup", counts(&plan.warmup_requests)),
        ("setup.stream", yes_no(plan.stream)),
        ("setup.ignore_eos", yes_no(plan.ignore_eos)),
        ("setup.osl", count(run.osl)),
        ("setup.timeout", desk.figures.seconds(plan.request_timeout_ns as f64 / 1e9)),
        ("setup.seed", run.seed.to_string()),
        ("setup.duration", desk.figures.seconds(run.duration_s)),
        ("setup.client", run.client.clone()),
        ("setup.tool", run.tool.clone()),
    ]);
    if let Some(rule) = &plan.stop_when {
        rows.push(("setup.stop_when", rule.clone()));
    }
    rows.extend(super::turns::setup(desk));
    if plan.retries > 0 {
        rows.push(("setup.retries", count(plan.retries)));
    }
    if run.skipped_lines > 0 {
        rows.push(("setup.skipped", count(run.skipped_lines)));
    }
    let mut rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![desk.get(name), value]).collect();
    rows.extend(run.settings.iter().map(|(id, value)| {
        let value = if value == "true" { desk.get("word.yes") } else { value.clone() };
        vec![desk.get(&format!("setup.{id}")), value]
    }));
    Table::plain(desk.texts(&["column.item", "column.value"]), rows)
}

/// What decides when requests are sent, level by level.
fn load(desk: &Desk<'_>) -> Vec<(&'static str, String)> {
    let plan = &desk.run.manifest.plan;
    let closed: Vec<String> = (plan.levels.iter().filter(|&&slots| slots > 0)).map(|&slots| count(slots)).collect();
    let rates: Vec<String> = (plan.arrivals.iter().flatten())
        .map(|arrivals| match (arrivals.per_second, arrivals.ramp) {
            _ if arrivals.recorded => desk.get("setup.recorded"),
            _ if !arrivals.stages.is_empty() => super::stages::rates(&arrivals.stages),
            (None, _) => desk.get("setup.at_once"),
            (Some(from), Some(ramp)) => {
                format!("{} → {}", per_second(from), per_second(ramp.to_per_second))
            }
            (Some(rate), None) => per_second(rate),
        })
        .collect();
    let which = match (closed.is_empty(), rates.is_empty()) {
        (false, _) if plan.workload_options.contains_key("session_turns") => "setup.users",
        (_, true) => "setup.closed_loop",
        (true, false) => "setup.open_loop",
        (false, false) => "setup.both_loops",
    };
    let mut rows = Vec::new();
    if rates.is_empty() || !closed.is_empty() {
        rows.push(("setup.levels", closed.join(", ")));
    }
    if !rates.is_empty() {
        rows.push(("setup.rates", rates.join(", ")));
    }
    rows.push(("setup.loop", desk.get(which)));
    rows
}

fn client(desk: &Desk<'_>) -> Option<Table> {
    let rows: Vec<Vec<String>> = desk
        .summary
        .levels
        .iter()
        .filter_map(|level| {
            let client = level.client?;
            Some(vec![
                count(level.concurrency),
                number(level.window_s, 1),
                count(level.requests.warmup),
                count(level.requests.measured),
                count(level.requests.cooldown),
                match level.requests.retries {
                    0 => ABSENT.into(),
                    retries => count(retries),
                },
                number(client.cpu_percent, 1),
                number(client.lag_p99_ms, 2),
                number(client.lag_max_ms, 2),
            ])
        })
        .collect();
    let columns = desk.numbers(&[
        "column.concurrency",
        "column.window",
        "column.warmup",
        "column.n",
        "column.cooldown",
        "column.retries",
        "column.cpu",
        "column.lag_p99",
        "column.lag_max",
    ]);
    let mut clients = desk.summary.levels.iter().filter_map(|level| level.client);
    let mut notes = vec![desk.get("note.client")];
    if clients.all(|client| client.stamped_by_kernel) {
        notes.push(desk.get("note.stamped_by_kernel"));
    }
    (!rows.is_empty()).then(|| Table::plain(columns, rows).without_empty_columns().with_notes(notes))
}

/// What lies in the run folder.
pub(super) fn files(desk: &Desk<'_>) -> Vec<Part> {
    let own = |stem: &str, extension: &str| Language::ALL.map(|language| language.file(stem, extension)).join(", ");
    let mut rows = vec![
        (records::run_dir::MANIFEST.to_owned(), desk.get("file.manifest")),
        (records::run_dir::REQUESTS.to_owned(), desk.get("file.requests")),
        (records::run_dir::PHASES.to_owned(), desk.get("file.phases")),
    ];
    if !desk.run.gpu.is_empty() {
        rows.push((records::run_dir::GPU.to_owned(), desk.get("file.gpu")));
    }
    if !desk.run.server.is_empty() {
        rows.push((records::run_dir::SERVER.to_owned(), desk.get("file.server")));
    }
    rows.extend([
        (records::run_dir::SUMMARY.to_owned(), desk.get("file.summary")),
        ("levels.csv".to_owned(), desk.get("file.levels")),
        (own("report", "md"), desk.get("file.markdown")),
        (own("report", "html"), desk.get("file.html")),
    ]);
    rows.extend(desk.charts.iter().map(|chart| (desk.words.language.chart_file(chart.name), chart.title.clone())));
    let rows = rows.into_iter().map(|(file, what)| vec![file, what]).collect();
    let columns = vec![Column::code(desk.get("column.file")), Column::text(desk.get("column.content"))];
    let table = Table::plain(columns, rows).with_notes(vec![desk.get("file.note")]);
    vec![Part { title: None, blocks: vec![Block::Table(table)] }]
}
