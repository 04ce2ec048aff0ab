//! Two samples side by side: how much they differ, how sure that is, and what would have been seen at all.
//!
//! Welch's test (Biometrika 34, 1947) on means with their own standard errors and degrees of freedom, so that batch
//! means can be compared as well as samples; Holm's correction for many tests (Scandinavian Journal of Statistics 6,
//! 1979). Where nothing was found, the smallest effect that the test would have found says what that is worth (Cohen,
//! Statistical Power Analysis, 1988).

use statrs::distribution::{ContinuousCDF as _, StudentsT};

use crate::{
    Confidence, Interval,
    interval::{normal_quantile, student_quantile},
};

/// A mean with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanWithError {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Degrees of freedom of the standard error; infinite when it is known.
    pub degrees_of_freedom: f64,
}

/// What Welch's test says of `second − first`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Second mean − first mean.
    pub value: f64,
    /// Interval of the difference.
    pub interval: Interval,
    /// Two-sided p-value of no difference.
    pub p_value: f64,
    /// The smallest difference that a test at this confidence would have found with the given power.
    pub detectable: f64,
}

/// Compares two means. `power` is the probability with which an effect of the size of `detectable` is found, 0.8 by
/// custom. `None` when a number is not finite or both standard errors are 0.
///
/// ```
/// use stats::{Confidence, MeanWithError, difference};
/// let mean = |mean, standard_error| MeanWithError { mean, standard_error, degrees_of_freedom: 9.0 };
/// let slower = difference(mean(100.0, 1.0), mean(110.0, 2.0), Confidence::P95, 0.8).expect("finite");
/// assert!((slower.value - 10.0).abs() < 1e-12 && slower.p_value < 0.001 && slower.interval.low > 0.0);
/// ```
pub fn difference(
    first: MeanWithError,
    second: MeanWithError,
    confidence: Confidence,
    power: f64,
) -> Option<Difference> {
    let error = first.standard_error.hypot(second.standard_error);
    let value = second.mean - first.mean;
    let freedom = welch_satterthwaite(first, second);
    if !(error > 0.0 && error.is_finite() && value.is_finite() && freedom > 0.0) {
        return None;
    }
    let quantile = |p: f64| {
        if freedom.is_finite() { student_quantile(p, freedom) } else { normal_quantile(p) }
    };
    let critical = quantile(1.0 - confidence.tail());
    let statistic = (value / error).abs();
    let beyond = if freedom.is_finite() {
        StudentsT::new(0.0, 1.0, freedom).ok()?.sf(statistic)
    } else {
        1.0 - crate::interval::normal_probability(statistic)
    };
    Some(Difference {
        value,
        interval: Interval { low: value - critical * error, high: value + critical * error },
        p_value: (2.0 * beyond).min(1.0),
        detectable: (critical + quantile(power)) * error,
    })
}

/// Welch and Satterthwaite's degrees of freedom.
fn welch_satterthwaite(first: MeanWithError, second: MeanWithError) -> f64 {
    let squares = [first, second].map(|side| side.standard_error.powi(2));
    let parts = [squares[0].powi(2) / first.degrees_of_freedom, squares[1].powi(2) / second.degrees_of_freedom];
    (squares[0] + squares[1]).powi(2) / (parts[0] + parts[1])
}

/// Holm's adjusted p-values, in the order of the input: the probability of at least one false alarm among all tests
/// stays below the level that they are held against.
///
/// ```
/// assert_eq!(stats::holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
/// ```
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        let tests_left = (p_values.len() - rank) as f64;
        largest = largest.max((tests_left * p_values[index]).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}
