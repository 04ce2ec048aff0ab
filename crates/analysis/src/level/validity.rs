//! Whether a level's figures are the server's: what would make them the client's, or nobody's.

use records::Phase;

use crate::{ClientLevel, Distribution, Invalid, RequestCounts, level::window::LevelRecords};

/// Utilisation of the client's threads from which on the client may be the limit. Work at a single server waits on
/// average `ρ/(1 − ρ)` times its own length (M/M/1): four times at 80 %, and steeply more beyond.
pub(crate) const CLIENT_BUSY_PERCENT: f64 = 80.0;

/// Share of a time that the 99th percentile of the client's lag may reach: of the mean TTFT where stamps are those of
/// reads. A lag adds to a stamp at most its own length, so up to here 99 of 100 stamps are right to a twentieth, less than
/// a level's own spread. Where the kernel stamps, of the mean E2EL: a slot that sends its next request late loads the
/// server by that share less.
const CLIENT_LATE_SHARE: f64 = 0.05;

/// The timer by which lag is measured fires up to so much late by itself.
const TIMER_MS: f64 = 1.0;

/// Why the level's figures say nothing of the server, if they do not. The client's lag is held against the times of the level:
/// TTFT, E2EL and the gap between chunks.
pub(crate) fn invalid(
    level: &LevelRecords<'_>,
    requests: &RequestCounts,
    client: Option<ClientLevel>,
    times_ms: [&Option<Distribution>; 3],
) -> Vec<Invalid> {
    let mut reasons = Vec::new();
    if requests.completed == 0 {
        reasons.push(Invalid::NothingCompleted);
    }
    if let Some(client) = client {
        if client.cpu_percent >= CLIENT_BUSY_PERCENT {
            let cpu_percent = client.cpu_percent;
            reasons.push(Invalid::ClientBusy { cpu_percent });
        }
        let lag_p99_ms = client.lag_p99_ms;
        if bearable_lag_ms(client, times_ms).is_some_and(|bearable| lag_p99_ms > bearable) {
            reasons.push(Invalid::ClientLate { lag_p99_ms });
        }
    }
    if !level.complete {
        reasons.push(Invalid::Stopped);
    }
    reasons
}

/// The lag from which on figures of the level may be the client's.
fn bearable_lag_ms(client: ClientLevel, [ttft_ms, e2el_ms, gap_ms]: [&Option<Distribution>; 3]) -> Option<f64> {
    let mean = |of: &Option<Distribution>| Some(of.as_ref()?.mean.value);
    if !client.stamped_by_kernel {
        return Some(CLIENT_LATE_SHARE * mean(ttft_ms)?);
    }
    // What waits while the next chunk comes is read together with it, and has its stamp.
    let of_load = CLIENT_LATE_SHARE * mean(e2el_ms)?;
    Some(mean(gap_ms).map_or(of_load, |gap| of_load.min(gap + TIMER_MS)))
}

/// What the client spent while it measured.
pub(crate) fn client_level(measure: &Phase) -> Option<ClientLevel> {
    let load = measure.client?;
    let available_ns = f64::from(load.threads) * (measure.end_ns - measure.start_ns).as_nanos() as f64;
    (available_ns > 0.0).then(|| ClientLevel {
        cpu_percent: 100.0 * load.cpu_ns as f64 / available_ns,
        lag_p99_ms: load.lag_p99_ns as f64 / 1e6,
        lag_max_ms: load.lag_max_ns as f64 / 1e6,
        stamped_by_kernel: load.unstamped_reads == Some(0),
    })
}
