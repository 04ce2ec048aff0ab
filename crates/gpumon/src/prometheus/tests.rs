//! The parser against real scrapes, hand-written cases, and whatever proptest thinks of.

use proptest::prelude::*;

use super::*;

const IDLE: &str = include_str!("../../../../fixtures/prometheus/vllm-0.11.2-idle.txt");
const LOAD: &str = include_str!("../../../../fixtures/prometheus/vllm-0.11.2-load-16.txt");
const LLAMA: &str = include_str!("../../../../fixtures/prometheus/llamacpp-b10434.txt");

const TINY: &str = include_str!("../../../../fixtures/prometheus/vllm-0.11.2-tiny-dummy.txt");
const DCGM: &str = include_str!("../../../../fixtures/prometheus/dcgm-exporter-rtx4070.txt");
const AWKWARD: &str = include_str!("../../../../fixtures/prometheus/awkward.txt");

fn only(text: &str) -> Sample<'_> {
    let scrape = parse(text);
    assert_eq!((scrape.samples.len(), scrape.bad_lines), (1, 0), "{text:?}");
    scrape.samples.into_iter().next().unwrap()
}

#[test]
fn real_scrapes_are_understood_whole() {
    // Counts: grep -vcE '^#|^$' of each file.
    for (text, lines) in [(IDLE, 434), (LOAD, 408), (LLAMA, 15), (TINY, 434), (DCGM, 5), (AWKWARD, 15)] {
        let scrape = parse(text);
        assert_eq!((scrape.samples.len(), scrape.bad_lines), (lines, 0));
    }
}

#[test]
fn real_lines_are_read_as_they_stand() {
    let load = parse(LOAD);
    let usage = load.named("vllm:kv_cache_usage_perc").next().unwrap();
    assert_eq!(usage.value.to_string(), "0.022008253094910613");
    assert_eq!(usage.label("engine"), Some("0"));
    assert_eq!(usage.label("model_name"), Some("smollm2-135m"));
    assert_eq!(usage.label("le"), None);

    let buckets: Vec<_> = load.named("vllm:time_to_first_token_seconds_bucket").collect();
    assert_eq!(buckets.len(), 23);
    assert_eq!((buckets[4].label("le"), buckets[4].value), (Some("0.04"), 2.0));
    assert_eq!((buckets[22].label("le"), buckets[22].value), (Some("+Inf"), 346.0));
    assert!(buckets.iter().flat_map(|b| &b.labels).all(|label| matches!(label.value, Cow::Borrowed(_))));

    let idle = parse(IDLE);
    let memory = idle.named("process_virtual_memory_bytes").next().unwrap();
    assert_eq!((memory.value, memory.labels.len()), (7_365_419_008.0, 0));
    assert_eq!(parse(LLAMA).named("llamacpp:prompt_seconds_total").next().unwrap().value.to_string(), "0.52766");
}

/// The example of the Prometheus documentation, "Exposition formats", section "Text format example".
#[test]
fn example_of_the_format_documentation() {
    let text = concat!(
        "# HELP http_requests_total The total number of HTTP requests.\n",
        "# TYPE http_requests_total counter\n",
        "http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n",
        "http_requests_total{method=\"post\",code=\"400\"}    3 1395066363000\n",
        "\n",
        "# Escaping in label values:\n",
        r#"msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9"#,
        "\n",
        "metric_without_timestamp_and_labels 12.47\n",
        "# A weird metric from before the epoch:\n",
        "something_weird{problem=\"division by zero\"} +Inf -3982045\n",
    );
    let scrape = parse(text);
    assert_eq!((scrape.samples.len(), scrape.bad_lines), (5, 0));
    assert_eq!(scrape.samples[1].value.to_string(), "3");
    assert_eq!(scrape.samples[1].timestamp_ms, Some(1_395_066_363_000));
    assert_eq!(scrape.samples[2].label("path"), Some(r"C:\DIR\FILE.TXT"));
    assert_eq!(scrape.samples[2].label("error"), Some("Cannot find file:\n\"FILE.TXT\""));
    assert_eq!(scrape.samples[4].value.to_string(), "inf");
    assert_eq!(scrape.samples[4].timestamp_ms, Some(-3_982_045));
}

#[test]
fn punctuation_within_label_values_is_only_text() {
    let sample = only(r#"m{a="x,y=\"z\"}",b="{1}, {2}",c="",} 5"#);
    assert_eq!(sample.label("a"), Some(r#"x,y="z"}"#));
    assert_eq!(sample.label("b"), Some("{1}, {2}"));
    assert_eq!(sample.label("c"), Some(""));
    assert_eq!(only(r#"m{a="C:\dir"} 1"#).label("a"), Some(r"C:\dir"));
    assert_eq!(only("\tm { a = \"1\" , b=\"2\" }\t7  8 ").timestamp_ms, Some(8));
}

#[test]
fn values_beyond_numbers() {
    assert!(only("m NaN").value.is_nan());
    assert_eq!(only("m -Inf").value.to_string(), "-inf");
    assert_eq!(only("m{} 1e-05").value.to_string(), "0.00001");
}

#[test]
fn bad_lines_are_counted_and_hide_no_other() {
    let bad = [
        "m",
        "m x",
        "1m 1",
        "m{a} 1",
        "m{a=1} 1",
        "m{a=\"1} 1",
        "m{a=\"1\\",
        "m{a:b=\"1\"} 1",
        "m{,} 1",
        "m{a=\"1\"b=\"2\"} 1",
        "m{a=\"1\"",
        "m 1 2 3",
        "m 1 2.5",
        "m-1",
        "<html>",
        "=",
    ];
    for line in bad {
        let text = format!("ok 1\n{line}\nok 2\n");
        let scrape = parse(&text);
        assert_eq!((scrape.samples.len(), scrape.bad_lines), (2, 1), "{line:?}");
    }
}

/// Writes a label value as the format documentation asks.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

proptest! {
    #[test]
    fn what_is_written_by_the_book_is_read_back(
        name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}",
        labels in prop::collection::vec(("[a-zA-Z_][a-zA-Z0-9_]{0,8}", "[^\r]{0,16}"), 0..4),
        value in any::<f64>(),
        timestamp_ms in any::<Option<i64>>(),
    ) {
        let pairs: Vec<_> = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escaped(v))).collect();
        let time = timestamp_ms.map_or_else(String::new, |t| format!(" {t}"));
        let text = format!("{name}{{{}}} {value}{time}\n", pairs.join(","));
        let sample = only(&text);
        prop_assert_eq!(sample.name, name);
        prop_assert_eq!(sample.timestamp_ms, timestamp_ms);
        prop_assert_eq!(sample.value.to_string(), value.to_string());
        let read: Vec<_> = sample.labels.iter().map(|l| (l.name.to_owned(), l.value.to_string())).collect();
        prop_assert_eq!(read, labels);
    }

    #[test]
    fn every_line_is_sample_comment_blank_or_counted(text in "([a-z:{}\"\\\\,= \t#0-9\n.]|é){0,120}") {
        let scrape = parse(&text);
        let lines = text.lines().map(|line| line.trim_matches([' ', '\t']));
        let content = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).count();
        prop_assert_eq!(scrape.samples.len() + scrape.bad_lines, content);
    }

    #[test]
    fn a_scrape_cut_anywhere_loses_only_what_was_cut(at in 0..LOAD.len()) {
        let cut = parse(&LOAD[..at]);
        let whole = parse(LOAD);
        prop_assert!(cut.bad_lines <= 1);
        let intact = cut.samples.len().saturating_sub(1);
        prop_assert_eq!(&cut.samples[..intact], &whole.samples[..intact]);
    }
}
