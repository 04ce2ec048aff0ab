//! GPU exporters over HTTP: what becomes of their answers, one after the other.

use std::time::{Duration, Instant};

use gpumon::{Access, ExporterSource, Line, Occasion, Selection, Source, telemetry_url};
use records::{Clock, GpuLine, GpuSample};

use crate::loopback::{Loopback, Pages, nobody};

/// Two GPUs in the form of dcgm-exporter 3.
fn page(energy: u64, xid: u32, odd: &str) -> String {
    let mut text = vec!["# HELP DCGM_FI_DEV_SM_CLOCK SM clock frequency (in MHz).\n".to_owned()];
    for gpu in 0..2 {
        let labels =
            format!("{{gpu=\"{gpu}\",UUID=\"GPU-{gpu}\",modelName=\"NVIDIA H100 80GB HBM3\",Hostname=\"node-1\"}}");
        for (name, value) in [
            ("DEV_TOTAL_ENERGY_CONSUMPTION", energy.to_string()),
            ("DEV_POWER_USAGE", "512.345000".to_owned()),
            ("DEV_GPU_UTIL", odd.to_owned()),
            ("DEV_MEMORY_TEMP", "9223372036854775794".to_owned()),
            ("DEV_XID_ERRORS", xid.to_string()),
        ] {
            text.push(format!("DCGM_FI_{name}{labels} {value}\n"));
        }
    }
    text.concat()
}

fn source(server: &Loopback, selection: Selection) -> ExporterSource {
    ExporterSource::new(server.url(), &Access::default(), selection)
}

fn sample(source: &mut ExporterSource) -> Vec<Line> {
    let mut lines = Vec::new();
    source.sample(Clock::new(Instant::now()), Occasion::Requested, &mut lines);
    lines
}

fn samples(lines: &[Line]) -> Vec<&GpuSample> {
    lines.iter().filter_map(gpu_sample).collect()
}

fn gpu_sample(line: &Line) -> Option<&GpuSample> {
    match line {
        Line::Gpu(GpuLine::Sample(sample)) => Some(sample),
        _ => None,
    }
}

#[test]
fn gpus_are_described_once_and_sampled_at_the_middle_of_the_scrape() {
    let server = Loopback::start(Pages::default().with("/metrics", 200, &page(1_000, 0, "97")));
    let mut source = source(&server, Selection::All);
    let lines = sample(&mut source);
    let [Line::Gpu(GpuLine::Device(device)), Line::Gpu(GpuLine::Sample(first)), ..] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(device.host.as_deref(), Some("node-1"));
    assert!(device.source.starts_with("dcgm http://127.0.0.1:"), "{device:?}");
    assert!(device.unsupported.contains(&"power_instant_mw".to_owned()));
    assert!(!device.unsupported.contains(&"energy_mj".to_owned()));
    assert_eq!(first.energy_mj, Some(1_000));
    assert_eq!(first.rtt_ns, Some(first.read_ns));
    assert_eq!(samples(&lines).len(), 2);

    server.set_page("/metrics", &page(2_000, 0, "97"));
    let again = sample(&mut source);
    assert!(again.iter().all(|line| matches!(line, Line::Gpu(GpuLine::Sample(_)))), "{again:?}");
}

#[test]
fn an_answer_equal_to_the_one_before_is_no_reading() {
    let server = Loopback::start(Pages::default().with("/metrics", 200, &page(1_000, 0, "97")));
    let mut source = source(&server, Selection::All);
    assert_eq!(samples(&sample(&mut source)).len(), 2);
    assert_eq!(sample(&mut source), []);
    assert_eq!(sample(&mut source), []);
    server.set_page("/metrics", &page(2_000, 0, "97"));
    assert_eq!(samples(&sample(&mut source)).len(), 2);
    let last = source.finish();
    assert!(
        matches!(&last[..], [Line::Note(note)] if note.contains("4 scrapes, of which 2 equal") && note.contains("8 blank values")),
        "{last:?}"
    );
}

#[test]
fn an_xid_is_news_when_it_changes_and_not_when_it_stands_there() {
    let server = Loopback::start(Pages::default().with("/metrics", 200, &page(1, 31, "97")));
    let mut source = source(&server, Selection::of(&["GPU-1".to_owned()]));
    let xids = |lines: &[Line]| -> Vec<u64> {
        let code = |line: &Line| match line {
            Line::Gpu(GpuLine::Xid { code, .. }) => Some(*code),
            _ => None,
        };
        lines.iter().filter_map(code).collect()
    };
    let first = sample(&mut source);
    assert_eq!(samples(&first).len(), 1, "one GPU was chosen");
    assert_eq!(xids(&first), [0; 0], "31 may be of last week");
    server.set_page("/metrics", &page(2, 79, "97"));
    assert_eq!(xids(&sample(&mut source)), [79]);
    server.set_page("/metrics", &page(3, 79, "97"));
    assert_eq!(xids(&sample(&mut source)), [0; 0]);
}

#[test]
fn implausible_values_are_dropped_noted_once_and_counted() {
    let server = Loopback::start(Pages::default().with("/metrics", 200, &page(1, 0, "4294967295")));
    let mut source = source(&server, Selection::All);
    let lines = sample(&mut source);
    let notes =
        lines.iter().filter(|line| matches!(line, Line::Note(note) if note.contains("gpu_util_percent = 4294967295")));
    assert_eq!(notes.count(), 2, "{lines:?}");
    assert!(samples(&lines).iter().all(|sample| sample.gpu_util_percent.is_none()));
    server.set_page("/metrics", &page(2, 0, "4294967295"));
    assert!(sample(&mut source).iter().all(|line| !matches!(line, Line::Note(_))));
    assert!(matches!(&source.finish()[..], [Line::Note(note)] if note.contains("4 that cannot be")));
}

#[test]
fn an_exporter_that_is_not_there_leaves_one_gap_and_one_note() {
    let mut source = ExporterSource::new(&nobody(), &Access::default(), Selection::All);
    let lines = sample(&mut source);
    assert!(
        matches!(&lines[..], [Line::Gpu(GpuLine::Gap { .. }), Line::Note(note)] if note.contains("gives no GPU metrics")),
        "{lines:?}"
    );
    assert_eq!(sample(&mut source), []);
}

#[test]
fn an_engines_metrics_are_no_gpus() {
    let server = Loopback::start(Pages::default().with("/metrics", 200, crate::loopback::LLAMA));
    let lines = sample(&mut source(&server, Selection::All));
    assert!(
        matches!(&lines[..], [Line::Gpu(GpuLine::Gap { reason, .. }), _] if reason.contains("no GPU metric")),
        "{lines:?}"
    );
}

#[test]
fn addresses_are_taken_as_people_write_them() {
    for text in ["node:9400", "http://node:9400", "http://node:9400/metrics", "node:9400/metrics/"] {
        assert_eq!(telemetry_url(text).map(|url| url.to_string()), Ok("http://node:9400".to_owned()), "{text}");
    }
    assert!(telemetry_url("http://me:pw@node:9400").is_err());
}

/// A trace that a user mailed: the same lines come out again at the same distances.
#[test]
fn a_recorded_trace_is_played_again() {
    let jsonl = concat!(
        r#"{"kind":"device","uuid":"GPU-1","name":"H100","source":"nvml"}"#,
        "\n",
        r#"{"kind":"sample","t_ns":7000000000,"read_ns":9,"uuid":"GPU-1","energy_mj":5}"#,
        "\n",
        r#"{"kind":"sample","t_ns":7000000001,"read_ns":9,"uuid":"GPU-1","energy_mj":6}"#,
        "\n",
        r#"{"kind":"sample","t_ns":3607000000000,"read_ns":9,"uuid":"GPU-1","energy_mj":7}"#,
        "\n",
    );
    let mut source = gpumon::ReplaySource::from_jsonl("trace", jsonl.as_bytes()).unwrap();
    let clock = Clock::new(Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
    let mut lines = Vec::new();
    source.sample(clock, Occasion::Scheduled, &mut lines);
    while lines.len() < 3 {
        source.sample(clock, Occasion::Scheduled, &mut lines);
    }
    let played = samples(&lines);
    assert_eq!(played[1].t_ns.0 - played[0].t_ns.0, 1);
    assert!(played[0].t_ns.0 >= 1_000_000_000, "stamped on this run's clock");
    assert_eq!(played[1].energy_mj, Some(6));
}

#[test]
fn a_script_yields_one_batch_a_call() {
    let note = |text: &str| Line::Note(text.to_owned());
    let mut source = gpumon::ScriptedSource::new([vec![note("a")], vec![], vec![note("b"), note("c")]]);
    let mut call = || {
        let mut lines = Vec::new();
        source.sample(Clock::new(Instant::now()), Occasion::Scheduled, &mut lines);
        lines.len()
    };
    assert_eq!([call(), call(), call(), call()], [1, 0, 2, 0]);
}
