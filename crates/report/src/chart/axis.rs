//! Axes: from a value to a place, and which values to write.

use analysis::LevelSummary;

use super::sheet::text_width;
use crate::number::{Figures, number};

/// One axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
    pub(super) ticks: Vec<Tick>,
}

/// A marked value.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

impl Axis {
    /// From 0 to a round value above `max`, with about `wanted` steps of 1, 2 or 5.
    pub(super) fn from_zero(max: f64, wanted: f64) -> Self {
        let max = if max > 0.0 { max } else { 1.0 };
        let step = nice_step(max / wanted);
        let steps = (max / step).ceil();
        let decimals = usize::from(step < 0.95) + usize::from(step < 0.095);
        Self {
            low: 0.0,
            high: steps * step,
            log: false,
            ticks: multiples(step, steps).map(|at| Tick { at, label: number(at, decimals) }).collect(),
        }
    }

    /// From 0 to exactly `max`: for elapsed time, where empty room at the end would look like a pause.
    pub(super) fn span(max: f64, wanted: f64) -> Self {
        let mut axis = Self::from_zero(max, wanted);
        axis.high = if max > 0.0 { max } else { 1.0 };
        axis.ticks.retain(|tick| tick.at <= axis.high);
        axis
    }

    /// 0 to 100 %.
    pub(super) fn percent() -> Self {
        Self {
            low: 0.0,
            high: 100.0,
            log: false,
            ticks: [0.0, 50.0, 100.0].map(|at| Tick { at, label: format!("{}%", number(at, 0)) }).into(),
        }
    }

    /// Logarithmic over times in milliseconds, ends on 1, 2 or 5 times a power of ten.
    pub(super) fn times(min: f64, max: f64, figures: Figures) -> Self {
        Self::logarithmic(min, max, |at| round_time(at, figures))
    }

    fn logarithmic(min: f64, max: f64, label: impl Fn(f64) -> String) -> Self {
        let low = round_down(min.max(1e-3));
        let high = round_up(max.max(low * 1.5));
        let mut ticks: Vec<f64> =
            std::iter::successors(Some(low), |&at| Some(next_round(at))).take_while(|&at| at <= high * 1.001).collect();
        if ticks.len() > 8 {
            ticks.retain(|at| (at.log10() - at.log10().round()).abs() < 1e-6);
        }
        Self { low, high, log: true, ticks: ticks.into_iter().map(|at| Tick { at, label: label(at) }).collect() }
    }

    /// Logarithmic over dollars, ends on 1, 2 or 5 times a power of ten.
    pub(super) fn prices(min: f64, max: f64) -> Self {
        Self::logarithmic(min, max, |price| format!("${}", few_digits(price)))
    }

    /// Logarithmic over rates, ends on 1, 2 or 5 times a power of ten.
    pub(super) fn rates(min: f64, max: f64) -> Self {
        Self::logarithmic(min, max, few_digits)
    }

    /// Smallest and largest value.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Logarithmic over the levels that were run, each of them marked.
    pub(super) fn levels(levels: &[&LevelSummary]) -> Self {
        let mut values: Vec<u32> = levels.iter().map(|level| level.concurrency).collect();
        values.dedup();
        let first = f64::from(values.first().copied().unwrap_or(1));
        let last = f64::from(values.last().copied().unwrap_or(1));
        let margin = (last / first).powf(0.04).max(1.08);
        Self {
            low: first / margin,
            high: last * margin,
            log: true,
            ticks: values
                .into_iter()
                .map(|value| Tick { at: f64::from(value), label: number(f64::from(value), 0) })
                .collect(),
        }
    }

    /// Where `value` lies, 0 to 1, clamped to the axis.
    pub(super) fn share(&self, value: f64) -> f64 {
        let position = |v: f64| if self.log { v.max(1e-9).ln() } else { v };
        let share = (position(value) - position(self.low)) / (position(self.high) - position(self.low));
        share.clamp(0.0, 1.0)
    }

    /// Ticks whose labels do not touch on a horizontal axis of `length`; first and last are served first.
    pub(super) fn labelled(&self, length: f64, size: f64) -> Vec<&Tick> {
        let last = self.ticks.len().saturating_sub(1);
        let mut order: Vec<usize> = (0..self.ticks.len()).collect();
        order.sort_by_key(|&index| (index != 0 && index != last, index));
        let mut taken: Vec<(f64, f64)> = Vec::new();
        let mut kept = Vec::new();
        for index in order {
            let tick = &self.ticks[index];
            let half = text_width(&tick.label, size) / 2.0 + 3.0;
            let centre = self.share(tick.at) * length;
            if taken.iter().all(|&(from, to)| centre + half <= from || centre - half >= to) {
                taken.push((centre - half, centre + half));
                kept.push(tick);
            }
        }
        kept
    }
}

fn multiples(step: f64, steps: f64) -> impl Iterator<Item = f64> {
    (0_u32..).map(f64::from).take_while(move |&index| index <= steps + 0.5).map(move |index| index * step)
}

/// A value on 1, 2 or 5 times a power of ten, with no more decimals than it needs.
fn few_digits(value: f64) -> String {
    number(value, usize::from(value < 0.95) + usize::from(value < 0.095))
}

/// Smallest of 1, 2, 5 times a power of ten that is at least `raw`.
fn nice_step(raw: f64) -> f64 {
    round_up(raw)
}

fn split(value: f64) -> (f64, f64) {
    let power = 10_f64.powf(value.log10().floor());
    (value / power, power)
}

fn round_up(value: f64) -> f64 {
    let (digit, power) = split(value);
    let rounded = [1.0, 2.0, 5.0].into_iter().find(|&candidate| candidate >= digit * 0.9999);
    rounded.unwrap_or(10.0) * power
}

fn round_down(value: f64) -> f64 {
    let (digit, power) = split(value);
    let rounded = [5.0, 2.0, 1.0].into_iter().find(|&candidate| candidate <= digit * 1.0001);
    rounded.unwrap_or(1.0) * power
}

fn next_round(value: f64) -> f64 {
    round_up(value * 1.5)
}

fn round_time(ms: f64, figures: Figures) -> String {
    let decimals = |value: f64| usize::from(value < 0.95) + usize::from(value < 0.095);
    if ms < 999.5 { format!("{} ms", number(ms, decimals(ms))) } else { figures.whole_seconds(ms / 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn linear_axes_end_on_a_round_value() {
        assert_eq!(labels(&Axis::from_zero(620.8, 5.0)), ["0", "200", "400", "600", "800"]);
        assert_eq!(labels(&Axis::from_zero(0.9, 5.0)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::from_zero(0.0, 5.0)).len(), 6);
    }

    #[test]
    fn times_are_marked_at_one_two_five() {
        let figures = Figures::of(Language::En);
        assert_eq!(labels(&Axis::times(1818.0, 10_459.0, figures)), ["1 s", "2 s", "5 s", "10 s", "20 s"]);
        assert_eq!(labels(&Axis::times(84.0, 439.7, figures)), ["50 ms", "100 ms", "200 ms", "500 ms"]);
        assert_eq!(labels(&Axis::times(7000.0, 7100.0, figures)), ["5 s", "10 s"]);
    }

    #[test]
    fn places_are_shares_of_the_axis() {
        let axis = Axis::times(100.0, 10_000.0, Figures::of(Language::En));
        assert!((axis.share(1000.0) - 0.5).abs() < 1e-9);
        assert!((Axis::percent().share(25.0) - 0.25).abs() < 1e-9);
    }
}
