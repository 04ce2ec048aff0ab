//! Quantiles of observations that depend on each other: the interval that the effective sample supports, and draws of
//! where the true quantile may lie.
//!
//! Order statistics with fractional ranks (Stigler, JASA 72, 1977): the share of the distribution below the order
//! statistic of rank `r` out of `n` is beta with parameters `r` and `n + 1 − r`, for ranks and sizes that need not be whole.
//! The interval inverts that (Hutson, Journal of Applied Statistics 26, 1999), so that it holds its confidence closely
//! where whole ranks hold more. The effective sample takes the place of `n`, as Korn and Graubard (Survey Methodology
//! 24, 1998) do for proportions. It exists for the same sample sizes as the interval of whole ranks.

use rand::SeedableRng as _;
use rand_distr::{Beta, Distribution as _};
use rand_pcg::Pcg64;
use statrs::function::beta::beta_reg;

use crate::{Confidence, Interval, Quantile, Sample};

/// Halvings of an interval of length 1 down to the last bit.
const HALVINGS: u32 = 53;

/// An interval for the true `q`-quantile from a sample that says as much as `effective` independent observations. `None`
/// when that many do not enclose the quantile.
///
/// ```
/// use stats::{Confidence, Quantile, Sample, effective_quantile_interval};
/// let sample = Sample::new((1..=1000).map(f64::from).collect())?;
/// let p95 = |effective| effective_quantile_interval(&sample, Quantile::P95, effective, Confidence::P95);
/// assert_eq!(p95(71.0), None);
/// let few = p95(100.0).expect("more than 71");
/// let many = p95(1000.0).expect("more than 71");
/// assert!(few.low < many.low && many.low < 950.0 && 951.0 < many.high && many.high < few.high);
/// # Ok::<(), stats::SampleError>(())
/// ```
pub fn effective_quantile_interval(
    sample: &Sample,
    q: Quantile,
    effective: f64,
    confidence: Confidence,
) -> Option<Interval> {
    let tail = confidence.tail();
    let low = share_that_lies_below(q, effective, 1.0 - tail)?;
    let high = share_that_lies_below(q, effective, tail)?;
    let supported = |share: f64| {
        let rank = share * (effective + 1.0);
        (1.0..=effective).contains(&rank)
    };
    (supported(low) && supported(high)).then(|| Interval { low: at_share(sample, low), high: at_share(sample, high) })
}

/// Draws of the true `q`-quantile given a sample that says as much as `effective` independent observations: a function of
/// the seed. `failed` observations count as infinite and larger than all. A draw that lies beyond what such a sample
/// reaches is `None`: all that is known of it is that it is not below the largest observation. Without any observation
/// there are no draws.
pub fn draw_quantiles(
    sample: Option<&Sample>,
    failed: u64,
    q: Quantile,
    effective: f64,
    count: usize,
    seed: u64,
) -> Vec<Option<f64>> {
    let shape = (q.get() * (effective + 1.0), (1.0 - q.get()) * (effective + 1.0));
    let Ok(beta) = Beta::new(shape.0, shape.1) else {
        return Vec::new();
    };
    let mut random = Pcg64::seed_from_u64(seed);
    let finite = sample.map_or(0, Sample::n);
    if finite + failed == 0 {
        return Vec::new();
    }
    let reached = effective / (effective + 1.0);
    let one = |_| {
        let below: f64 = beta.sample(&mut random);
        let rank = below * (finite + failed + 1) as f64;
        let supported = below <= reached || failed > 0;
        supported.then(|| match sample {
            Some(sample) if rank <= finite as f64 => at_rank(sample, rank),
            _ => f64::INFINITY,
        })
    };
    (0..count).map(one).collect()
}

/// The share whose fractional order statistic lies below the quantile with the given probability.
fn share_that_lies_below(q: Quantile, effective: f64, probability: f64) -> Option<f64> {
    let q = q.get();
    if !(effective >= 1.0 && effective.is_finite() && 0.0 < q && q < 1.0) {
        return None;
    }
    let n = effective + 1.0;
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..HALVINGS {
        let share = low.midpoint(high);
        if share <= 0.0 || share >= 1.0 {
            break;
        }
        if beta_reg(n * share, n * (1.0 - share), q) > probability {
            low = share;
        } else {
            high = share;
        }
    }
    Some(low.midpoint(high))
}

fn at_share(sample: &Sample, share: f64) -> f64 {
    at_rank(sample, share * (sample.n() + 1) as f64)
}

/// Linear between the order statistics around a rank that counts from 1.
fn at_rank(sample: &Sample, rank: f64) -> f64 {
    let sorted = sample.sorted();
    let position = (rank - 1.0).clamp(0.0, (sorted.len() - 1) as f64);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 ≤ position ≤ len − 1, a memory size"
    )]
    let below = position.floor() as usize;
    let low = sorted[below];
    sorted.get(below + 1).map_or(low, |&high| (low + (position - position.floor()) * (high - low)).clamp(low, high))
}
