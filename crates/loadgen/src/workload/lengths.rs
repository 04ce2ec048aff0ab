//! How long prompts and answers are to be: a mean and a spread.

use rand_pcg::{Pcg64, rand_core::Rng};

/// Normally distributed lengths in tokens, rounded, never below `least`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lengths {
    /// Mean, before what is below `least` is raised to it.
    pub mean: u32,
    /// Standard deviation; 0 makes all lengths equal.
    pub stddev: f64,
}

impl Lengths {
    /// Lengths that are all the same.
    pub fn exactly(mean: u32) -> Self {
        Self { mean, stddev: 0.0 }
    }

    /// The length that belongs to `key`: the same one for the same key.
    pub fn of(self, key: u64, least: u32) -> u32 {
        if self.stddev <= 0.0 {
            return self.mean.max(least);
        }
        let mut draw = Pcg64::new(u128::from(key), STREAM);
        let mut uniform = || ((draw.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        // Box and Muller 1958.
        let normal = (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        let length = (f64::from(self.mean) + self.stddev * normal).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range of u32")]
        let length = length.clamp(0.0, f64::from(u32::MAX)) as u32;
        length.max(least)
    }
}

/// A stream of its own, so that lengths do not go with what else the key decides.
const STREAM: u128 = 0x6c65_6e67_7468_7300_6c65_6e67_7468_7301;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_spread_are_as_asked_and_the_floor_holds() {
        let lengths = Lengths { mean: 500, stddev: 100.0 };
        let drawn: Vec<f64> = (0..10_000).map(|key| f64::from(lengths.of(key, 1))).collect();
        let mean = drawn.iter().sum::<f64>() / 1e4;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e4;
        // Four standard errors: 100/√10000 and 100/√20000.
        assert!((mean - 500.0).abs() < 4.0, "{mean}");
        assert!((variance.sqrt() - 100.0).abs() < 2.9, "{variance}");
        let wide = Lengths { mean: 5, stddev: 100.0 };
        assert_eq!((0..1000).map(|key| wide.of(key, 3)).min(), Some(3));
        assert_eq!(Lengths::exactly(40).of(9, 1), 40);
    }
}
