//! When requests arrive in an open loop: a pure, seeded function of the plan.
//!
//! Arrivals are a renewal process on operational time, where the mean gap is 1, mapped to seconds through the inverse of
//! the cumulative rate (Çinlar 1975, 7.3; the thinning-free method for inhomogeneous Poisson processes). So a ramp keeps
//! the pattern of its gaps. Gaps are gamma distributed with shape `burstiness` and mean 1, as vLLM's benchmark defines
//! them: 1 is Poisson, below 1 clusters, above 1 evens out, infinity is a constant gap. Gamma deviates follow Marsaglia
//! and Tsang 2000. This module knows no clock: instants are durations since the level's start.

mod stages;

use std::{sync::Arc, time::Duration};

use rand_pcg::{Pcg64, rand_core::Rng};

use crate::PlanError;

pub use stages::RateStage;

/// How arrivals are spread around their rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Spacing {
    /// Equal gaps, the first arrival at once.
    Constant,
    /// Gamma-distributed gaps with this shape; 1 is a Poisson process.
    Gamma {
        /// Shape, above 0. The coefficient of variation of the gaps is `1/√burstiness`.
        burstiness: f64,
    },
}

impl Spacing {
    /// A Poisson process: users who know nothing of each other.
    pub const POISSON: Self = Self::Gamma { burstiness: 1.0 };
}

/// How the rate of a ramp moves from its first value to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// By equal differences.
    Linear,
    /// By equal ratios.
    Exponential,
}

/// The arrivals of a level, whatever the server makes of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// All at the beginning: an infinite rate.
    AtOnce,
    /// A rate that stays.
    Steady {
        /// Requests per second.
        per_second: f64,
        /// Spread of the gaps.
        spacing: Spacing,
    },
    /// A rate that moves while measuring. Warm-up runs at the first rate; after `over` the last one stays.
    Ramp {
        /// How it moves.
        shape: Shape,
        /// Requests per second at the beginning.
        from: f64,
        /// Requests per second at the end.
        to: f64,
        /// How long the way takes.
        over: Duration,
        /// Spread of the gaps.
        spacing: Spacing,
    },
    /// A rate that moves in steps while measuring. Warm-up runs at the first rate; after the last stage its rate stays.
    Stages {
        /// The steps, one at least.
        stages: Arc<[RateStage]>,
        /// Spread of the gaps.
        spacing: Spacing,
    },
    /// These instants, in order; then no more.
    Recorded(Arc<[Duration]>),
}

impl Arrivals {
    /// Whether the numbers can be used.
    ///
    /// # Errors
    /// [`PlanError::BadRate`].
    pub fn check(&self) -> Result<(), PlanError> {
        let usable = |value: f64| value.is_finite() && value > 0.0;
        let spaced = |spacing| match spacing {
            Spacing::Constant => true,
            Spacing::Gamma { burstiness } => usable(burstiness),
        };
        let good = match *self {
            Self::AtOnce | Self::Recorded(_) => true,
            Self::Stages { ref stages, spacing } => {
                let all = |stage: &RateStage| usable(stage.per_second) && !stage.over.is_zero();
                !stages.is_empty() && stages.iter().all(all) && spaced(spacing)
            }
            Self::Steady { per_second, spacing } => usable(per_second) && spaced(spacing),
            Self::Ramp { from, to, over, spacing, .. } => {
                usable(from) && usable(to) && !over.is_zero() && spaced(spacing)
            }
        };
        good.then_some(()).ok_or(PlanError::BadRate)
    }

    /// Instants of all arrivals in order, without end unless recorded; the first `warmup` of them run at the first rate.
    pub fn times(&self, seed: u64, warmup: u64) -> Times {
        Times {
            arrivals: self.clone(),
            warmup: warmup as f64,
            operational: 0.0,
            number: 0,
            draw: Pcg64::new(u128::from(seed), PCG_STREAM),
        }
    }

    /// The rate at the beginning; `None` when it is infinite.
    pub fn first_rate(&self) -> Option<f64> {
        match self {
            Self::AtOnce | Self::Recorded(_) => None,
            Self::Steady { per_second, .. } => Some(*per_second),
            Self::Ramp { from, .. } => Some(*from),
            Self::Stages { stages, .. } => stages.first().map(|stage| stage.per_second),
        }
    }

    fn spacing(&self) -> Option<Spacing> {
        match self {
            Self::AtOnce | Self::Recorded(_) => None,
            Self::Steady { spacing, .. } | Self::Ramp { spacing, .. } | Self::Stages { spacing, .. } => Some(*spacing),
        }
    }

    /// Seconds at which the expected number of arrivals reaches `expected`.
    fn seconds_at(&self, expected: f64, warmup: f64) -> f64 {
        match *self {
            Self::AtOnce | Self::Recorded(_) => 0.0,
            Self::Steady { per_second, .. } => expected / per_second,
            Self::Stages { ref stages, .. } => {
                let first = stages.first().map_or(1.0, |stage| stage.per_second);
                if expected <= warmup {
                    return expected / first;
                }
                warmup / first + stages::seconds_at(stages, expected - warmup)
            }
            Self::Ramp { from, .. } if expected <= warmup => expected / from,
            Self::Ramp { shape, from, to, over, .. } => {
                warmup / from + ramp_seconds(shape, from, to, over.as_secs_f64(), expected - warmup)
            }
        }
    }
}

/// PCG64's default stream.
const PCG_STREAM: u128 = 0x0a02_bdbf_7bb3_c0a7_ac28_fa16_a64a_bf96;

/// Inverse of the cumulative rate of a ramp that begins at 0.
fn ramp_seconds(shape: Shape, from: f64, to: f64, over: f64, expected: f64) -> f64 {
    let ratio = to / from;
    let flat = (ratio - 1.0).abs() < 1e-9;
    let total = match shape {
        _ if flat => from * over,
        Shape::Linear => 0.5 * (from + to) * over,
        Shape::Exponential => (to - from) * over / ratio.ln(),
    };
    if expected >= total {
        return over + (expected - total) / to;
    }
    match shape {
        _ if flat => expected / from,
        Shape::Linear => {
            let slope = (to - from) / over;
            // The smaller root of slope/2·t² + from·t = expected, in the form without cancellation.
            2.0 * expected / (from + (from * from + 2.0 * slope * expected).sqrt())
        }
        Shape::Exponential => over / ratio.ln() * (expected * ratio.ln() / (from * over)).ln_1p(),
    }
}

/// Iterator over the arrivals of a level.
#[derive(Clone, Debug)]
pub struct Times {
    arrivals: Arrivals,
    warmup: f64,
    operational: f64,
    number: u64,
    draw: Pcg64,
}

impl Iterator for Times {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if let Arrivals::Recorded(times) = &self.arrivals {
            let number = usize::try_from(self.number).ok()?;
            self.number += 1;
            return times.get(number).copied();
        }
        self.operational = match self.arrivals.spacing() {
            None => 0.0,
            // Multiplied and not added up, so that no error grows.
            Some(Spacing::Constant) => self.number as f64,
            Some(Spacing::Gamma { burstiness }) => self.operational + gamma(&mut self.draw, burstiness) / burstiness,
        };
        self.number += 1;
        let seconds = self.arrivals.seconds_at(self.operational, self.warmup);
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }
}

/// Uniform in (0, 1): the middle of one of 2^53 cells, so that neither end is met.
fn uniform(draw: &mut Pcg64) -> f64 {
    ((draw.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Standard normal (Box and Muller 1958).
fn normal(draw: &mut Pcg64) -> f64 {
    let radius = (-2.0 * uniform(draw).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(draw)).cos()
}

/// Gamma with this shape and scale 1.
fn gamma(draw: &mut Pcg64, shape: f64) -> f64 {
    if (shape - 1.0).abs() < f64::EPSILON {
        return -uniform(draw).ln();
    }
    if shape < 1.0 {
        let boosted = gamma(draw, shape + 1.0);
        return boosted * uniform(draw).powf(1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(draw);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && uniform(draw).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 20_000;

    fn steady(burstiness: f64) -> Arrivals {
        let spacing = Spacing::Gamma { burstiness };
        Arrivals::Steady { per_second: 50.0, spacing }
    }

    /// Gaps in units of their mean.
    fn gaps(arrivals: &Arrivals, seed: u64) -> Vec<f64> {
        let times: Vec<f64> = arrivals.times(seed, 0).take(COUNT).map(|t| 50.0 * t.as_secs_f64()).collect();
        let starts = [0.0].into_iter().chain(times.iter().copied());
        starts.zip(&times).map(|(before, at)| at - before).collect()
    }

    /// Largest distance between the sample's distribution and `cdf` (Kolmogorov).
    fn distance(mut sample: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
        sample.sort_by(f64::total_cmp);
        let n = sample.len() as f64;
        let apart = |(i, x): (usize, &f64)| {
            let p = cdf(*x);
            (p - i as f64 / n).abs().max(((i + 1) as f64 / n - p).abs())
        };
        sample.iter().enumerate().map(apart).fold(0.0, f64::max)
    }

    #[test]
    fn gaps_follow_the_closed_forms() {
        // Erlang distributions, whose cumulative forms are elementary; 1.95/√n is passed once in a thousand samples.
        let limit = 1.95 / (COUNT as f64).sqrt();
        for seed in 0..3 {
            let poisson = distance(gaps(&steady(1.0), seed), |x| 1.0 - (-x).exp());
            assert!(poisson < limit, "{poisson}");
            let erlang2 = distance(gaps(&steady(2.0), seed), |x| 1.0 - (-2.0 * x).exp() * (1.0 + 2.0 * x));
            assert!(erlang2 < limit, "{erlang2}");
            // A wrong shape is seen: the test can fail.
            assert!(distance(gaps(&steady(2.0), seed), |x| 1.0 - (-x).exp()) > 5.0 * limit);
        }
    }

    #[test]
    fn burstiness_is_the_inverse_square_of_the_variation() {
        for burstiness in [0.25, 0.5, 1.0, 4.0, 100.0] {
            let gaps = gaps(&steady(burstiness), 9);
            let n = gaps.len() as f64;
            let mean = gaps.iter().sum::<f64>() / n;
            let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / n;
            // Four standard errors: of the mean 1/√(b·n), of the variance about √((2 + 6/b)/n) of itself.
            assert!((mean - 1.0).abs() < 4.0 / (burstiness * n).sqrt(), "{burstiness}: {mean}");
            let error = (variance * burstiness - 1.0).abs();
            assert!(error < 4.0 * ((2.0 + 6.0 / burstiness) / n).sqrt(), "{burstiness}: {variance}");
        }
    }

    fn ramp(shape: Shape, to: f64) -> Arrivals {
        let over = Duration::from_mins(1);
        Arrivals::Ramp { shape, from: 2.0, to, over, spacing: Spacing::Constant }
    }

    #[test]
    fn ramps_bring_what_their_integral_says() {
        // ∫ rate over 60 s: linear 2→10 is 360; exponential 2→10 is 8·60/ln 5 = 298.24; falling 2→0.5 linear is 75.
        for (arrivals, expected) in [
            (ramp(Shape::Linear, 10.0), 360),
            (ramp(Shape::Exponential, 10.0), 299),
            (ramp(Shape::Linear, 0.5), 75),
            (ramp(Shape::Linear, 2.0), 120),
            (ramp(Shape::Exponential, 2.0), 120),
        ] {
            let minute = Duration::from_mins(1) - Duration::from_nanos(10);
            let within = arrivals.times(1, 0).take_while(|t| *t < minute).count();
            assert_eq!(within, expected, "{arrivals:?}");
            // Half way a linear ramp has brought the mean of its first half.
            let late = arrivals.times(1, 0).nth(1000).unwrap_or_default();
            assert!(late > minute, "the last rate stays");
        }
        let half = ramp(Shape::Linear, 10.0).times(1, 0).take_while(|t| t.as_secs_f64() < 30.0).count();
        assert_eq!(half, 120, "∫ of 2 + 8t/60 over 30 s");
        let after_warmup = ramp(Shape::Linear, 10.0).times(1, 20).nth(20 + 120).unwrap_or_default();
        assert!((after_warmup.as_secs_f64() - 40.0).abs() < 1e-6, "{after_warmup:?}");
    }

    #[test]
    fn the_same_seed_is_the_same_schedule() {
        let schedule = |seed| steady(0.5).times(seed, 0).take(100).collect::<Vec<_>>();
        assert_eq!(schedule(3), schedule(3));
        assert_ne!(schedule(3), schedule(4));
        let constant = Arrivals::Steady { per_second: 4.0, spacing: Spacing::Constant };
        let times: Vec<_> = constant.times(1, 0).take(3).collect();
        assert_eq!(times, [0, 250, 500].map(Duration::from_millis));
        let recorded = Arrivals::Recorded([3, 5].map(Duration::from_secs).into());
        assert_eq!(recorded.times(1, 0).map(|t| t.as_secs()).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(Arrivals::AtOnce.times(1, 0).nth(99), Some(Duration::ZERO));
    }

    #[test]
    fn rates_that_mean_nothing_are_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let spacing = Spacing::POISSON;
            assert_eq!(Arrivals::Steady { per_second: bad, spacing }.check(), Err(PlanError::BadRate));
            assert_eq!(steady(bad).check(), Err(PlanError::BadRate));
            assert_eq!(ramp(Shape::Linear, bad).check(), Err(PlanError::BadRate));
        }
        assert_eq!(Arrivals::AtOnce.check(), Ok(()));
    }
}
