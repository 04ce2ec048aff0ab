//! When a failed request is sent again, where that is asked for, and after which pause. Pure.
//!
//! As OpenAI's clients do it: half a second after the first attempt, twice as long each further time, 8 seconds at most, less a
//! quarter at most by chance, so that requests which failed together do not come back together. Every attempt is a record of
//! its own. What the server refuses for what it is (a status of 400, say) would be refused again, and is not sent again.

use std::time::Duration;

use records::Outcome;

use crate::workload::mix;

const RETRY_PAUSE_MIN: Duration = Duration::from_millis(500);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(8);

/// Whether another attempt may end otherwise.
pub(super) fn may_help(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::ConnectFailed { .. }
        | Outcome::TimedOut { .. }
        | Outcome::Cut { .. }
        | Outcome::ErrorInStream { .. } => true,
        Outcome::HttpStatus { status, .. } => matches!(status, 408 | 409 | 429 | 500..),
        _ => false,
    }
}

/// The pause after attempt `retry` (from 0) of a request.
pub(super) fn pause(request: u64, retry: u32) -> Duration {
    let longest = RETRY_PAUSE_MIN.saturating_mul(1 << retry.min(16)).min(RETRY_PAUSE_MAX);
    let chance = mix(request ^ mix(u64::from(retry) ^ 0x7265_7472_7900)) >> 11;
    longest.mul_f64(1.0 - 0.25 * (chance as f64 / (1_u64 << 53) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_eight_seconds_and_differ_between_requests() {
        for (retry, seconds) in [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (40, 8.0)] {
            let all: Vec<f64> = (0..1_000).map(|request| pause(request, retry).as_secs_f64()).collect();
            assert!(all.iter().all(|s| (0.75 * seconds..=seconds).contains(s)), "{retry}");
            let mean = all.iter().sum::<f64>() / 1e3;
            // Uniform over a quarter: standard error 0.25/√12000.
            assert!((mean / seconds - 0.875).abs() < 4.0 * 0.25 / 12_000_f64.sqrt(), "{mean}");
        }
    }

    #[test]
    fn what_the_request_itself_is_refused_for_is_not_repeated() {
        let status = |status| Outcome::HttpStatus { status, body: String::new() };
        assert!([408, 409, 429, 500, 502, 503].map(status).iter().all(may_help));
        assert!(![400, 401, 404, 413, 422].map(status).iter().any(may_help));
        assert!(may_help(&Outcome::Cut { message: String::new() }));
        assert!(!may_help(&Outcome::Cancelled));
        assert!(!may_help(&Outcome::NoTokens));
        assert!(!may_help(&Outcome::Completed { finish_reason: None }));
    }
}
