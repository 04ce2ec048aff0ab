//! The shape of a day: requests a second, hour by hour.

use serde::{Deserialize, Serialize};

/// Hours of a day.
const HOURS: u32 = 24;
/// The hour of the peak in a day whose shape is only known by its height.
const PEAK_HOUR: f64 = 14.0;

/// Requests a second in every hour of a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(Vec<f64>);

impl Day {
    /// The same all day.
    pub fn flat(rate_per_s: f64) -> Self {
        Self(vec![rate_per_s; HOURS as usize])
    }

    /// A day of this mean whose busiest hour has `peak_to_mean` times as much (1 to 24), early in the afternoon, and whose
    /// quietest lies twelve hours from it: exp(k cos) over the circle, the smoothest curve with one peak of that height
    /// (von Mises).
    pub fn wave(mean_per_s: f64, peak_to_mean: f64) -> Self {
        let peak = peak_to_mean.clamp(1.0, 23.9);
        let shape = |k: f64| -> Vec<f64> {
            let height = |hour: u32| {
                let angle = (f64::from(hour) - PEAK_HOUR) * std::f64::consts::TAU / f64::from(HOURS);
                (k * (angle.cos() - 1.0)).exp()
            };
            let all: Vec<f64> = (0..HOURS).map(height).collect();
            let mean = all.iter().sum::<f64>() / f64::from(HOURS);
            all.iter().map(|height| height / mean).collect()
        };
        let highest = |k: f64| shape(k).into_iter().fold(0.0, f64::max);
        let (mut low, mut high) = (0.0, 400.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if highest(middle) < peak {
                low = middle;
            } else {
                high = middle;
            }
        }
        Self(shape(low).into_iter().map(|share| share * mean_per_s).collect())
    }

    /// The rates.
    pub fn rates(&self) -> &[f64] {
        &self.0
    }

    /// The busiest hour's rate.
    pub fn peak(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }

    /// The mean rate.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len().max(1) as f64
    }

    /// The day with `factor` times as many requests.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|rate| rate * factor).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_has_the_mean_and_the_peak_that_were_asked_for() {
        for peak in [1.0, 1.5, 2.0, 3.0, 8.0] {
            let day = Day::wave(5.0, peak);
            assert!((day.mean() - 5.0).abs() < 1e-9, "{peak}");
            assert!((day.peak() / day.mean() - peak).abs() < 1e-6, "{peak}");
            assert!(day.rates().iter().all(|rate| *rate >= 0.0));
        }
        let day = Day::wave(1.0, 2.0);
        assert!(day.rates()[14] > day.rates()[10] && day.rates()[10] > day.rates()[2]);
    }
}
