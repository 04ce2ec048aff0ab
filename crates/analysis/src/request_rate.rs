//! The rate of an open loop: what the plan asked for and what the client reached. What the server made of it is the level's
//! `requests_per_s`.

use records::{RequestRecord, RunData};

use crate::{RequestRate, level::ms, window::LevelRecords};

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
