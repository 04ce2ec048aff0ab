//! Figures that can only rise with the load: monotone regression, and the load at which they pass a limit.
//!
//! The regression is the pool-adjacent-violators algorithm (Ayer and others, Annals of Mathematical Statistics 26, 1955;
//! Barlow and others, Statistical Inference under Order Restrictions, 1972): the non-decreasing figures that are nearest
//! to those measured, in weighted least squares. Between levels the crossing is found by a straight line; how far that is
//! from the truth is for the levels to be close enough.

/// The non-decreasing sequence nearest to `values` in least squares with the given positive weights. Missing weights
/// count as 1.
///
/// ```
/// assert_eq!(stats::non_decreasing(&[1.0, 3.0, 2.0, 4.0], &[1.0; 4]), [1.0, 2.5, 2.5, 4.0]);
/// ```
pub fn non_decreasing(values: &[f64], weights: &[f64]) -> Vec<f64> {
    let weights = weights.iter().copied().chain(std::iter::repeat(1.0));
    // Blocks of equal figures: (mean, weight, members).
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(values.len());
    for (&value, weight) in values.iter().zip(weights) {
        let mut block = (value, weight, 1);
        while let Some(&(mean, before, members)) = blocks.last()
            && mean > block.0
        {
            let together = before + block.1;
            block = ((mean * before + block.0 * block.1) / together, together, members + block.2);
            blocks.pop();
        }
        blocks.push(block);
    }
    let members = blocks.iter();
    members.flat_map(|&(mean, _, members)| std::iter::repeat_n(mean, members)).collect()
}

/// Where a rising figure passes a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Crossing {
    /// Already above it at the smallest load.
    Below,
    /// At this load.
    At(f64),
    /// Still not above it at the largest load.
    Beyond,
}

/// The load up to which a figure stays at or below `limit`, on straight lines between `(load, figure)`; the loads rise
/// and the figures do not fall. Without any point it is [`Crossing::Below`].
///
/// ```
/// use stats::{Crossing, crossing};
/// assert_eq!(crossing(&[(32.0, 400.0), (48.0, 600.0)], 500.0), Crossing::At(40.0));
/// assert_eq!(crossing(&[(32.0, 400.0), (48.0, 500.0)], 500.0), Crossing::Beyond);
/// ```
pub fn crossing(points: &[(f64, f64)], limit: f64) -> Crossing {
    let Some(first_above) = points.iter().position(|point| point.1 > limit) else {
        return if points.is_empty() { Crossing::Below } else { Crossing::Beyond };
    };
    let Some(below) = first_above.checked_sub(1) else {
        return Crossing::Below;
    };
    let ((x0, y0), (x1, y1)) = (points[below], points[first_above]);
    let share = (limit - y0) / (y1 - y0);
    // Of a figure without bound only the load below it is known to hold.
    Crossing::At(if share.is_finite() { x0 + share * (x1 - x0) } else { x0 })
}
