//! The Universal Scalability Law: throughput `X(N) = λN / (1 + σ(N − 1) + κN(N − 1))` of a load `N`.
//!
//! Gunther, Guerrilla Capacity Planning, 2007, chapter 6. λ is the throughput of a load of 1, σ the share of the work that
//! is done one after the other, κ what every pair of requests costs each other. Fitted by least squares of the relative
//! residuals (Levenberg, 1944; Marquardt, 1963), with σ and κ not below 0: throughputs span decades and scatter in
//! proportion, and absolute residuals would leave the small levels without a voice. Intervals are Student's from the curvature at
//! the minimum, so they cover scatter around the curve and not that the curve may be the wrong one.
//!
//! The law rises, may fall, and never rises again. A system that does (another kernel from two requests on) has two
//! regimes: then the law holds from some load on, and below it the levels stand for themselves. A break is believed where
//! it lowers Akaike's criterion, corrected for small samples (Hurvich and Tsai, Biometrika 76, 1989), by 10: the other model
//! then has "essentially no support" (Burnham and Anderson, Model Selection and Multimodel Inference, 2002, section 2.6).

use crate::{Confidence, Interval, interval::student_quantile};

/// Parameters of the law.
const PARAMETERS: usize = 3;
/// Fewest levels in the regime that is fitted: two more than parameters, so that scatter can be told from the curve.
const FEWEST: usize = PARAMETERS + 2;
/// Drop of the information criterion that makes a break believable.
const NO_SUPPORT: f64 = 10.0;
/// Residuals below this share of the throughput are rounding: a curve that fits so well is not to be improved.
const ROUNDING: f64 = 1e-9;

/// A fitted law.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalabilityLaw {
    /// Throughput per unit of load where nothing is shared.
    pub lambda: f64,
    /// Contention.
    pub sigma: f64,
    /// Coherency: the cost of pairs.
    pub kappa: f64,
    /// Intervals of the three, in that order; `None` where the levels do not determine them.
    pub intervals: Option<[Interval; 3]>,
    /// Smallest load of the regime that was fitted.
    pub from: f64,
    /// Levels below it that do not follow the same law.
    pub levels_before: usize,
    /// Root of the mean squared relative residual.
    pub relative_error: f64,
}

impl ScalabilityLaw {
    /// Fits the law to `(load, throughput)`, loads rising from 1 or more, with a regime change where there is one. `None`
    /// for fewer than five levels, for loads that do not rise, or for throughputs that are not positive numbers.
    ///
    /// ```
    /// use stats::{Confidence, ScalabilityLaw};
    /// let law = |n: f64| 50.0 * n / (1.0 + 0.02 * (n - 1.0) + 0.0005 * n * (n - 1.0));
    /// let levels: Vec<(f64, f64)> = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0].map(|n| (n, law(n))).to_vec();
    /// let fitted = ScalabilityLaw::fit(&levels, Confidence::P95).expect("seven levels");
    /// assert!((fitted.sigma - 0.02).abs() < 1e-6 && (fitted.kappa - 0.0005).abs() < 1e-8);
    /// assert!((fitted.peak().expect("it falls in the end") - 44.27).abs() < 0.01);
    /// ```
    pub fn fit(levels: &[(f64, f64)], confidence: Confidence) -> Option<Self> {
        let sound = |&(load, throughput): &(f64, f64)| {
            load >= 1.0 && load.is_finite() && throughput > 0.0 && throughput.is_finite()
        };
        let rising = levels.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if levels.len() < FEWEST || !rising || !levels.iter().all(sound) {
            return None;
        }
        let whole = Fit::of(levels);
        let best = (1..=levels.len() - FEWEST)
            .map(|before| (before, Fit::of(&levels[before..])))
            .min_by(|a, b| criterion(levels, a.0, &a.1).total_cmp(&criterion(levels, b.0, &b.1)));
        let broken =
            best.filter(|(before, fit)| criterion(levels, 0, &whole) - criterion(levels, *before, fit) >= NO_SUPPORT);
        let (before, fit) = broken.unwrap_or((0, whole));
        Some(fit.law(&levels[before..], before, confidence))
    }

    /// Throughput of a load.
    pub fn throughput(&self, load: f64) -> f64 {
        throughput([self.lambda, self.sigma, self.kappa], load)
    }

    /// Load of the largest throughput, `√((1 − σ)/κ)`; `None` when it never falls.
    pub fn peak(&self) -> Option<f64> {
        let peak = ((1.0 - self.sigma) / self.kappa).sqrt();
        (self.kappa > 0.0 && peak.is_finite()).then(|| peak.max(1.0))
    }

    /// The knee: the load of the largest power, throughput over response time (Kleinrock, ICC 1979). More load from here
    /// on costs more in latency than it gives in throughput. `None` when there is no such load.
    pub fn knee(&self) -> Option<f64> {
        // X²/N is largest where 3κN² + (σ − κ)N − (1 − σ) = 0.
        let (a, b, c) = (3.0 * self.kappa, self.sigma - self.kappa, self.sigma - 1.0);
        let knee = if a > 0.0 { ((b * b - 4.0 * a * c).max(0.0).sqrt() - b) / (2.0 * a) } else { -c / b };
        (knee.is_finite() && knee > 0.0).then(|| knee.max(1.0))
    }

    /// What throughput tends to as the load grows without bound when pairs cost nothing, `λ/σ`; `None` otherwise.
    pub fn ceiling(&self) -> Option<f64> {
        let ceiling = self.lambda / self.sigma;
        (self.kappa <= 0.0 && ceiling.is_finite()).then_some(ceiling)
    }
}

fn throughput([lambda, sigma, kappa]: [f64; 3], n: f64) -> f64 {
    lambda * n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0))
}

/// Akaike's corrected criterion of levels of which the first `before` stand for themselves: a parameter each.
fn criterion(levels: &[(f64, f64)], before: usize, fit: &Fit) -> f64 {
    let n = levels.len() as f64;
    let k = (PARAMETERS + before) as f64;
    let smallest = n * ROUNDING * ROUNDING;
    n * (fit.squares.max(smallest) / n).ln() + 2.0 * k + 2.0 * k * (k + 1.0) / (n - k - 1.0)
}

/// The parameters of least squares and their sum.
#[derive(Clone, Copy, Debug)]
struct Fit {
    parameters: [f64; 3],
    squares: f64,
}

impl Fit {
    /// The best of descents from four corners of what servers do.
    fn of(levels: &[(f64, f64)]) -> Self {
        let starts = [(0.1, 0.0), (0.01, 1e-4), (0.5, 1e-3), (0.0, 1e-5)];
        let lambda = levels.iter().map(|(n, x)| x / n).fold(0.0, f64::max);
        let fits = starts.map(|(sigma, kappa)| marquardt(levels, [lambda, sigma, kappa]));
        fits.into_iter()
            .reduce(|best, next| if next.squares < best.squares { next } else { best })
            .expect("there are starts")
    }

    fn law(self, levels: &[(f64, f64)], before: usize, confidence: Confidence) -> ScalabilityLaw {
        let [lambda, sigma, kappa] = self.parameters;
        let n = levels.len() as f64;
        ScalabilityLaw {
            lambda,
            sigma,
            kappa,
            intervals: self.intervals(levels, confidence),
            from: levels[0].0,
            levels_before: before,
            relative_error: (self.squares / n).sqrt(),
        }
    }

    fn intervals(self, levels: &[(f64, f64)], confidence: Confidence) -> Option<[Interval; 3]> {
        let freedom = levels.len().checked_sub(PARAMETERS)? as f64;
        let (normal, _) = normal_equations(levels, self.parameters);
        let scale = self.squares / freedom;
        let t = student_quantile(1.0 - confidence.tail(), freedom);
        let mut intervals = [Interval { low: 0.0, high: 0.0 }; 3];
        for (i, interval) in intervals.iter_mut().enumerate() {
            let mut unit = [0.0; 3];
            unit[i] = 1.0;
            let half = t * (scale * solve(normal, unit)?[i]).max(0.0).sqrt();
            // None of the three is below 0.
            interval.low = (self.parameters[i] - half).max(0.0);
            interval.high = self.parameters[i] + half;
        }
        intervals.iter().all(|interval| interval.high.is_finite()).then_some(intervals)
    }
}

/// Levenberg and Marquardt's descent, σ and κ held at 0 or above.
fn marquardt(levels: &[(f64, f64)], start: [f64; 3]) -> Fit {
    const STEPS: usize = 500;
    let squares = |p: [f64; 3]| {
        let residuals = levels.iter().map(|&(n, x)| 1.0 - throughput(p, n) / x);
        residuals.map(|r| r * r).sum::<f64>()
    };
    let mut fit = Fit { parameters: start, squares: squares(start) };
    let mut damping = 1e-3;
    for _ in 0..STEPS {
        let (mut normal, gradient) = normal_equations(levels, fit.parameters);
        for (i, row) in normal.iter_mut().enumerate() {
            row[i] *= 1.0 + damping;
        }
        let Some(step) = solve(normal, gradient) else {
            break;
        };
        let [lambda, sigma, kappa] = fit.parameters;
        let next = [lambda + step[0], (sigma + step[1]).max(0.0), (kappa + step[2]).max(0.0)];
        let better = Fit { parameters: next, squares: squares(next) };
        if better.squares <= fit.squares && next[0] > 0.0 {
            let gain = fit.squares - better.squares;
            fit = better;
            damping = (damping / 10.0).max(1e-15);
            if gain <= 1e-16 * fit.squares {
                break;
            }
        } else if damping > 1e12 {
            break;
        } else {
            damping *= 10.0;
        }
    }
    fit
}

/// `JᵀJ` and `Jᵀr`.
fn normal_equations(levels: &[(f64, f64)], p: [f64; 3]) -> ([[f64; 3]; 3], [f64; 3]) {
    let mut normal = [[0.0; 3]; 3];
    let mut gradient = [0.0; 3];
    for &(n, x) in levels {
        let shared = 1.0 + p[1] * (n - 1.0) + p[2] * n * (n - 1.0);
        let per_shared = -p[0] * n / (shared * shared);
        let slopes = [n / shared / x, per_shared * (n - 1.0) / x, per_shared * n * (n - 1.0) / x];
        let residual = 1.0 - throughput(p, n) / x;
        for i in 0..3 {
            gradient[i] += slopes[i] * residual;
            for j in 0..3 {
                normal[i][j] += slopes[i] * slopes[j];
            }
        }
    }
    (normal, gradient)
}

/// Gauss's elimination of a symmetric positive system, scaled to a diagonal of ones; `None` when it is singular.
fn solve(normal: [[f64; 3]; 3], right: [f64; 3]) -> Option<[f64; 3]> {
    let scale = [0, 1, 2].map(|i: usize| normal[i][i].sqrt());
    let mut rows = [[0.0; 4]; 3];
    for i in 0..3 {
        for j in 0..3 {
            rows[i][j] = normal[i][j] / (scale[i] * scale[j]);
        }
        rows[i][3] = right[i] / scale[i];
    }
    for i in 0..3 {
        let pivot = (i..3).max_by(|&a, &b| rows[a][i].abs().total_cmp(&rows[b][i].abs()))?;
        rows.swap(i, pivot);
        for k in i + 1..3 {
            let factor = rows[k][i] / rows[i][i];
            let eliminated = rows[i];
            for (entry, above) in rows[k].iter_mut().zip(eliminated).skip(i) {
                *entry -= factor * above;
            }
        }
    }
    let mut solution = [0.0; 3];
    for i in (0..3).rev() {
        let known: f64 = (i + 1..3).map(|j| rows[i][j] * solution[j]).sum();
        solution[i] = (rows[i][3] - known) / rows[i][i];
    }
    let solution = [0, 1, 2].map(|i: usize| solution[i] / scale[i]);
    solution.iter().all(|x| x.is_finite()).then_some(solution)
}
