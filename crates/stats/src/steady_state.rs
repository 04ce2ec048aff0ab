//! Where the start of a series ends and its steady state begins.
//!
//! MSER-5 (White, Cobb and Spratt, Winter Simulation Conference 2000; White, Simulation 69, 1997): of all beginnings that
//! might be cut off, the one after which the rest gives the mean the smallest standard error. Averages of five smooth the
//! series first. A beginning longer than half of the series means that it was too short to settle.
//!
//! Chance alone lets the statistic choose a late cut now and then, so a late cut is believed only if the two halves of
//! the series differ by more than their batches do.

use std::num::NonZeroUsize;

use crate::{BatchMeans, Confidence, compensated_sum, interval::student_quantile};

/// Observations averaged into one, as in the method's name.
const GROUP: usize = 5;
/// Averages that are needed for the statistic to mean anything.
const FEWEST_GROUPS: usize = 10;
/// Averages that no cut leaves out: the statistic of fewer is at the mercy of two that happen to be alike.
const KEEP: usize = 5;

/// What MSER-5 finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SteadyState {
    /// Observations at the beginning that are better left out.
    pub cut: usize,
    /// Observations in all.
    pub n: usize,
    /// Whether what follows is steady by then.
    pub settled: bool,
}

/// The beginning that should be cut off a series in order of time. `batch` is the least number of observations that
/// depend on each other, such as a wave. `None` for fewer than 50 observations, or any that is not finite.
///
/// ```
/// use std::num::NonZeroUsize;
/// let one = NonZeroUsize::MIN;
/// // Fifty observations come down from 20, then 450 alternate around 10.
/// let series: Vec<f64> = (0..500_i32)
///     .map(|i| 10.0 + f64::from((50 - i).max(0)) / 5.0 + f64::from(i % 2))
///     .collect();
/// let found = stats::mser5(&series, one).expect("long enough");
/// assert!(found.settled && (35..=50).contains(&found.cut));
/// // A series that only rises never settles.
/// let rising: Vec<f64> = (0..500_i32).map(f64::from).collect();
/// assert!(!stats::mser5(&rising, one).expect("long enough").settled);
/// ```
pub fn mser5(series: &[f64], batch: NonZeroUsize) -> Option<SteadyState> {
    let groups: Vec<f64> = series.chunks_exact(GROUP).map(|group| group.iter().sum::<f64>() / GROUP as f64).collect();
    if groups.len() < FEWEST_GROUPS || series.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let cut = GROUP * best_cut(&groups);
    let n = series.len();
    let late = cut > n / 2;
    Some(SteadyState { cut, n, settled: !late || !halves_differ(series, batch) })
}

/// The number of groups whose omission minimises the squared standard error of the rest's mean.
fn best_cut(groups: &[f64]) -> usize {
    let (mut sum, mut squares) = (0.0, 0.0);
    // Around the overall mean, so that squares of large numbers do not cancel.
    let centre = compensated_sum(groups.iter().copied()) / groups.len() as f64;
    let mut best = (f64::INFINITY, 0);
    for (cut, group) in groups.iter().enumerate().rev() {
        let x = group - centre;
        sum += x;
        squares += x * x;
        let rest = groups.len() - cut;
        if rest < KEEP {
            continue;
        }
        let rest = rest as f64;
        let statistic = (squares - sum * sum / rest).max(0.0) / (rest * rest);
        // Of equal ones the longest rest.
        if statistic <= best.0 {
            best = (statistic, cut);
        }
    }
    best.1
}

/// Whether the means of the halves differ at the 1 % level, by Welch's test on their batches.
fn halves_differ(series: &[f64], batch: NonZeroUsize) -> bool {
    let (first, second) = series.split_at(series.len() / 2);
    let (Some(a), Some(b)) = (BatchMeans::new(first, batch), BatchMeans::new(second, batch)) else {
        return false;
    };
    let Some(confidence) = Confidence::new(0.99) else {
        return false;
    };
    let error = a.standard_error().hypot(b.standard_error());
    let freedom = a.degrees_of_freedom().min(b.degrees_of_freedom());
    (b.mean() - a.mean()).abs() > error * student_quantile(1.0 - confidence.tail(), freedom)
}
