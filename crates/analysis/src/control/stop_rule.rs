//! When a level has been measured well enough: the interval of one figure is as narrow as asked.
//!
//! Sequential estimation with a fixed relative width (Chow and Robbins, Annals of Mathematical Statistics 36, 1965). Looking
//! at an interval until it is narrow selects the moments at which it is narrow by chance, so it holds the truth less
//! often than it says. A smallest number of requests before the first look and looks that grow apart by a tenth of the
//! sample keep that small; to ask two looks in a row to agree did not help further. What remains is in
//! `docs/methodology.md`, measured by `cargo run -p xtask --example coverage -- stop`.
//!
//! Requests count in the order in which they were taken, up to the first that is still under way: counting those that
//! have ended would favour short ones.

use std::{collections::BTreeMap, fmt, str::FromStr};

use records::{RequestRecord, Stage};
use stats::Confidence;

use crate::{
    Metric, MetricRow, Statistic,
    distribution::{Reading, distribution},
    level::window::is_completed,
    parse_request_metric,
};

/// Requests before the first look, at least.
const FEWEST: u64 = 50;
/// Waves before the first look, at least: intervals are those of whole waves.
const FEWEST_WAVES: u64 = 8;
/// How much larger the sample is at the next look.
const GROWTH: f64 = 1.1;

/// A figure, and how narrow its interval shall be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StopRule {
    metric: Metric,
    statistic: Statistic,
    /// Half of the interval's width in percent of the figure.
    percent: f64,
}

impl FromStr for StopRule {
    type Err = String;

    /// `ttft_p95:5%`; without a percentile, such as `e2el:2%`, the mean.
    fn from_str(text: &str) -> Result<Self, String> {
        let usage = "write METRIC[_STATISTIC]:PERCENT, such as ttft_p95:5% or e2el:2%";
        let (figure, width) = text.trim().split_once(':').ok_or(usage)?;
        let (metric, statistic) = match figure.rsplit_once('_') {
            Some((metric, statistic)) if figure.parse::<Metric>().is_err() => (metric, statistic),
            _ => (figure, Statistic::Mean.id()),
        };
        let metric = parse_request_metric(metric, false).map_err(|e| format!("{e}; {usage}"))?;
        let statistic = statistic.parse().map_err(|e| format!("{e}; {usage}"))?;
        let percent: f64 = width
            .trim()
            .trim_end_matches('%')
            .trim_end()
            .parse()
            .map_err(|_| format!("`{width}` is no percentage; {usage}"))?;
        if !(percent > 0.0 && percent < 100.0) {
            return Err(format!("`{width}` is not between 0 and 100 %; {usage}"));
        }
        Ok(Self { metric, statistic, percent })
    }
}

impl fmt::Display for StopRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}:{}%", self.metric, self.statistic.id(), self.percent)
    }
}

impl StopRule {
    fn value(self, record: &RequestRecord) -> Option<f64> {
        MetricRow::new(self.metric).of_request(record).filter(|_| is_completed(record))
    }

    /// Half of the interval's width over the figure; none where the sample gives no interval.
    fn width(self, series: &[f64], reading: Reading) -> Option<f64> {
        let estimate = self.statistic.pick(&distribution(series, reading)?)?;
        let half = (estimate.high? - estimate.low?) / 2.0;
        Some(half / estimate.value).filter(|share| share.is_finite())
    }
}

/// Watches one level.
#[derive(Clone, Debug)]
pub struct StopWatch {
    rule: StopRule,
    confidence: Confidence,
    /// Slots: those of the closed loop, or as many as were used so far.
    slots: u32,
    fewest: Option<u64>,
    /// Measured requests by number; none where one has no such figure.
    seen: BTreeMap<u64, Option<f64>>,
    next_look: f64,
    width: Option<f64>,
}

impl StopWatch {
    /// For a level of so many slots, 0 for an open loop. It looks for the first time at `fewest` requests; unless given, at
    /// 50 or 8 waves.
    pub fn new(rule: StopRule, concurrency: u32, fewest: Option<u64>, confidence_level: Option<f64>) -> Self {
        let confidence = confidence_level.and_then(Confidence::new);
        Self {
            rule,
            confidence: confidence.unwrap_or(Confidence::P95),
            slots: concurrency,
            fewest,
            seen: BTreeMap::new(),
            next_look: 0.0,
            width: None,
        }
    }

    fn fewest(&self) -> u64 {
        let by_default = FEWEST.max(FEWEST_WAVES * u64::from(self.slots));
        self.fewest.unwrap_or(by_default)
    }

    /// Takes a request that has ended. Whether the interval is now as narrow as asked; it stays so.
    pub fn observe(&mut self, record: &RequestRecord) -> bool {
        if record.stage != Stage::Measured || record.retry > 0 {
            return self.is_tight();
        }
        self.slots = self.slots.max(record.slot.saturating_add(1));
        self.seen.insert(record.request, self.rule.value(record));
        let due = self.next_look.max(self.fewest() as f64);
        if !self.is_tight() && self.seen.len() as f64 >= due {
            self.look();
        }
        self.is_tight()
    }

    /// Half of the interval's width over the figure, at the last look.
    pub fn width(&self) -> Option<f64> {
        self.width
    }

    /// Whether it was as narrow as asked.
    pub fn is_tight(&self) -> bool {
        self.width.is_some_and(|width| 100.0 * width <= self.rule.percent)
    }

    fn look(&mut self) {
        let first = self.seen.keys().next().copied().unwrap_or(0);
        let without_gap = self.seen.iter().zip(first..).take_while(|((n, _), k)| **n == *k);
        let taken = without_gap.clone().count();
        let series: Vec<f64> = without_gap.filter_map(|((_, value), _)| *value).collect();
        if (taken as u64) < self.fewest() {
            // One request that takes long holds up the look, not the sample.
            self.next_look = self.seen.len() as f64 + 1.0;
            return;
        }
        self.next_look = (self.seen.len() as f64 * GROWTH).ceil();
        self.width = self.rule.width(&series, Reading::new(self.slots, self.confidence).cautious());
    }
}
