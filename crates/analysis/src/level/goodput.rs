//! Levels held against latency objectives: SLO attainment, goodput, and how near a level is to its limit.
//!
//! A request is good when it completes and meets every objective (Zhong and others, `DistServe`, OSDI 2024; the field's tools
//! write `--goodput "ttft:500 tpot:50"`). Its *strain* is the largest of latency over objective, infinite when it failed:
//! as many requests are good as asked exactly where that quantile of the strain is at most 1. The strain rises with the
//! load gradually where attainment drops from all to nothing, so capacity is sought in it (`run::capacity`).

use records::{Metric, Objectives, Outcome, RequestRecord};
use stats::{Quantile, Sample, effective_quantile_interval};

use crate::{
    GoodputLevel, MetricRow,
    distribution::failure_adjusted,
    distribution::{Reading, estimate, share_up_to},
    level::rates::Rates,
    level::window::is_completed,
};

/// Worst latency over objective of each request of a level: up to 1 the request is good.
#[derive(Clone, Debug)]
pub(crate) struct SloRatios {
    /// Of each request in the order of sending; infinite when it failed.
    pub(crate) series: Vec<f64>,
    /// Of those that completed.
    pub(crate) sample: Option<Sample>,
    /// Requests that failed.
    pub(crate) failed: u64,
    /// Share of requests that has to be good.
    pub(crate) attainment: Quantile,
}

impl SloRatios {
    /// Of measured requests in the order of sending. Requests that we gave up say nothing of the server.
    pub(crate) fn new(requests: &[&RequestRecord], objectives: &Objectives) -> Option<Self> {
        let counted = requests.iter().filter(|record| record.outcome != Outcome::Cancelled);
        let series: Vec<f64> = counted.map(|record| slo_ratio(record, objectives)).collect();
        let finite: Vec<f64> = series.iter().copied().filter(|x| x.is_finite()).collect();
        let failed = (series.len() - finite.len()) as u64;
        Some(Self {
            sample: Sample::new(finite).ok(),
            failed,
            series,
            attainment: Quantile::new(objectives.attainment)?,
        })
    }

    /// These requests and then those: the same load run again.
    pub(crate) fn extend(&mut self, more: &Self) {
        self.series.extend_from_slice(&more.series);
        self.failed += more.failed;
        let finite = self.series.iter().copied().filter(|x| x.is_finite());
        self.sample = Sample::new(finite.collect()).ok();
    }

    /// The quantile of the ratios; `None` when it is infinite.
    pub(crate) fn quantile(&self) -> Option<f64> {
        failure_adjusted(self.sample.as_ref()?, self.failed, self.attainment)
    }

    /// Effective sample for the quantile's own interval, at most the sample itself.
    pub(crate) fn effective_for(&self, reading: Reading) -> Option<f64> {
        let effective = reading.effective_for_share_up_to(&self.series, self.limit())?;
        Some(effective.min(self.series.len() as f64))
    }

    /// The same for draws.
    pub(crate) fn effective(&self, reading: Reading) -> Option<f64> {
        let effective = reading.effective_of_share_up_to(&self.series, self.limit())?;
        Some(effective.min(self.series.len() as f64))
    }

    fn limit(&self) -> f64 {
        self.quantile().unwrap_or(1.0)
    }
}

fn slo_ratio(record: &RequestRecord, objectives: &Objectives) -> f64 {
    if !is_completed(record) {
        return f64::INFINITY;
    }
    objectives.limits_ns.iter().fold(0.0, |worst, (metric, limit_ns)| over(record, metric, limit_ns).max(worst))
}

/// Returns latency over objective of a completed request. Without the latency it is infinite and the request cannot be
/// judged good, but a request of a single token has no TPOT and meets it.
fn over(record: &RequestRecord, metric: Metric, limit_ns: u64) -> f64 {
    match MetricRow::new(metric).time_of(record) {
        Some(latency) => latency.as_nanos() as f64 / limit_ns.max(1) as f64,
        None if metric == Metric::Tpot => 0.0,
        None => f64::INFINITY,
    }
}

/// The level's figures; `None` without objectives, or when no request was sent that says something.
pub(crate) fn level(
    rates: Option<&Rates<'_>>,
    slo_ratios: Option<&SloRatios>,
    objectives: Option<&Objectives>,
) -> Option<GoodputLevel> {
    let (rates, slo_ratios, objectives) = (rates?, slo_ratios?, objectives?);
    let Rates { requests, reading, .. } = *rates;
    let n = slo_ratios.series.len() as f64;
    let good = slo_ratios.series.iter().filter(|x| **x <= 1.0).count();
    let attainment = share_up_to(&slo_ratios.series, 1.0, reading)?;
    let value = slo_ratios.quantile();
    let interval = slo_ratios.effective_for(reading).zip(slo_ratios.sample.as_ref());
    let interval = interval.filter(|_| slo_ratios.failed == 0).and_then(|(effective, sample)| {
        effective_quantile_interval(sample, slo_ratios.attainment, effective, reading.confidence)
    });
    let met = |(metric, limit_ns)| {
        let met = requests.iter().filter(|record| is_completed(record) && over(record, metric, limit_ns) <= 1.0);
        (metric, met.count() as f64 / n)
    };
    Some(GoodputLevel {
        good: good as u64,
        attainment,
        requests_per_s: rates.per_second(|record| f64::from(u8::from(slo_ratio(record, objectives) <= 1.0))),
        met: objectives.limits_ns.iter().map(met).collect(),
        strain: value.map(|value| estimate(value, interval)),
        effective: slo_ratios.effective(reading),
        holds: attainment.value >= objectives.attainment,
    })
}
