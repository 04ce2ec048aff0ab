//! An open loop whose rate moves in steps: how its requests fared by stage.

use records::RateStage;

use super::{Desk, Table};
use crate::number::{ABSENT, count, figure, mean_only, number, per_second, percent};

/// Figures by stage; `None` where no rate moves in steps.
pub(super) fn table(desk: &Desk<'_>) -> Option<Table> {
    let levels = desk.summary.levels.iter();
    let rows: Vec<Vec<String>> = levels
        .flat_map(|level| (1_u32..).zip(&level.stages))
        .map(|(number_of, stage)| {
            let success = stage.completed as f64 / stage.requests as f64;
            let p95 = stage.ttft_ms.and_then(|ttft| ttft.p95);
            vec![
                count(number_of),
                per_second(stage.planned_per_s),
                number(stage.seconds, 1),
                count(stage.requests),
                if stage.requests == 0 { ABSENT.into() } else { percent(success) },
                mean_only(stage.ttft_ms),
                p95.map_or_else(|| ABSENT.into(), |p95| figure(p95.value)),
                mean_only(stage.e2el_ms),
                mean_only(stage.e2el_from_intended_ms),
                figure(stage.output_tok_s),
            ]
        })
        .collect();
    let columns = desk.numbers(&[
        "column.stage",
        "column.rate",
        "column.stage_seconds",
        "column.n",
        "column.success",
        "column.ttft_mean",
        "column.ttft_p95",
        "column.e2el_mean",
        "column.e2el_intended",
        "column.total_tok_s",
    ]);
    (!rows.is_empty())
        .then(|| Table::plain(columns, rows).without_empty_columns().with_notes(vec![desk.get("note.stages")]))
}

/// `2 → 5 → 2`.
pub(super) fn rates(stages: &[RateStage]) -> String {
    let rates: Vec<String> = stages.iter().map(|stage| per_second(stage.per_second)).collect();
    rates.join(" → ")
}
