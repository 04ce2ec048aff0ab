//! Where a calibration may speak: between and near the levels that it has seen, and not beyond a break.
//!
//! Some engines serve one request by other kernels than several (bitsandbytes 4-bit: four times the time for two rows than
//! for one), and past the KV memory requests wait. A level that the law of all others misses by half is of another regime.

use super::calibrate::{self, Posterior};
use super::demand::Demand;
use super::prior::{Errors, Prior};
use super::step;
use super::{Load, Observation, Refusal};

/// A level that the others predict wrongly by more than this, in logarithms, and four times the noise, is of another regime:
/// half as much again.
const BREAK: f64 = 0.405;
/// Requests under way over those that fit, beyond which waiting shows.
const FULL: f64 = 1.1;

/// The levels that a calibration has seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    low: f64,
    high: f64,
    isl: (f64, f64),
    osl: (f64, f64),
    pressure: f64,
    misses: [f64; 3],
    below: Option<f64>,
    above: Option<f64>,
}

/// Whether an observation says anything of time per token.
pub(super) fn speaks(observation: &Observation) -> bool {
    let [_, tpot, throughput] = calibrate::measured(observation);
    tpot.or(throughput).is_some()
}

/// The posterior of the levels of one regime, the largest: those at the ends that the others cannot explain are left out.
pub(super) fn fit(demand: &Demand, prior: &Prior, mut levels: Vec<Observation>) -> (Posterior, Seen) {
    levels.sort_by(|a, b| a.load.concurrency.total_cmp(&b.load.concurrency));
    let (mut below, mut above) = (None, None);
    while levels.len() > 2 {
        let last = levels.len() - 1;
        let [low, high] = [0, last].map(|end| Without::of(demand, prior, &levels, end));
        // Of three levels one cannot tell which is odd, so the break must be clear.
        let clear = if levels.len() == 3 { 2.0 } else { 1.0 } * (BREAK + 4.0 * prior.noise[1]);
        // The odd one is the one without which the rest agree.
        let (odd_below, odd) = if low.misfit < high.misfit { (true, low) } else { (false, high) };
        if odd.gap < clear {
            break;
        }
        if odd_below {
            below = Some(levels.remove(0).load.concurrency);
        } else {
            above = levels.pop().map(|level| level.load.concurrency);
        }
    }
    let posterior = calibrate::posterior(demand, prior, &levels);
    let seen = Seen::of(demand, &posterior, &levels, below, above);
    (posterior, seen)
}

/// What the law of the other levels says of one.
struct Without {
    /// By how much, in logarithms, it misses the time per token of the level.
    gap: f64,
    /// How badly it fits the others themselves.
    misfit: f64,
}

impl Without {
    fn of(demand: &Demand, prior: &Prior, levels: &[Observation], end: usize) -> Self {
        let mut others = levels.to_vec();
        let odd = others.remove(end);
        let posterior = calibrate::posterior(demand, prior, &others);
        let logs = &posterior.logs;
        let [_, tpot, throughput] = calibrate::measured(&odd);
        let [_, law_tpot, law_throughput] = calibrate::log_times(demand, logs, odd.load);
        let gap = match (tpot, throughput) {
            (Some(tpot), _) => tpot - law_tpot,
            (None, Some(throughput)) => throughput - law_throughput,
            (None, None) => 0.0,
        };
        Self { gap: gap.abs(), misfit: calibrate::misfit(demand, prior, &others, logs) }
    }
}

/// By how much the law misses the levels that calibrated it, root mean square of the logarithms: what it does not explain
/// there it will not explain elsewhere.
fn misses(demand: &Demand, posterior: &Posterior, levels: &[Observation]) -> [f64; 3] {
    let mut sums = [(0.0, 0_u32); 3];
    for level in levels {
        let law = calibrate::log_times(demand, &posterior.logs, level.load);
        for (figure, measured) in calibrate::measured(level).into_iter().enumerate() {
            if let Some(measured) = measured {
                let (sum, count) = sums[figure];
                sums[figure] = (sum + (measured - law[figure]).powi(2), count + 1);
            }
        }
    }
    let [ttft, tpot, throughput] = sums.map(|(sum, count): (f64, u32)| (sum / f64::from(count.max(1))).sqrt());
    // Where it was not told apart, throughput is mostly time per token.
    [ttft, tpot, throughput.max(tpot)]
}

impl Seen {
    fn of(
        demand: &Demand,
        posterior: &Posterior,
        levels: &[Observation],
        below: Option<f64>,
        above: Option<f64>,
    ) -> Self {
        let range = |of: fn(&Load) -> f64| {
            let values = || levels.iter().map(|level| of(&level.load));
            (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max))
        };
        let (low, high) = range(|load| load.concurrency);
        let pressure = levels.iter().map(|level| step::times(demand, &posterior.logs, level.load).pressure);
        Self {
            low,
            high,
            isl: range(|load| load.isl),
            osl: range(|load| load.osl),
            pressure: pressure.fold(0.0, f64::max),
            misses: misses(demand, posterior, levels),
            below,
            above,
        }
    }

    /// Refuses a load on the other side of a break, and one that would wait for KV memory when none of the levels did and its
    /// amount is not known.
    pub(super) fn speaks_of(&self, load: Load, pressure: f64, memory_known: bool) -> Result<(), Refusal> {
        let refuse = |reason: String| Err(Refusal::OtherRegime { reason });
        if let Some(odd) = self.below
            && load.concurrency < self.low
        {
            return refuse(format!(
                "{odd} at once is another regime than {} and more: no smooth law explains both\nhint: measure this level",
                self.low
            ));
        }
        if let Some(odd) = self.above
            && load.concurrency > self.high
        {
            return refuse(format!(
                "{odd} at once is another regime than {} and fewer: no smooth law explains both\nhint: measure this level",
                self.high
            ));
        }
        if !memory_known && pressure > FULL && self.pressure < 1.0 && load.concurrency > self.high {
            return refuse(format!(
                "{} at once would wait for KV-cache memory, whose amount is only estimated\nhint: give the memory, or measure such a level",
                load.concurrency
            ));
        }
        Ok(())
    }

    /// Standard deviations of the law itself, which grow with the distance from what was seen.
    pub(super) fn errors(&self, load: Load, errors: &Errors) -> [f64; 3] {
        let beyond = |value: f64, (low, high): (f64, f64)| (value / high).ln().max((low / value).ln()).max(0.0);
        let far = beyond(load.concurrency, (self.low, self.high));
        let other = beyond(load.isl, self.isl) + beyond(load.osl, self.osl);
        let mut sum = errors.within;
        for (figure, sum) in sum.iter_mut().enumerate() {
            *sum =
                sum.hypot(self.misses[figure]).hypot(errors.beyond[figure] * far).hypot(errors.length[figure] * other);
        }
        sum
    }
}
