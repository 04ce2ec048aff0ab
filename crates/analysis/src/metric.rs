//! The registry of metrics: what each is, how it is read from a request and from a level, and which direction is better.
//!
//! One row of [`METRICS`] makes a metric known to the stop rule, objectives, comparison, series, tables and consoles.

use std::{fmt, str::FromStr, time::Duration};

use records::{Metric, RequestRecord};

use crate::{Distribution, Estimate, LevelSummary, units::ms};

/// Everything that is to be known of a metric.
#[derive(Clone, Copy, Debug)]
pub struct MetricRow {
    /// Its name.
    pub metric: Metric,
    /// Unit of its values.
    pub unit: Unit,
    /// Which change is an improvement.
    pub better: Better,
    /// How it is read from one request.
    pub of_request: OfRequest,
    /// Value of a level.
    pub of_level: fn(&LevelSummary) -> Option<LevelValue>,
    /// Statistics that comparisons and series show.
    pub shown: &'static [Statistic],
}

/// Unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// Tokens per second.
    TokensPerSecond,
    /// Requests per second.
    RequestsPerSecond,
    /// Tokens.
    Tokens,
    /// Share, 0 to 1.
    Share,
}

/// Which change of a metric is an improvement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// A smaller value.
    Lower,
    /// A larger value.
    Higher,
    /// Neither: it describes the load.
    Neither,
}

/// How a metric is read from one request.
#[derive(Clone, Copy, Debug)]
pub enum OfRequest {
    /// A time; `None` where the request has none.
    Time(fn(&RequestRecord) -> Option<Duration>),
    /// Another number.
    Number(fn(&RequestRecord) -> Option<f64>),
    /// Many observations a request, pooled over the level.
    Pooled,
    /// Not at all: the level as a whole has it.
    WholeLevel,
}

/// What a level has of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LevelValue {
    /// One observation or more a request.
    Distribution(Distribution),
    /// One figure of the whole level.
    Single(Estimate),
}

use Better::{Higher, Lower, Neither};
use OfRequest::{Number, Pooled, Time, WholeLevel};
use Statistic::{Mean, P95};

/// A row of the table for a metric of many observations.
const fn row(
    metric: Metric,
    unit: Unit,
    better: Better,
    of_request: OfRequest,
    of_level: fn(&LevelSummary) -> Option<LevelValue>,
    shown: &'static [Statistic],
) -> MetricRow {
    MetricRow { metric, unit, better, of_request, of_level, shown }
}

/// All metrics, in the order of [`Metric`].
pub static METRICS: [MetricRow; 14] = [
    row(Metric::Ttft, Unit::Ms, Lower, Time(RequestRecord::ttft), |l| many(l.ttft_ms), &[Mean, P95]),
    row(Metric::Ttfo, Unit::Ms, Lower, Time(ttfo), |l| many(l.ttfo_ms), &[Mean]),
    row(Metric::Tpot, Unit::Ms, Lower, Time(RequestRecord::tpot), |l| many(l.tpot_ms), &[Mean]),
    row(Metric::Itl, Unit::Ms, Lower, Pooled, |l| many(l.itl_ms), &[Mean]),
    row(Metric::Icl, Unit::Ms, Lower, Pooled, |l| many(l.icl_ms), &[]),
    row(Metric::E2el, Unit::Ms, Lower, Time(RequestRecord::e2el), |l| many(l.e2el_ms), &[Mean, P95]),
    row(Metric::E2elFromIntended, Unit::Ms, Lower, Time(e2el_from_intended), |l| many(l.e2el_from_intended_ms), &[]),
    row(
        Metric::PerRequestTokS,
        Unit::TokensPerSecond,
        Higher,
        Number(tokens_per_second),
        |l| many(l.per_request_tok_s),
        &[Mean],
    ),
    row(Metric::PromptTokens, Unit::Tokens, Neither, Number(prompt_tokens), |l| many(l.prompt_tokens), &[]),
    row(Metric::OutputTokens, Unit::Tokens, Neither, Number(output_tokens), |l| many(l.output_tokens), &[]),
    row(
        Metric::OutputTokS,
        Unit::TokensPerSecond,
        Higher,
        WholeLevel,
        |l| l.output_tok_s_estimate.or_else(|| l.output_tok_s.map(plain)).map(LevelValue::Single),
        &[Mean],
    ),
    row(
        Metric::RequestsPerS,
        Unit::RequestsPerSecond,
        Higher,
        WholeLevel,
        |l| Some(LevelValue::Single(plain(l.requests_per_s))),
        &[Mean],
    ),
    row(Metric::SuccessRate, Unit::Share, Higher, WholeLevel, |l| l.success_rate.map(LevelValue::Single), &[Mean]),
    row(
        Metric::SloAttainment,
        Unit::Share,
        Higher,
        WholeLevel,
        |l| Some(LevelValue::Single(l.goodput?.attainment)),
        &[Mean],
    ),
];

fn many(distribution: Option<Distribution>) -> Option<LevelValue> {
    distribution.map(LevelValue::Distribution)
}

fn plain(value: f64) -> Estimate {
    Estimate { value, low: None, high: None }
}

fn ttfo(record: &RequestRecord) -> Option<Duration> {
    Some(record.first_output_ns? - record.sent_ns)
}

fn e2el_from_intended(record: &RequestRecord) -> Option<Duration> {
    Some(record.e2el()?.saturating_add(record.send_lag()))
}

fn output_tokens(record: &RequestRecord) -> Option<f64> {
    record.output_tokens.map(|tokens| tokens.count as f64)
}

fn prompt_tokens(record: &RequestRecord) -> Option<f64> {
    record.prompt_tokens.map(|tokens| tokens as f64)
}

fn tokens_per_second(record: &RequestRecord) -> Option<f64> {
    let e2el = record.e2el().filter(|e2el| !e2el.is_zero())?;
    Some(output_tokens(record)? / e2el.as_secs_f64())
}

impl MetricRow {
    /// Returns the row of a metric.
    pub fn new(metric: Metric) -> &'static Self {
        &METRICS[metric as usize]
    }

    /// Returns the value of one request, times in milliseconds.
    pub fn of_request(&self, record: &RequestRecord) -> Option<f64> {
        match self.of_request {
            Time(time) => time(record).map(ms),
            Number(number) => number(record),
            Pooled | WholeLevel => None,
        }
    }

    /// Returns the time of one request; `None` for metrics that are no times.
    pub fn time_of(&self, record: &RequestRecord) -> Option<Duration> {
        match self.of_request {
            Time(time) => time(record),
            _ => None,
        }
    }

    /// Whether a level has many observations of it, not one figure of its own.
    pub fn is_of_requests(&self) -> bool {
        !matches!(self.of_request, WholeLevel)
    }

    /// Whether it can be an objective: a time of each request.
    pub fn is_objective(&self) -> bool {
        matches!(self.of_request, Time(_))
    }
}

/// Parses the name of a metric that has a value for each request, a time where `time` says so.
///
/// # Errors
/// A sentence that lists the names.
pub fn parse_request_metric(name: &str, time: bool) -> Result<Metric, String> {
    let fits = |row: &&MetricRow| if time { row.is_objective() } else { matches!(row.of_request, Time(_) | Number(_)) };
    let found = METRICS.iter().filter(fits).find(|row| row.metric.id() == name);
    found.map(|row| row.metric).ok_or_else(|| {
        let names: Vec<_> = METRICS.iter().filter(fits).map(|row| row.metric.id()).collect();
        format!("`{name}` is none of {}", names.join(", "))
    })
}

/// What is said of many observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Mean.
    Mean,
    /// Median.
    P50,
    /// 90th percentile.
    P90,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
}

impl Statistic {
    /// Every statistic with its name.
    pub const ALL: [(Self, &str); 5] =
        [(Self::Mean, "mean"), (Self::P50, "p50"), (Self::P90, "p90"), (Self::P95, "p95"), (Self::P99, "p99")];

    /// Returns the name on disk and on the command line.
    pub fn id(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Returns this statistic of a distribution; `None` where the sample does not support it.
    pub fn pick(self, distribution: &Distribution) -> Option<Estimate> {
        match self {
            Self::Mean => Some(distribution.mean),
            Self::P50 => distribution.p50,
            Self::P90 => distribution.p90,
            Self::P95 => distribution.p95,
            Self::P99 => distribution.p99,
        }
    }
}

impl FromStr for Statistic {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(statistic, _)| *statistic).ok_or_else(|| format!("`{name}` is none of mean, p50, p90, p95, p99"))
    }
}

/// A figure of a level that can be compared: a statistic of a metric. As text `ttft_p95_ms` or `output_tok_s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelFigure {
    /// The metric.
    pub metric: Metric,
    /// The statistic; the mean for metrics of the whole level.
    pub statistic: Statistic,
}

impl LevelFigure {
    /// Every figure that comparisons and series show, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        METRICS.iter().flat_map(|row| row.shown.iter().map(|&statistic| Self { metric: row.metric, statistic }))
    }

    /// Returns the row of its metric.
    pub fn row(self) -> &'static MetricRow {
        MetricRow::new(self.metric)
    }

    /// Returns the figure of a level; `None` where it was not measured or the sample does not support it.
    pub fn value(self, level: &LevelSummary) -> Option<Estimate> {
        match (self.row().of_level)(level)? {
            LevelValue::Distribution(distribution) => self.statistic.pick(&distribution),
            LevelValue::Single(estimate) => Some(estimate),
        }
    }
}

impl fmt::Display for LevelFigure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (metric, statistic) = (self.metric, self.statistic);
        match (self.row().unit, statistic) {
            (Unit::Ms, _) => write!(f, "{metric}_{}_ms", statistic.id()),
            (_, Mean) => write!(f, "{metric}"),
            _ => write!(f, "{metric}_{}", statistic.id()),
        }
    }
}

impl FromStr for LevelFigure {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::all().find(|figure| figure.to_string() == name).ok_or_else(|| format!("`{name}` is no figure of a level"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_metrics() {
        assert!(Metric::all().eq(METRICS.iter().map(|row| row.metric)));
        for (index, (statistic, _)) in Statistic::ALL.into_iter().enumerate() {
            assert_eq!(statistic as usize, index);
        }
    }

    #[test]
    fn figures_have_the_names_that_older_files_have() {
        let names: Vec<String> = LevelFigure::all().map(|figure| figure.to_string()).collect();
        assert_eq!(
            names,
            [
                "ttft_mean_ms",
                "ttft_p95_ms",
                "ttfo_mean_ms",
                "tpot_mean_ms",
                "itl_mean_ms",
                "e2el_mean_ms",
                "e2el_p95_ms",
                "per_request_tok_s",
                "output_tok_s",
                "requests_per_s",
                "success_rate",
                "slo_attainment",
            ]
        );
        for figure in LevelFigure::all() {
            assert_eq!(figure.to_string().parse(), Ok(figure));
        }
    }
}
