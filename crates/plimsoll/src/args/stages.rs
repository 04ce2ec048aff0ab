//! `--stages`: an open loop whose rate moves in steps.

use bench::settings::RateStage;
use clap::Args;

use super::values::positive;

/// Rates one after another.
#[derive(Clone, Debug, Args)]
pub(crate) struct StageArgs {
    /// One open-loop level whose rate moves in steps without a pause, each SECONDS@RATE, such as "60s@2,120s@5,60s@2";
    /// the report tells every step
    #[arg(long, value_parser = stage, value_delimiter = ',', value_name = "S@R,…",
        conflicts_with_all = ["request_rate", "ramp_up_strategy", "trace", "request_count", "benchmark_duration", "stop_when", "session_turns"])]
    pub(super) stages: Vec<RateStage>,
}

/// `120s@5`, `2m@5` or `120@5`: for how long, and how many requests per second.
fn stage(text: &str) -> Result<RateStage, String> {
    let usage = "write SECONDS@RATE, such as 60s@2 or 1m@0.5";
    let (length, rate) = text.trim().split_once('@').ok_or(usage)?;
    let (number, unit) = match length.strip_suffix('m') {
        Some(minutes) => (minutes, 60.0),
        None => (length.strip_suffix('s').unwrap_or(length), 1.0),
    };
    let positive = |text: &str| positive(text).map_err(|problem| format!("{problem}; {usage}"));
    let seconds = positive(number)? * unit;
    if std::time::Duration::try_from_secs_f64(seconds).is_err() {
        return Err(format!("`{length}` is too long; {usage}"));
    }
    Ok(RateStage { seconds, per_second: positive(rate)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_a_time_and_a_rate() {
        let step = |seconds, per_second| Ok(RateStage { seconds, per_second });
        assert_eq!(stage("60s@2"), step(60.0, 2.0));
        assert_eq!(stage("1.5m@0.5"), step(90.0, 0.5));
        assert_eq!(stage("20@3"), step(20.0, 3.0));
        for bad in ["60s", "@2", "60s@", "0s@1", "5s@0", "5h@1", "5s@inf", "-5s@1", "1e30s@1"] {
            assert!(stage(bad).is_err(), "{bad}");
        }
    }
}
