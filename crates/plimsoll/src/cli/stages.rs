//! `--stages`: an open loop whose rate moves in steps.

use std::{str::FromStr, time::Duration};

use clap::Args;
use loadgen::arrival::RateStage;

/// Rates one after another.
#[derive(Clone, Debug, Args)]
pub(crate) struct StageArgs {
    /// One open-loop level whose rate moves in steps without a pause, each SECONDS@RATE, such as "60s@2,120s@5,60s@2";
    /// the report tells every step
    #[arg(long, value_delimiter = ',', value_name = "S@R,…",
        conflicts_with_all = ["request_rate", "ramp_up_strategy", "trace", "request_count", "benchmark_duration", "stop_when", "session_turns"])]
    pub(crate) stages: Vec<Stage>,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stage(pub(crate) RateStage);

impl FromStr for Stage {
    type Err = String;

    /// `120s@5`, `2m@5` or `120@5`: for how long, and how many requests per second.
    fn from_str(text: &str) -> Result<Self, String> {
        let usage = "write SECONDS@RATE, such as 60s@2 or 1m@0.5";
        let (length, rate) = text.trim().split_once('@').ok_or(usage)?;
        let (number, unit) = match length.strip_suffix('m') {
            Some(minutes) => (minutes, 60.0),
            None => (length.strip_suffix('s').unwrap_or(length), 1.0),
        };
        let positive = |text: &str| {
            let number: f64 = text.trim().parse().ok()?;
            (number.is_finite() && number > 0.0).then_some(number)
        };
        let seconds = positive(number).ok_or_else(|| format!("`{length}` is no time; {usage}"))?;
        let per_second = positive(rate).ok_or_else(|| format!("`{rate}` is no rate; {usage}"))?;
        let over = Duration::try_from_secs_f64(seconds * unit).map_err(|e| format!("`{length}`: {e}"))?;
        Ok(Self(RateStage { per_second, over }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_a_time_and_a_rate() {
        let stage = |text: &str| text.parse::<Stage>().map(|Stage(s)| (s.over.as_millis(), s.per_second));
        assert_eq!(stage("60s@2"), Ok((60_000, 2.0)));
        assert_eq!(stage("1.5m@0.5"), Ok((90_000, 0.5)));
        assert_eq!(stage("20@3"), Ok((20_000, 3.0)));
        for bad in ["60s", "@2", "60s@", "0s@1", "5s@0", "5h@1", "5s@inf", "-5s@1", "1e30s@1"] {
            assert!(stage(bad).is_err(), "{bad}");
        }
    }
}
