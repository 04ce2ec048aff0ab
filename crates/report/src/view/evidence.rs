//! Section 5: what stands behind the figures: the run over time, distributions, the server's own account, GPUs, failures.

use analysis::{LevelFigure, LevelSummary, METRICS, Metric, MetricRow, ServerSource, SideBySide, Statistic, Unit};

use super::{Block, Column, Desk, Part, Table};
use crate::{
    number::{ABSENT, change, count, figure, maybe, mib, number, percent},
    prose::finding::metric_name,
};

pub(super) fn parts(desk: &Desk<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some(chart) = desk.chart("timeline") {
        parts.push(desk.part("part.timeline", vec![chart]));
    }
    let mut blocks = vec![Block::Table(latencies(desk))];
    blocks.extend(super::stages::table(desk).map(Block::Table));
    blocks.extend(super::turns::table(desk).map(Block::Table));
    blocks.extend(desk.chart("distribution"));
    parts.push(desk.part("part.latencies", blocks));
    parts.extend(super::promise::scaling(desk));
    parts.extend(super::promise::samples(desk));
    let blocks = [side_by_side(desk), engine(desk)].into_iter().flatten().map(Block::Table);
    let blocks: Vec<Block> = blocks.collect();
    parts.push(desk.part(
        "part.server",
        if blocks.is_empty() { vec![Block::Paragraph { text: desk.get("evidence.no_server") }] } else { blocks },
    ));
    let mut blocks: Vec<Block> = gpu(desk).map(Block::Table).into_iter().collect();
    blocks.extend(desk.chart("gpu"));
    if blocks.is_empty() {
        blocks.push(Block::Paragraph { text: desk.get("evidence.no_gpu") });
    }
    parts.push(desk.part("part.gpu", blocks));
    parts.push(desk.part("part.failures", vec![failures(desk)]));
    parts
}

/// Percentiles of TTFT and E2EL, then the means of every other metric of requests.
fn latencies(desk: &Desk<'_>) -> Table {
    let percentiles = [Metric::Ttft, Metric::E2el].into_iter().flat_map(|metric| {
        let shown = [Statistic::P50, Statistic::P90, Statistic::P99];
        shown.map(|statistic| LevelFigure { metric, statistic })
    });
    let others = METRICS.iter().filter(|row| {
        !matches!(row.metric, Metric::Ttft | Metric::E2el | Metric::PerRequestTokS) && row.is_of_requests()
    });
    let means = others.map(|row| LevelFigure { metric: row.metric, statistic: Statistic::Mean });
    let shown: Vec<LevelFigure> = percentiles.chain(means).collect();
    let rows = desk.summary.levels.iter().map(|level| {
        let figures = shown.iter().map(|figure| maybe(figure.value(level).map(|estimate| estimate.value)));
        let first = std::iter::once(count(level.concurrency));
        first.chain(figures).chain([count(level.short_outputs)]).collect()
    });
    let rows = rows.collect();
    let mut columns = desk.numbers(&["column.concurrency"]);
    columns.extend(shown.iter().map(|&figure| Column::number(desk.words.figure(figure))));
    columns.extend(desk.numbers(&["column.short"]));
    Table::plain(columns, rows).without_empty_columns().with_notes(vec![desk.get("note.latencies")])
}

fn side_by_side(desk: &Desk<'_>) -> Option<Table> {
    let mut rows = Vec::new();
    for level in &desk.summary.levels {
        let server = level.server.unwrap_or_default();
        let accounts = [
            ("ttft", server.ttft),
            ("e2el", server.e2el),
            ("output_tokens", server.output_tokens),
            ("prompt_tokens", server.prompt_tokens),
        ];
        for (metric, account) in accounts {
            if let Some(account) = account {
                rows.push(account_row(desk, level, metric, account));
            }
        }
    }
    let mut columns = vec![Column::number(desk.get("column.concurrency")), Column::text(desk.get("column.metric"))];
    columns.extend(desk.numbers(&["column.client", "column.server", "column.difference"]));
    columns.push(Column::text(desk.get("column.source")));
    (!rows.is_empty()).then(|| Table::plain(columns, rows).with_notes(vec![desk.get("note.accounts")]))
}

fn account_row(desk: &Desk<'_>, level: &LevelSummary, metric: &str, account: SideBySide) -> Vec<String> {
    let is_time = metric.parse().is_ok_and(|metric| MetricRow::new(metric).unit == Unit::Ms);
    let text = |value: f64| {
        if is_time { format!("{} ms", figure(value)) } else { number(value, 0) }
    };
    vec![
        count(level.concurrency),
        metric_name(metric, desk.words),
        text(account.client),
        text(account.server),
        change(account.client, account.server),
        desk.get(match account.source {
            ServerSource::Timings => "source.timings",
            _ => "source.metrics",
        }),
    ]
}

fn engine(desk: &Desk<'_>) -> Option<Table> {
    let rows: Vec<Vec<String>> = desk
        .summary
        .levels
        .iter()
        .filter_map(|level| {
            let server = level.server?;
            let share = |value: Option<f64>| value.map_or_else(|| ABSENT.into(), percent);
            Some(vec![
                count(level.concurrency),
                figure(level.in_flight_mean),
                maybe(server.running_mean),
                maybe(server.waiting_mean),
                share(server.kv_usage_max),
                server.preemptions.map_or_else(|| ABSENT.into(), |p| number(p, 0)),
                share(server.prefix_hit_rate),
                share(server.external_prefix_hit_rate),
                maybe(server.queue_ms),
                maybe(server.prefill_ms),
                maybe(server.decode_ms),
                share(server.draft_acceptance_rate),
                server.tokens_per_draft.map_or_else(|| ABSENT.into(), |t| number(t, 2)),
            ])
        })
        .collect();
    let columns = desk.numbers(&[
        "column.concurrency",
        "column.in_flight",
        "column.running",
        "column.waiting",
        "column.kv_max",
        "column.preemptions",
        "column.prefix_hits",
        "column.external_prefix_hits",
        "column.queue_ms",
        "column.prefill_ms",
        "column.decode_ms",
        "column.draft_acceptance",
        "column.tokens_per_draft",
    ]);
    (!rows.is_empty()).then(|| Table::plain(columns, rows).without_empty_columns())
}

fn gpu(desk: &Desk<'_>) -> Option<Table> {
    let rows: Vec<Vec<String>> = desk
        .summary
        .levels
        .iter()
        .filter_map(|level| {
            let gpu = level.gpu?;
            Some(vec![
                count(level.concurrency),
                count(gpu.samples),
                gpu.memory_used_bytes_max.map_or_else(|| ABSENT.into(), mib),
                maybe(gpu.gpu_util_percent_mean),
                maybe(gpu.power_w_mean),
                gpu.temperature_c_max.map_or_else(|| ABSENT.into(), |t| number(f64::from(t), 0)),
                maybe(gpu.energy_j),
                gpu.j_per_output_token.map_or_else(|| ABSENT.into(), |j| number(j, 2)),
            ])
        })
        .collect();
    let columns = desk.numbers(&[
        "column.concurrency",
        "column.samples",
        "column.memory",
        "column.gpu_util",
        "column.power",
        "column.temperature",
        "column.energy",
        "column.j_per_token",
    ]);
    (!rows.is_empty()).then(|| {
        let table = Table::plain(columns, rows).without_empty_columns();
        table.with_notes(vec![desk.get("note.gpu")])
    })
}

fn failures(desk: &Desk<'_>) -> Block {
    let mut rows = Vec::new();
    for level in &desk.summary.levels {
        for failure in &level.failures {
            rows.push(vec![
                count(level.concurrency),
                failure.kind.clone(),
                count(failure.count),
                failure.example.clone().unwrap_or_else(|| ABSENT.into()),
            ]);
        }
    }
    if rows.is_empty() {
        return Block::Paragraph { text: desk.get("evidence.no_failures") };
    }
    let columns = vec![
        Column::number(desk.get("column.concurrency")),
        Column::code(desk.get("column.failure")),
        Column::number(desk.get("column.count")),
        Column::text(desk.get("column.example")),
    ];
    Block::Table(Table::plain(columns, rows))
}
