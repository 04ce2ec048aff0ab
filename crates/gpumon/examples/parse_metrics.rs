//! What our Prometheus parser makes of a scrape, as JSON: for `.ci/prometheus-parser`, which holds it against the official
//! Python client's.
//!
//! `cargo run -p gpumon --example parse_metrics FILE…` prints an object of file names, each with its samples as
//! `[name, {label: value}, value as text, timestamp in ms or null]` and the number of lines that were not understood.
#![expect(clippy::print_stdout, reason = "an example reports on the terminal")]
#![expect(clippy::unwrap_used, reason = "an example fails by panicking")]

use std::{collections::BTreeMap, env, fs};

use gpumon::prometheus::{Sample, parse};
use serde_json::{Map, Value, json};

fn main() {
    let mut files = Map::new();
    for path in env::args().skip(1) {
        let text = fs::read_to_string(&path).unwrap();
        let scrape = parse(&text);
        let samples: Vec<Value> = scrape.samples.iter().map(sample).collect();
        files.insert(path, json!({ "samples": samples, "bad_lines": scrape.bad_lines }));
    }
    println!("{}", Value::Object(files));
}

fn sample(sample: &Sample<'_>) -> Value {
    let labels: BTreeMap<&str, &str> = sample.labels.iter().map(|label| (label.name, label.value.as_ref())).collect();
    json!([sample.name, labels, sample.value.to_string(), sample.timestamp_ms])
}
