//! Open loops: the rate that the plan asked for, the rate that the client reached, and the requests by stage of the rate.
//! The rate at which the server completed requests is the level's `requests_per_s`.

use std::collections::BTreeMap;

use records::{Metric, RateStage, RequestRecord, RunData};
use stats::Span;

use crate::{
    RequestRate, StageLevel,
    distribution::{Reading, distribution},
    level::tokens::tokens_within,
    level::window::{LevelRecords, is_completed, series},
    units::{ms, seconds},
};

/// `None` for a closed loop.
pub(crate) fn request_rate(level: &LevelRecords<'_>, run: &RunData) -> Option<RequestRate> {
    let index = usize::try_from(level.index).ok()?;
    let arrivals = run.manifest.plan.arrivals.get(index)?.as_ref()?;
    // A retry is sent when the attempt before it failed, not when the schedule says.
    let first = || level.measured().filter(|record| record.retry == 0);
    let sent = || first().map(|record| record.sent_ns);
    let gaps = first().count().saturating_sub(1) as f64;
    let seconds = sent().max().zip(sent().min()).map_or(0.0, |(last, first)| (last - first).as_secs_f64());
    let lag = first().map(RequestRecord::send_lag).max();
    Some(RequestRate {
        planned_per_s: arrivals.per_second,
        planned_until_per_s: arrivals.ramp.map(|ramp| ramp.to_per_second),
        sent_per_s: (gaps > 0.0 && seconds > 0.0).then(|| gaps / seconds),
        send_lag_max_ms: lag.map_or(0.0, ms),
        most_in_flight: arrivals.most_in_flight,
    })
}

/// Returns the figures of each stage; empty where the rate does not move in steps.
pub(crate) fn stages(level: &LevelRecords<'_>, run: &RunData, reading: Reading) -> Vec<StageLevel> {
    let index = usize::try_from(level.index).ok();
    let arrivals = index.and_then(|index| run.manifest.plan.arrivals.get(index)?.as_ref());
    let planned = arrivals.map_or(&[][..], |arrivals| &arrivals.stages);
    // When a request was first to be sent: a retry belongs to its first attempt.
    let mut first_intended: BTreeMap<u64, u64> = BTreeMap::new();
    for record in level.measured() {
        let intended = first_intended.entry(record.request).or_insert(u64::MAX);
        *intended = record.intended_ns.0.min(*intended);
    }
    let Some(begin) = first_intended.values().copied().min() else {
        return Vec::new();
    };
    let last = first_intended.values().copied().max().unwrap_or(begin);
    let stage_of = |record: &RequestRecord| {
        let since = first_intended.get(&record.request).map_or(0, |at| at - begin);
        let ended = planned.iter().take_while(|stage| stage.until_ns <= since);
        ended.count().min(planned.len().saturating_sub(1))
    };
    let mut records: Vec<Vec<&RequestRecord>> = vec![Vec::new(); planned.len()];
    for record in level.in_order() {
        if let Some(of_stage) = records.get_mut(stage_of(record)) {
            of_stage.push(record);
        }
    }
    let mut from = begin;
    let mut stages = Vec::new();
    for (number, (stage, records)) in planned.iter().zip(&records).enumerate() {
        let mut until = begin.saturating_add(stage.until_ns);
        if number + 1 == planned.len() {
            until = until.max(last);
        }
        stages.extend(Span::new(from, until).map(|span| figures(*stage, span, records, level, reading)));
        from = until;
    }
    stages
}

fn figures(
    stage: RateStage,
    span: Span,
    records: &[&RequestRecord],
    of: &LevelRecords<'_>,
    reading: Reading,
) -> StageLevel {
    let seconds = seconds(span);
    let completed = || records.iter().filter(|record| is_completed(record));
    let times = |metric| distribution(&series(records, metric), reading);
    let output = of.requests.iter().map(|record| tokens_within(record, span));
    StageLevel {
        planned_per_s: stage.per_second,
        seconds,
        requests: records.iter().filter(|record| record.retry == 0).count() as u64,
        completed: completed().count() as u64,
        output_tok_s: output.sum::<f64>() / seconds,
        ttft_ms: times(Metric::Ttft),
        e2el_ms: times(Metric::E2el),
        e2el_from_intended_ms: times(Metric::E2elFromIntended),
    }
}
