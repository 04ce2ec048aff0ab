//! How well half of a server's levels predict the others and another prompt length, on recordings of real engines.
//!
//! ```text
//! cargo run --release -p analysis --example calibration                 # the table in docs/sizing.md
//! cargo run --release -p analysis --example calibration -- RUN_DIR…     # rows for fixtures/calibration/, one file a run
//! ```
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "an example prints and reads files")]

mod halves;

use std::{error::Error, fs, path::Path};

use halves::{PAIRS, Recorded, table};
use records::{RunData, RunDir};

fn main() -> Result<(), Box<dyn Error>> {
    let runs: Vec<String> = std::env::args().skip(1).collect();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/calibration");
    if runs.is_empty() {
        let mut pairs = Vec::new();
        for [shorter, longer] in PAIRS {
            pairs.push([read(&fixtures, shorter)?, read(&fixtures, longer)?]);
        }
        print!("{}", table(&pairs));
        return Ok(());
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
    Ok(Recorded { run: summary.run, engine, performance: summary.performance.ok_or("no level ran to its end")? })
}

fn read(fixtures: &Path, name: &str) -> Result<Recorded, Box<dyn Error>> {
    let text = fs::read_to_string(fixtures.join(format!("{name}.json")))?;
    Ok(serde_json::from_str(&text)?)
}
