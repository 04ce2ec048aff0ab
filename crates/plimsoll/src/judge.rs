//! What the figures are judged by: `--goodput`, `--attainment`, `--confidence-level`.
//!
//! They change nothing of what is measured. A run keeps them in its manifest, so that its report says the same again; the
//! report command may judge by something else.

use clap::Args;
use records::{Judgement, Objectives, PerMetric};

/// Share of requests in percent that has to be good unless the user says otherwise: the 95th percentile.
const ATTAINMENT_PERCENT: f64 = 95.0;

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct JudgeArgs {
    /// Latency objectives of a good request in ms, such as "ttft:500 tpot:50 e2el:8000" (or ttfo): how many requests met
    /// all of them, how many good ones a second, and at which concurrency too few are good
    #[arg(long, value_name = "OBJECTIVES", value_parser = limits)]
    goodput: Option<Limits>,
    /// Share of requests in percent that has to be good [default: 95]
    #[arg(long, value_name = "PERCENT", value_parser = between::<100>)]
    attainment: Option<f64>,
    /// Probability with which intervals shall hold the truth, between 0 and 1 [default: 0.95]
    #[arg(long, value_name = "P", value_parser = between::<1>)]
    confidence_level: Option<f64>,
}

/// Largest latencies of a good request in nanoseconds.
pub(crate) type Limits = PerMetric<u64>;

impl JudgeArgs {
    /// What was asked for on this command line, and `kept` where nothing was.
    pub(crate) fn judgement(&self, kept: Judgement) -> Judgement {
        let share = self.attainment.map(|percent| percent / 100.0);
        let objectives = match (self.goodput, kept.objectives) {
            (Some(limits_ns), _) => {
                Some(Objectives { limits_ns, attainment: share.unwrap_or(ATTAINMENT_PERCENT / 100.0) })
            }
            (None, Some(kept)) => Some(Objectives { attainment: share.unwrap_or(kept.attainment), ..kept }),
            (None, None) => None,
        };
        Judgement { objectives, confidence_level: self.confidence_level.or(kept.confidence_level) }
    }
}

/// `ttft:500 tpot:50 e2el:8000`, in any order, separated by spaces or commas.
pub(crate) fn limits(text: &str) -> Result<Limits, String> {
    let mut limits = Limits::default();
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    for word in words.filter(|word| !word.is_empty()) {
        let (metric, ms) =
            word.split_once(':').ok_or_else(|| format!("`{word}` has no colon: write METRIC:MILLISECONDS"))?;
        let metric = analysis::parse_request_metric(metric, true)?;
        if limits.insert(metric, nanoseconds(ms)?).is_some() {
            return Err(format!("`{metric}` is there twice"));
        }
    }
    if limits.is_empty() {
        return Err("there is no objective: write \"ttft:500 tpot:50 e2el:8000\"".to_owned());
    }
    Ok(limits)
}

fn nanoseconds(ms: &str) -> Result<u64, String> {
    const LONGEST_MS: f64 = 86_400_000.0;
    let value: f64 = ms.parse().map_err(|_| format!("`{ms}` is no number of milliseconds"))?;
    if !(value > 0.0 && value <= LONGEST_MS) {
        return Err(format!("`{ms}` ms: an objective is more than 0 and at most a day"));
    }
    let seconds = std::time::Duration::try_from_secs_f64(value / 1e3).map_err(|e| e.to_string())?;
    u64::try_from(seconds.as_nanos()).map_err(|e| e.to_string())
}

/// A number strictly between 0 and `LARGEST`.
fn between<const LARGEST: u32>(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    number
        .filter(|x| *x > 0.0 && *x < f64::from(LARGEST))
        .ok_or_else(|| format!("give a number between 0 and {LARGEST}"))
}

#[cfg(test)]
mod tests {
    use records::Metric;

    use super::*;

    #[test]
    fn objectives_are_read_as_the_fields_tools_write_them() {
        let all = limits("ttft:500 tpot:50.5,e2el:8000").unwrap();
        let given = [(Metric::Ttft, 500_000_000), (Metric::Tpot, 50_500_000), (Metric::E2el, 8_000_000_000)];
        assert_eq!(all, given.into_iter().collect());
        assert_eq!(limits("ttfo:700").unwrap().get(Metric::Ttfo), Some(700_000_000));
        for bad in ["", "ttft", "itl:5", "ttft:0", "ttft:x", "ttft:nan", "ttft:1e99", "ttft:1 ttft:2"] {
            assert!(limits(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_said_again_is_kept() {
        let asked = JudgeArgs { goodput: Some(limits("ttft:500").unwrap()), ..JudgeArgs::default() };
        let kept = asked.judgement(Judgement::default());
        assert_eq!(kept.objectives.map(|o| o.attainment), Some(0.95));
        assert_eq!(JudgeArgs::default().judgement(kept), kept);
        let stricter = JudgeArgs { attainment: Some(99.0), ..JudgeArgs::default() };
        let judged = stricter.judgement(kept).objectives.unwrap();
        assert_eq!((judged.limits_ns.get(Metric::Ttft), judged.attainment), (Some(500_000_000), 0.99));
        assert_eq!(stricter.judgement(Judgement::default()), Judgement::default());
    }
}
