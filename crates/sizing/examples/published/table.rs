//! The errors of the model on published sweeps, as Markdown.
//!
//! Every system is predicted with priors that the other half of the systems taught, so none has seen itself.

use sizing::performance::{Interval, Load, Observation, Performance, Priors};
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::sweeps::{Sweep, read, taught_by};

/// Predicted over measured, less 1, and whether the interval held what was measured.
#[derive(Default)]
struct Misses {
    errors: Vec<f64>,
    held: usize,
    refused: usize,
}

impl Misses {
    fn add(&mut self, predicted: Interval, measured: Option<f64>) {
        let Some(measured) = measured else { return };
        self.errors.push((predicted.likely / measured - 1.0).abs());
        self.held += usize::from((predicted.low..=predicted.high).contains(&measured));
    }

    /// `median | p90 | held`, in percent.
    fn cells(&self) -> String {
        if self.errors.is_empty() {
            return "– | – | –".to_owned();
        }
        let held = 100.0 * self.held as f64 / self.errors.len() as f64;
        format!("{:.1} | {:.1} | {held:.0}", quantile(&self.errors, 0.5), quantile(&self.errors, 0.9))
    }
}

/// The quantile of errors, in percent, interpolated between neighbours.
fn quantile(errors: &[f64], q: f64) -> f64 {
    let mut sorted = errors.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = q * (sorted.len() - 1) as f64;
    let below = (0..sorted.len()).rev().find(|&n| n as f64 <= at).unwrap_or(0);
    let above = (below + 1).min(sorted.len() - 1);
    100.0 * (sorted[below] + (sorted[above] - sorted[below]) * at.fract())
}

/// The whole section.
pub(crate) fn markdown() -> String {
    let sweeps = read();
    let priors = [taught_by(1), taught_by(0)];
    let mut out = String::new();
    alone(&mut out, &sweeps, &priors);
    calibrated(&mut out, &sweeps, &priors);
    carried(&mut out, &sweeps, &priors);
    out
}

#[derive(Default)]
struct Alone {
    tpot: Misses,
    ttft: Misses,
    rate: Misses,
    roofline: Vec<f64>,
}

fn alone(out: &mut String, sweeps: &[Sweep], priors: &[Priors; 2]) {
    let mut groups: BTreeMap<(u8, String), Alone> = BTreeMap::new();
    for sweep in sweeps {
        let model = Performance::of_with(&sweep.system(), &priors[sweep.half()])
            .expect("facts of published systems are in the catalogue");
        for level in &sweep.levels {
            let predicted = model.predict(level.load).expect("a load");
            let floor = level.tpot_s.map(|tpot| (model.roofline_s(level.load) / tpot - 1.0).abs());
            for group in groups_of(sweep, level.load) {
                let group = groups.entry(group).or_default();
                group.tpot.add(predicted.tpot_s, level.tpot_s);
                group.ttft.add(predicted.ttft_s, level.ttft_s);
                group.rate.add(predicted.output_tokens_per_second, level.output_tokens_per_second);
                group.roofline.extend(floor);
            }
        }
    }
    out.push_str(
        "From the catalogue alone, in percent (median and p90 of the error, share of measured values inside the 90 % interval):\n\n\
         | levels | n | TPOT | p90 | held | TTFT | p90 | held | n | output tok/s | p90 | held | pure roofline TPOT | p90 |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for ((_, name), group) in &groups {
        let floor = if group.roofline.is_empty() {
            "– | –".to_owned()
        } else {
            let (median, p90) = (quantile(&group.roofline, 0.5), quantile(&group.roofline, 0.9));
            format!("{median:.0} | {p90:.0}")
        };
        writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {} | {floor} |",
            group.tpot.errors.len(),
            group.tpot.cells(),
            group.ttft.cells(),
            group.rate.errors.len(),
            group.rate.cells(),
        )
        .expect("a string takes everything");
    }
}

fn groups_of(sweep: &Sweep, load: Load) -> [(u8, String); 6] {
    let class = if sweep.is_mixture() { "mixtures of experts" } else { "dense models" };
    let load = match load.concurrency {
        c if c <= 8.0 => "1 to 8 at once",
        c if c <= 32.0 => "to 32",
        c if c <= 128.0 => "to 128",
        _ => "more than 128",
    };
    let order = ["1 to 8 at once", "to 32", "to 128", "more than 128"];
    let place = order.iter().position(|name| *name == load).unwrap_or(0);
    [
        (0, "all".to_owned()),
        (0, if sweep.is_short { "of these, short sweeps" } else { "of these, curated sweeps" }.to_owned()),
        (1, sweep.gpu.name.clone()),
        (2, sweep.engine.clone()),
        (3, class.to_owned()),
        (4 + u8::try_from(place).unwrap_or(0), load.to_owned()),
    ]
}

fn calibrated(out: &mut String, sweeps: &[Sweep], priors: &[Priors; 2]) {
    let mut tpot = [Misses::default(), Misses::default()];
    let mut ttft = [Misses::default(), Misses::default()];
    let mut line: [Vec<f64>; 2] = Default::default();
    let mut used = 0;
    for sweep in sweeps {
        let levels: Vec<&Observation> = sweep.levels.iter().filter(|level| level.tpot_s.is_some()).collect();
        if levels.len() < 4 {
            continue;
        }
        let (low, high) = (levels[1], levels[levels.len() - 2]);
        if low.load.concurrency >= high.load.concurrency {
            continue;
        }
        used += 1;
        let before = Performance::of_with(&sweep.system(), &priors[sweep.half()]);
        let model = before.and_then(|before| before.fitted(&[*low, *high])).expect("two levels are enough");
        for (at, level) in levels.iter().enumerate() {
            if at == 1 || at == levels.len() - 2 {
                continue;
            }
            let inside = (low.load.concurrency..=high.load.concurrency).contains(&level.load.concurrency);
            let place = usize::from(!inside);
            let Ok(predicted) = model.predict(level.load) else {
                tpot[place].refused += 1;
                continue;
            };
            tpot[place].add(predicted.tpot_s, level.tpot_s);
            ttft[place].add(predicted.ttft_s, level.ttft_s);
            line[place].extend(straight(low, high, level));
        }
    }
    writeln!(
        out,
        "\nCalibrated on the two inner levels of a sweep ({used} sweeps of four levels and more):\n\n\
         | levels | n | refused | TPOT | p90 | held | straight line | p90 | TTFT | p90 | held |\n\
         |---|---|---|---|---|---|---|---|---|---|---|"
    )
    .expect("a string takes everything");
    for (place, name) in ["between the two", "outside"].into_iter().enumerate() {
        writeln!(
            out,
            "| {name} | {} | {} | {} | {:.1} | {:.1} | {} |",
            tpot[place].errors.len(),
            tpot[place].refused,
            tpot[place].cells(),
            quantile(&line[place], 0.5),
            quantile(&line[place], 0.9),
            ttft[place].cells(),
        )
        .expect("a string takes everything");
    }
}

/// The error of the straight line through two levels: the least that a model must beat.
fn straight(low: &Observation, high: &Observation, level: &Observation) -> Option<f64> {
    let (from, to, measured) = (low.tpot_s?, high.tpot_s?, level.tpot_s?);
    let at = |of: &Observation| of.load.concurrency;
    let slope = (to - from) / (at(high) - at(low));
    Some(((from + slope * (at(level) - at(low))) / measured - 1.0).abs())
}

/// The things in which two systems may differ.
const CHANGES: [(&str, usize); 5] = [
    ("other lengths", 0),
    ("another number of cards", 1),
    ("another card", 2),
    ("another format", 3),
    ("another model", 4),
];

fn facts(sweep: &Sweep) -> [String; 5] {
    [
        format!("{}/{}", sweep.isl, sweep.osl),
        format!("{}/{}", sweep.cards, sweep.expert_parallel),
        sweep.gpu.name.clone(),
        sweep.weights.clone(),
        sweep.model.name.clone(),
    ]
}

fn carried(out: &mut String, sweeps: &[Sweep], priors: &[Priors; 2]) {
    out.push_str(
        "\nCalibrated on all levels of one system at one pair of lengths (three levels and more), said of another that differs in \
         one thing:\n\n\
         | to | pairs | n | refused | TPOT | p90 | held | TTFT | p90 | held |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    let kinds = kinds(sweeps);
    let models = kinds.iter().map(|own| {
        let before = Performance::of_with(&own[0].system(), &priors[own[0].half()]);
        before.and_then(|before| before.fitted(&levels(own)))
    });
    let models: Vec<_> = models.collect();
    for (name, change) in CHANGES {
        let (mut tpot, mut ttft, mut pairs) = (Misses::default(), Misses::default(), 0);
        for (own, model) in kinds.iter().zip(&models) {
            let Ok(model) = model else { continue };
            for other in kinds.iter().filter(|other| differ(own[0], other[0], change)) {
                let Ok(there) = model.transferred(&other[0].system()) else {
                    continue;
                };
                pairs += 1;
                for level in levels(other) {
                    match there.predict(level.load) {
                        Ok(predicted) => {
                            tpot.add(predicted.tpot_s, level.tpot_s);
                            ttft.add(predicted.ttft_s, level.ttft_s);
                        }
                        Err(_) => tpot.refused += 1,
                    }
                }
            }
        }
        writeln!(
            out,
            "| {name} | {pairs} | {} | {} | {} | {} |",
            tpot.errors.len(),
            tpot.refused,
            tpot.cells(),
            ttft.cells(),
        )
        .expect("a string takes everything");
    }
}

/// Sweeps of one source, system and pair of lengths, with three levels and more that have a TPOT.
fn kinds(sweeps: &[Sweep]) -> Vec<Vec<&Sweep>> {
    let mut kinds: BTreeMap<_, Vec<&Sweep>> = BTreeMap::new();
    for sweep in sweeps {
        let key = (&sweep.source, &sweep.engine, sweep.kv_bytes, facts(sweep));
        kinds.entry(key).or_default().push(sweep);
    }
    let enough = |kind: &Vec<&Sweep>| {
        let levels = kind.iter().flat_map(|sweep| &sweep.levels);
        levels.filter(|level| level.tpot_s.is_some()).count() >= 3
    };
    kinds.into_values().filter(enough).collect()
}

fn levels(kind: &[&Sweep]) -> Vec<Observation> {
    kind.iter().flat_map(|sweep| sweep.levels.clone()).collect()
}

/// Whether two kinds differ in this one thing only, and are in the same half.
fn differ(own: &Sweep, other: &Sweep, change: usize) -> bool {
    let alike = own.source == other.source
        && own.engine == other.engine
        && own.kv_bytes == other.kv_bytes
        && own.half() == other.half();
    let differences = facts(own).into_iter().zip(facts(other)).enumerate();
    alike && differences.into_iter().all(|(at, (a, b))| (a != b) == (at == change))
}
