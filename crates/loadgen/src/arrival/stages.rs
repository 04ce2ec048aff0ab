//! A rate that moves in steps.

use std::time::Duration;

/// A part of a level with a rate of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateStage {
    /// Requests per second.
    pub per_second: f64,
    /// How long.
    pub over: Duration,
}

/// Inverse of the cumulative rate of `stages`: seconds at which `expected` arrivals are expected. The last rate stays.
pub(super) fn seconds_at(stages: &[RateStage], expected: f64) -> f64 {
    let (mut seconds, mut left) = (0.0, expected);
    for (index, stage) in stages.iter().enumerate() {
        let brings = stage.per_second * stage.over.as_secs_f64();
        if left < brings || index + 1 == stages.len() {
            return seconds + left / stage.per_second;
        }
        seconds += stage.over.as_secs_f64();
        left -= brings;
    }
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrival::{Arrivals, Spacing};

    fn stages(of: &[(u64, f64)], spacing: Spacing) -> Arrivals {
        let stage = |&(seconds, per_second): &(u64, f64)| RateStage { per_second, over: Duration::from_secs(seconds) };
        let stages = of.iter().map(stage).collect();
        Arrivals::Stages { stages, spacing }
    }

    /// Arrivals in each of the seconds `edges`, warm-up before them.
    fn within(arrivals: &Arrivals, warmup: u64, edges: &[f64]) -> Vec<usize> {
        let times: Vec<f64> = arrivals
            .times(4, warmup)
            .map(|at| at.as_secs_f64() + 1e-9)
            .take_while(|at| *at < edges[edges.len() - 1])
            .collect();
        let count = |pair: &[f64]| times.iter().filter(|at| (pair[0]..pair[1]).contains(*at)).count();
        edges.windows(2).map(count).collect()
    }

    #[test]
    fn every_stage_brings_its_rate_times_its_length() {
        let arrivals = stages(&[(10, 2.0), (20, 5.0), (10, 0.5)], Spacing::Constant);
        assert_eq!(within(&arrivals, 0, &[0.0, 10.0, 30.0, 40.0, 50.0]), [20, 100, 5, 5]);
        // Five warm-up requests at the first rate take 2.5 s.
        assert_eq!(within(&arrivals, 5, &[0.0, 2.5, 12.5, 32.5, 42.5]), [5, 20, 100, 5]);
    }

    #[test]
    fn a_poisson_process_keeps_its_pattern_in_every_stage() {
        let arrivals = stages(&[(1_000, 2.0), (1_000, 8.0)], Spacing::POISSON);
        let counts = within(&arrivals, 0, &[0.0, 1_000.0, 2_000.0]);
        // Four standard deviations, √2000 and √8000.
        assert!(counts[0].abs_diff(2_000) < 180, "{counts:?}");
        assert!(counts[1].abs_diff(8_000) < 360, "{counts:?}");
    }

    #[test]
    fn stages_that_mean_nothing_are_refused() {
        for bad in [vec![], vec![(0, 1.0)], vec![(5, 0.0)], vec![(5, f64::INFINITY)]] {
            assert!(stages(&bad, Spacing::Constant).check().is_err(), "{bad:?}");
        }
        assert!(stages(&[(5, 1.0)], Spacing::Constant).check().is_ok());
    }
}
