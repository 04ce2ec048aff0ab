//! The self-test of every report, on sweeps that others published: each level predicted from the others of its sweep.
//!
//! ```text
//! cargo run --release -p analysis --example self_test
//! ```
//!
//! Sweeps of four levels and more from `fixtures/published/`. First as if nothing were known of the system, so that levels
//! alone speak; then with the catalogue, whose priors were learnt from these very sweeps among others.
#![expect(clippy::print_stdout, reason = "an example prints")]

#[path = "../../sizing/examples/published/sweeps.rs"]
#[expect(dead_code, reason = "the other user of this file asks more of a sweep")]
mod sweeps;

use analysis::{Calibrated, Refused, Served};
use sizing::performance::{Observation, System};

/// What came of predicting one figure.
#[derive(Default)]
struct Misses {
    errors: Vec<f64>,
    held: usize,
}

impl Misses {
    fn add(&mut self, told: sizing::performance::Interval, measured: Option<f64>) {
        let Some(measured) = measured else { return };
        self.errors.push((told.likely / measured - 1.0).abs());
        self.held += usize::from((told.low..=told.high).contains(&measured));
    }

    fn cells(&self) -> String {
        let mut errors = self.errors.clone();
        errors.sort_by(f64::total_cmp);
        let n = errors.len();
        let at = |share: usize| errors.get((n * share / 100).min(n.saturating_sub(1)));
        let percent = |error: Option<&f64>| error.map_or(0.0, |error| 100.0 * error);
        format!(
            "{n} | {:.1} % | {:.1} % | {:.0} %",
            percent(at(50)),
            percent(at(90)),
            100.0 * self.held as f64 / n.max(1) as f64
        )
    }
}

fn main() {
    let sweeps: Vec<_> = sweeps::read().into_iter().filter(|sweep| sweep.levels.len() >= 4).collect();
    println!("{} sweeps\n", sweeps.len());
    println!("| law | level | figure | n | median | p90 | in interval |\n|---|---|---|---:|---:|---:|---:|");
    for from_catalogue in [false, true] {
        let mut misses: [[Misses; 3]; 2] = Default::default();
        let mut refused = 0;
        for sweep in &sweeps {
            let unknown = Served::unknown("unknown");
            let system = if from_catalogue { sweep.system() } else { unknown.system() };
            refused += held_out(&system, &sweep.levels, &mut misses);
        }
        let law = if from_catalogue { "catalogue or levels" } else { "levels alone" };
        for (place, misses) in ["between", "at an end"].into_iter().zip(&misses) {
            for (figure, misses) in ["TTFT", "TPOT", "throughput"].into_iter().zip(misses) {
                println!("| {law} | {place} | {figure} | {} |", misses.cells());
            }
        }
        println!("| {law} | refused | | {refused} | | | |");
    }
}

/// Predicts every level from the others; how many were refused.
fn held_out(system: &System<'_>, levels: &[Observation], misses: &mut [[Misses; 3]; 2]) -> usize {
    let mut refused = 0;
    for (index, level) in levels.iter().enumerate() {
        let others = levels.iter().enumerate().filter(|(other, _)| *other != index);
        let others: Vec<Observation> = others.map(|(_, level)| *level).collect();
        let law = Calibrated::new(system, &others);
        let told: Result<_, Refused> = law.and_then(|law| law.predict(level.load));
        let Ok(told) = told else {
            refused += 1;
            continue;
        };
        let at_an_end = usize::from(index == 0 || index + 1 == levels.len());
        let [ttft, tpot, throughput] = &mut misses[at_an_end];
        ttft.add(told.ttft_s, level.ttft_s);
        tpot.add(told.tpot_s, level.tpot_s);
        throughput.add(told.output_tokens_per_second, level.output_tokens_per_second);
    }
    refused
}
