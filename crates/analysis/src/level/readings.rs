//! Window arithmetic on readings that were taken at other moments than the window's borders. Pure.
//!
//! Gauges are time-weighted: linear between readings (trapezoids), interpolated at the borders. Counters are the
//! difference of two interpolated readings, safe against a counter that wraps at 32 bits; one that was set back has no
//! difference. A window counts only if readings lie on both sides of both borders, at least two within, and none further
//! apart than three times their usual distance. The reasons are those of `InferenceX`'s power aggregation
//! (`aggregate_power.py`), in its words where it has them.

use stats::Span;

use crate::WindowIssue;

/// Largest distance between readings, as a multiple of their usual one (`InferenceX`).
const GAP_INTERVALS: u64 = 3;

/// Largest distance between readings in any case, in nanoseconds: power changes within it (`InferenceX`: 3 s).
pub(crate) const GAP_MAX_NS: u64 = 3_000_000_000;

/// What a 32-bit counter counts before it begins anew.
const WRAP_32: u64 = 1 << 32;

/// Largest growth between two readings that is taken for a wrap rather than for a set-back, as a share of the counter's
/// range: a counter that went almost all the way around within one period would have been useless anyway.
const WRAP_GROWTH_SHARE: f64 = 0.5;

/// Moments at which something was read, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moments(Vec<u64>);

impl Moments {
    pub(crate) fn new(times: impl IntoIterator<Item = u64>) -> Self {
        let mut times: Vec<u64> = times.into_iter().collect();
        times.sort_unstable();
        times.dedup();
        Self(times)
    }

    /// Why a window cannot be computed from readings at these moments; empty when it can.
    pub(crate) fn issues(&self, window: Span) -> Vec<WindowIssue> {
        let mut issues = Vec::new();
        let from = self.0.partition_point(|&t| t <= window.start());
        let to = self.0.partition_point(|&t| t < window.end());
        let bracketed = from > 0 && to < self.0.len();
        if !bracketed {
            issues.push(WindowIssue::BenchmarkWindowNotBracketed);
        }
        let inside = self.inside(window);
        if inside < 2 {
            issues.push(WindowIssue::TooFewSamples { samples: inside });
        }
        let around = &self.0[from.saturating_sub(1)..(to + 1).min(self.0.len())];
        let widest = around.windows(2).map(|pair| pair[1] - pair[0]).max();
        let allowed = self.allowed_gap_ns();
        if let Some(gap) = widest.filter(|gap| *gap > allowed) {
            issues.push(WindowIssue::SamplingGapExceeded { gap_s: gap as f64 / 1e9, allowed_s: allowed as f64 / 1e9 });
        }
        issues
    }

    /// Readings from the window's start to its end, both included.
    pub(crate) fn inside(&self, window: Span) -> u64 {
        let inside = |t: &&u64| (window.start()..=window.end()).contains(*t);
        self.0.iter().filter(inside).count() as u64
    }

    fn allowed_gap_ns(&self) -> u64 {
        let mut gaps: Vec<u64> = self.0.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_unstable();
        // Readings on request lie between the ticks, so the median is the period or a little less.
        let usual = gaps.get(gaps.len() / 2).copied().unwrap_or(GAP_MAX_NS);
        usual.saturating_mul(GAP_INTERVALS).min(GAP_MAX_NS)
    }
}

/// Readings of a gauge, in order of time; of several at one moment, the last counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Vec<(u64, f64)>);

impl Gauge {
    pub(crate) fn new(readings: impl IntoIterator<Item = (u64, f64)>) -> Self {
        let finite = readings.into_iter().filter(|(_, value)| value.is_finite());
        let mut readings: Vec<(u64, f64)> = finite.collect();
        readings.sort_by_key(|(t, _)| *t);
        readings.reverse();
        readings.dedup_by_key(|(t, _)| *t);
        readings.reverse();
        Self(readings)
    }

    pub(crate) fn moments(&self) -> Moments {
        Moments::new(self.0.iter().map(|(t, _)| *t))
    }

    /// The integral over the window, in units of the gauge times seconds; `None` when a border has no reading on one side.
    pub(crate) fn integral(&self, window: Span) -> Option<f64> {
        let start = self.at(window.start())?;
        let end = self.at(window.end())?;
        let inside = self.0.iter().copied().filter(|(t, _)| window.start() < *t && *t < window.end());
        let points: Vec<(u64, f64)> = std::iter::once((window.start(), start))
            .chain(inside)
            .chain(std::iter::once((window.end(), end)))
            .collect();
        let trapezoid = |pair: &[(u64, f64)]| {
            let seconds = (pair[1].0 - pair[0].0) as f64 / 1e9;
            seconds * (pair[0].1 + pair[1].1) / 2.0
        };
        Some(points.windows(2).map(trapezoid).sum())
    }

    /// The time-weighted mean over the window; where it is not bracketed, the plain mean of the readings in it.
    pub(crate) fn mean(&self, window: Span) -> Option<f64> {
        let weighted = self.integral(window).filter(|_| self.moments().issues(window).is_empty());
        weighted.map(|integral| integral / (window.ticks() as f64 / 1e9)).or_else(|| {
            let inside = |t: u64| (window.start()..window.end()).contains(&t);
            crate::distribution::mean(self.0.iter().filter(|(t, _)| inside(*t)).map(|(_, value)| *value))
        })
    }

    /// The gauge at a moment, linear between the readings around it.
    fn at(&self, at: u64) -> Option<f64> {
        interpolate(&self.0, at)
    }
}

/// Readings of a counter, in order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Vec<(u64, u64)>);

impl Counter {
    pub(crate) fn new(readings: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut readings: Vec<(u64, u64)> = readings.into_iter().collect();
        readings.sort_unstable();
        readings.dedup_by_key(|(t, _)| *t);
        Self(readings)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn moments(&self) -> Moments {
        Moments::new(self.0.iter().map(|(t, _)| *t))
    }

    /// How much it grew over exactly the window, or why that is not known.
    pub(crate) fn growth(&self, window: Span) -> Result<f64, Vec<WindowIssue>> {
        let issues: Vec<WindowIssue> = self
            .moments()
            .issues(window)
            .into_iter()
            // Two readings around a window say how much a counter grew, with none in it.
            .filter(|issue| !matches!(issue, WindowIssue::TooFewSamples { .. }))
            .collect();
        if !issues.is_empty() {
            return Err(issues);
        }
        let from = self.0.partition_point(|(t, _)| *t <= window.start());
        let to = self.0.partition_point(|(t, _)| *t < window.end());
        let around = &self.0[from.saturating_sub(1)..(to + 1).min(self.0.len())];
        let steady = unwrapped(around).ok_or_else(|| vec![WindowIssue::CounterReset])?;
        let at = |t| interpolate(&steady, t).ok_or_else(|| vec![WindowIssue::BenchmarkWindowNotBracketed]);
        Ok(at(window.end())? - at(window.start())?)
    }
}

/// The counter's growth since the first reading; `None` when it was set back.
fn unwrapped(readings: &[(u64, u64)]) -> Option<Vec<(u64, f64)>> {
    let mut total = 0_u64;
    let mut steady = Vec::with_capacity(readings.len());
    let mut before = readings.first()?.1;
    for &(t, value) in readings {
        total = total.checked_add(step(before, value)?)?;
        steady.push((t, total as f64));
        before = value;
    }
    Some(steady)
}

/// Growth from one reading to the next.
fn step(before: u64, after: u64) -> Option<u64> {
    if after >= before {
        return Some(after - before);
    }
    let around = after.checked_add(WRAP_32)?.checked_sub(before)?;
    let plausible = before < WRAP_32 && (around as f64) < WRAP_GROWTH_SHARE * WRAP_32 as f64;
    plausible.then_some(around)
}

/// Linear between the readings around a moment; `None` outside of them.
fn interpolate(readings: &[(u64, f64)], at: u64) -> Option<f64> {
    let next = readings.partition_point(|&(t, _)| t < at);
    let &(after_t, after) = readings.get(next)?;
    if after_t == at {
        return Some(after);
    }
    let &(before_t, before) = readings.get(next.checked_sub(1)?)?;
    let share = (at - before_t) as f64 / (after_t - before_t) as f64;
    Some(before + share * (after - before))
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn window(start: u64, end: u64) -> Span {
        Span::new(start, end).unwrap()
    }

    #[test]
    fn a_gauge_is_weighted_by_time_and_interpolated_at_the_borders() {
        // 100 W at 0 s, 200 W at 1 s, 200 W at 2 s, 400 W at 3 s; from 0.5 s (150 W) to 2.5 s (300 W):
        // 0.5 s of 175 W, 1 s of 200 W, 0.5 s of 250 W = 412.5 J.
        let gauge = Gauge::new([(0, 100.0), (S, 200.0), (2 * S, 200.0), (3 * S, 400.0)]);
        let w = window(S / 2, 5 * S / 2);
        assert_eq!(gauge.integral(w), Some(412.5));
        assert_eq!(gauge.mean(w), Some(206.25));
    }

    #[test]
    fn readings_that_crowd_together_weigh_no_more_than_their_time() {
        // Three readings a second, and the last second read thirty times: 1 s of 100 W, 1 s of 100 → 300 W, 1 s of 300 W.
        let mut readings = Vec::new();
        for i in 0..=30 {
            let third = S / 3;
            let watts = if i < 10 { 100.0 } else { 300.0 };
            readings.push((i * third, watts));
        }
        let sparse = Gauge::new(readings.clone()).mean(window(0, 10 * S - 10)).unwrap();
        readings.extend((0..10).map(|i| (9 * S + i * 1_000, 300.0)));
        let crowded = Gauge::new(readings).mean(window(0, 10 * S - 10)).unwrap();
        assert!((sparse - crowded).abs() < 1e-6, "{sparse} {crowded}");
    }

    #[test]
    fn a_counter_that_wraps_goes_on_and_one_that_is_set_back_does_not() {
        let near = WRAP_32 - 1_000;
        let wraps = Counter::new([(0, near), (S, near + 500), (2 * S, 0), (3 * S, 500)]);
        assert_eq!(wraps.growth(window(0, 3 * S)), Ok(1_500.0));
        let set_back = Counter::new([(0, 5_000_000), (S, 5_000_500), (2 * S, 0), (3 * S, 500)]);
        assert_eq!(set_back.growth(window(0, 3 * S)), Err(vec![WindowIssue::CounterReset]));
        assert_eq!(set_back.growth(window(2 * S, 3 * S)), Ok(500.0), "not within this window");
        let wide = Counter::new([(0, WRAP_32 + 5), (S, 4)]);
        assert_eq!(wide.growth(window(0, S)), Err(vec![WindowIssue::CounterReset]), "it is wider than 32 bits");
    }

    /// Twelve series with uneven distances, half of them with a counter that wraps at 32 bits, computed by numpy
    /// (`fixtures/telemetry/windows.py`).
    #[test]
    fn windows_are_as_numpy_computes_them() {
        let text = include_str!("../../../../fixtures/telemetry/windows.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
        assert_eq!(cases.len(), 12);
        for case in &cases {
            let list = |name: &str| case[name].as_array().unwrap().clone();
            let times = || list("t_ns").into_iter().map(|t| t.as_u64().unwrap()).collect::<Vec<_>>();
            let number = |name: &str| case[name].as_f64().unwrap();
            let watts = list("watts").into_iter().map(|w| w.as_f64().unwrap());
            let counter = list("counter_mj").into_iter().map(|c| c.as_u64().unwrap());
            let w = window(case["start_ns"].as_u64().unwrap(), case["end_ns"].as_u64().unwrap());
            let gauge = Gauge::new(times().into_iter().zip(watts));
            let close = |ours: f64, numpys: f64| (ours - numpys).abs() <= 1e-9 * numpys.abs();
            assert!(close(gauge.integral(w).unwrap(), number("integral_j")));
            assert!(close(gauge.mean(w).unwrap(), number("mean_w")));
            let growth = Counter::new(times().into_iter().zip(counter)).growth(w);
            assert!(close(growth.unwrap(), number("growth_mj")), "{case}");
        }
    }

    #[test]
    fn why_a_window_does_not_count() {
        let steady = Moments::new((0..=10).map(|i| i * S / 2));
        assert_eq!(steady.issues(window(S, 4 * S)), []);
        assert_eq!(steady.issues(window(4 * S, 6 * S)), [WindowIssue::BenchmarkWindowNotBracketed]);
        let short = steady.issues(window(S + 1, S + 2));
        assert_eq!(short, [WindowIssue::TooFewSamples { samples: 0 }]);
        let with_gap = Moments::new((0..=20).filter(|i| !(5..8).contains(i)).map(|i| i * S / 2));
        let gap = WindowIssue::SamplingGapExceeded { gap_s: 2.0, allowed_s: 1.5 };
        assert_eq!(with_gap.issues(window(S, 4 * S)), [gap]);
        assert_eq!(with_gap.issues(window(5 * S, 8 * S)), [], "the gap is elsewhere");
    }
}
