//! A sample: numbers that were checked once, so that everything computed from them is a number again.
//!
//! Holds the moments; order statistics are in `quantile`, uncertainty in `interval`.

/// Largest magnitude that a [`Sample`] takes. Sums of squares of such values stay finite for any sample that fits into
/// memory, so that no mean or variance ever overflows.
pub const MAX_MAGNITUDE: f64 = 1e140;

/// At least one number, all finite, sorted ascending.
///
/// ```
/// let latencies = stats::Sample::new(vec![3.0, 1.0, 2.0])?;
/// assert_eq!(latencies.sorted(), [1.0, 2.0, 3.0]);
/// assert_eq!(latencies.mean(), 2.0);
/// assert_eq!(latencies.variance(), Some(1.0));
/// # Ok::<(), stats::SampleError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    sorted: Box<[f64]>,
    mean: f64,
}

/// Why numbers are no [`Sample`].
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// There is no number.
    #[error("no observation\nhint: nothing can be said of an empty sample; leave the figure out")]
    Empty,
    /// One of them is infinite, no number, or beyond [`MAX_MAGNITUDE`].
    #[error("observation {index} is {value}, which is no finite number up to {MAX_MAGNITUDE:e}")]
    NotFinite {
        /// Its index in the input.
        index: usize,
        /// Its value.
        value: f64,
    },
}

impl Sample {
    /// Sorts and checks the numbers.
    ///
    /// # Errors
    /// [`SampleError::Empty`], or [`SampleError::NotFinite`] for the first number that is infinite, NaN or too large.
    pub fn new(mut values: Vec<f64>) -> Result<Self, SampleError> {
        let bad = |x: &f64| !x.is_finite() || x.abs() > MAX_MAGNITUDE;
        if let Some(index) = values.iter().position(bad) {
            let value = values[index];
            return Err(SampleError::NotFinite { index, value });
        }
        values = sorted(values);
        let (Some(&min), Some(&max)) = (values.first(), values.last()) else {
            return Err(SampleError::Empty);
        };
        // Rounding must not push the mean of equal numbers past them.
        let mean = (compensated_sum(values.iter().copied()) / values.len() as f64).clamp(min, max);
        Ok(Self { sorted: values.into_boxed_slice(), mean })
    }

    /// The numbers, ascending.
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }

    /// How many there are; at least 1.
    pub fn n(&self) -> u64 {
        self.sorted.len() as u64
    }

    /// Arithmetic mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Unbiased variance, with `n − 1` in the denominator; `None` for a single number.
    pub fn variance(&self) -> Option<f64> {
        let degrees_of_freedom = (self.n() - 1) as f64;
        let squares = self.sorted.iter().map(|x| (x - self.mean).powi(2));
        (self.n() > 1).then(|| compensated_sum(squares) / degrees_of_freedom)
    }

    /// Smallest number.
    pub fn min(&self) -> f64 {
        self.sorted[0]
    }

    /// Largest number.
    pub fn max(&self) -> f64 {
        self.sorted[self.sorted.len() - 1]
    }
}

/// Arithmetic mean of values that need not be sorted for it; `None` without any, or when one is no finite number up to
/// [`MAX_MAGNITUDE`].
///
/// ```
/// assert_eq!(stats::mean(&[3.0, 1.0, 2.0]), Some(2.0));
/// assert_eq!(stats::mean(&[f64::NAN]), None);
/// ```
pub fn mean(values: &[f64]) -> Option<f64> {
    let usable = |x: &f64| x.is_finite() && x.abs() <= MAX_MAGNITUDE;
    let usable = !values.is_empty() && values.iter().all(usable);
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    usable.then(|| (compensated_sum(values.iter().copied()) / values.len() as f64).clamp(min, max))
}

/// Ascending. As whole numbers in the same order, floats sort about twice as fast; the vector is reused.
fn sorted(values: Vec<f64>) -> Vec<f64> {
    const SIGN: u64 = 1 << 63;
    let key = |x: f64| {
        let bits = x.to_bits();
        if bits & SIGN == 0 { bits | SIGN } else { !bits }
    };
    let value = |key: u64| f64::from_bits(if key & SIGN == 0 { !key } else { key ^ SIGN });
    let mut keys: Vec<u64> = values.into_iter().map(key).collect();
    keys.sort_unstable();
    keys.into_iter().map(value).collect()
}

/// Neumaier's improved Kahan–Babuška summation (1974): the rounding error does not grow with the number of terms.
pub(crate) fn compensated_sum(values: impl Iterator<Item = f64>) -> f64 {
    let mut sum = 0.0_f64;
    let mut lost = 0.0_f64;
    for x in values {
        let next = sum + x;
        lost += if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
        sum = next;
    }
    sum + lost
}
