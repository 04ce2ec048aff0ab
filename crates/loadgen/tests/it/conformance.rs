//! The conformance corpus: `fixtures/sse/conformance`. Expectations come from the definitions, not from this client.

use std::{fs, path::PathBuf};

use loadgen::timeline::{Ending, Reading, Timeline};
use records::{Offset, TokenSource};
use serde_json::{Value, json};

struct Case {
    name: String,
    pieces: Vec<Vec<u8>>,
    expect: Value,
}

fn corpus() -> Vec<Case> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sse/conformance/cases.json");
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let byte = |hex: &[u8]| u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap();
    let pieces = |case: &Value| match case["body_hex"].as_str() {
        Some(hex) => vec![hex.as_bytes().chunks(2).map(byte).collect()],
        None => case["body"].as_array().unwrap().iter().map(|p| p.as_str().unwrap().as_bytes().to_vec()).collect(),
    };
    let case = |case: &Value| Case {
        name: case["name"].as_str().unwrap().to_owned(),
        pieces: pieces(case),
        expect: case["expect"].clone(),
    };
    cases.iter().map(case).collect()
}

/// The n-th piece, from 1, arrives at n.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Reading {
    let mut timeline = Timeline::new(Offset::ZERO);
    for (number, piece) in (1..).zip(pieces) {
        timeline.read(Offset(number), piece);
    }
    timeline.end(Ending::Whole)
}

/// The reading in the words of the corpus; what is absent there is absent here.
fn said(reading: &Reading) -> Value {
    let outcome = serde_json::to_value(&reading.outcome).unwrap();
    let source = reading.output_tokens.map(|tokens| match tokens.source {
        TokenSource::Usage => "usage",
        _ => "chunks",
    });
    let mut said = json!({
        "chunks": reading.chunks.count,
        "first_token_event": reading.chunks.since_sent_ns.first(),
        "first_output_event": reading.first_output_ns.map(|at| at.0),
        "output_tokens": reading.output_tokens.map(|tokens| tokens.count),
        "source": source,
        "outcome": outcome["kind"],
        "finish_reason": outcome.get("finish_reason"),
        "prompt_tokens": reading.prompt_tokens,
        "tokens_per_chunk": Some(&reading.chunks.tokens).filter(|tokens| !tokens.is_empty()),
    });
    let fields = said.as_object_mut().unwrap();
    fields.retain(|_, value| !value.is_null());
    said
}

#[test]
fn every_case_is_understood() {
    let corpus = corpus();
    assert!(corpus.len() > 40, "{}", corpus.len());
    for case in corpus {
        let pieces = case.pieces.iter().map(Vec::as_slice);
        assert_eq!(said(&read(pieces)), case.expect, "{}", case.name);
    }
}

#[test]
fn how_the_bytes_are_cut_changes_the_stamps_only() {
    let unstamped = |mut reading: Reading| {
        reading.chunks.since_sent_ns.fill(0);
        reading.first_output_ns = reading.first_output_ns.map(|_| Offset::ZERO);
        reading
    };
    for case in corpus() {
        let body = case.pieces.concat();
        let whole = unstamped(read(std::iter::once(&body[..])));
        for size in [1, 2, 3, 5, 7, 64, 1000] {
            assert_eq!(unstamped(read(body.chunks(size))), whole, "{} in pieces of {size}", case.name);
        }
    }
}

#[test]
fn a_line_of_a_mebibyte_is_one_token() {
    let text = "x".repeat(1 << 20);
    let long = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\ndata: [DONE]\n\n");
    for size in [1000, 8192, long.len()] {
        let reading = read(long.as_bytes().chunks(size));
        assert_eq!((reading.chunks.count, said(&reading)["outcome"].as_str()), (1, Some("completed")));
    }
}
