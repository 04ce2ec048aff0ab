//! Streams of real engines, captured on 2026-11-24 from vLLM 0.11.2 (CPU) and llama.cpp b10434: `fixtures/sse`.
//!
//! Bodies are stored without HTTP's chunk framing, except for `*_rawchunks.txt`, which are the bytes on the wire.

use std::{fs, path::PathBuf};

use loadgen::{
    Endpoint,
    openai::Event,
    timeline::{Ending, Reading, Timeline},
};
use records::{Offset, Outcome, ServerTimings, TokenCount, TokenSource};

use crate::server::{level, requests, run, serve, spec};

fn capture(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sse");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The capture read event by event; the n-th event (from 1) arrives at n seconds.
fn read(name: &str) -> Reading {
    let text = capture(name);
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let mut timeline = Timeline::new(Offset::ZERO);
    for (second, event) in (1..).zip(body.split_inclusive("\n\n")) {
        timeline.read(Offset(second * 1_000_000_000), event.as_bytes());
    }
    timeline.end(Ending::Whole)
}

fn seconds(reading: &Reading) -> Vec<u64> {
    reading.chunks.since_sent_ns.iter().map(|ns| ns / 1_000_000_000).collect()
}

fn usage(count: u64) -> TokenCount {
    TokenCount { count, source: TokenSource::Usage }
}

fn completed(finish_reason: &str) -> Outcome {
    Outcome::Completed { finish_reason: Some(finish_reason.to_owned()) }
}

#[test]
fn chunks_are_as_many_as_the_server_counted_and_the_role_is_not_one() {
    for engine in ["vllm_0.11.2_smollm2", "vllm_0.11.2_tiny_dummy", "llama.cpp_b10434_smollm2"] {
        // The role comes first in a chat, so the first token is the second event; completions have no role.
        for (capture, tokens, first) in [
            ("chat_stream_usage", 12, 2),
            ("chat_stream_usage_continuous", 6, 2),
            ("chat_stream_logprobs", 4, 2),
            ("completions_stream_usage", 8, 1),
            ("completions_stream_tokenids_prompt", 4, 1),
            ("completions_stream_max_tokens_1", 1, 1),
        ] {
            let reading = read(&format!("{engine}/{capture}.txt"));
            let name = format!("{engine} {capture}");
            let arrivals: Vec<u64> = (first..first + tokens).collect();
            assert_eq!(seconds(&reading), arrivals, "{name}");
            assert_eq!(reading.output_tokens, Some(usage(tokens)), "{name}");
            assert_eq!(reading.outcome, completed("length"), "{name}");
            assert_eq!(reading.first_output_ns, None, "{name}: nothing is marked as reasoning");
        }
    }
}

#[test]
fn the_responses_api_is_read_as_vllm_sends_it() {
    let text = capture("vllm_0.11.2_smollm2/responses_stream.txt");
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let read = |keep_text| {
        let mut timeline = Timeline::new(Offset::ZERO).of(Endpoint::Responses, keep_text);
        for (second, event) in (1..).zip(body.split_inclusive("\n\n")) {
            timeline.read(Offset(second * 1_000_000_000), event.as_bytes());
        }
        timeline.end(Ending::Whole)
    };
    let reading = read(false);
    // Four events open the response; the last tells the counts.
    let arrivals: Vec<u64> = (5..5 + 12).collect();
    assert_eq!(seconds(&reading), arrivals);
    assert_eq!(reading.output_tokens, Some(usage(12)));
    assert_eq!(reading.prompt_tokens, Some(39));
    assert_eq!(reading.cached_prompt_tokens, Some(0));
    assert_eq!(reading.outcome, completed("completed"));
    assert_eq!(reading.text, None);
    assert_eq!(read(true).text.as_deref(), Some("1. 1\n2. 2\n3."));
}

#[test]
fn an_embedding_is_read_as_vllm_sends_it() {
    let text = capture("vllm_0.11.2_smollm2/embeddings_whole.txt");
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let Ok(Event::Chunk(answer)) = Endpoint::Embeddings.read_whole(body.as_bytes()) else {
        panic!("no answer");
    };
    assert!(answer.bearing.token && answer.bearing.output);
    let usage = answer.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(6), None));
    assert_eq!(answer.finish_reason, None);
}

#[test]
fn what_the_assistant_said_is_what_the_server_sent_as_a_whole() {
    for engine in ["vllm_0.11.2_smollm2", "llama.cpp_b10434_smollm2"] {
        let text = capture(&format!("{engine}/chat_stream_usage.txt"));
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let mut timeline = Timeline::new(Offset::ZERO).of(Endpoint::Chat, true);
        timeline.read(Offset(1), body.as_bytes());
        let said = timeline.end(Ending::Whole).text.unwrap();
        // By another reading of the same bytes.
        let events = body.lines().filter_map(|line| line.strip_prefix("data: "));
        let pieces = events.filter_map(|data| {
            let event: serde_json::Value = serde_json::from_str(data).ok()?;
            let content = event.pointer("/choices/0/delta/content")?;
            Some(content.as_str()?.to_owned())
        });
        assert!(said.len() > 12, "{said}");
        assert_eq!(said, pieces.collect::<String>(), "{engine}");
    }
}

#[test]
fn without_usage_the_record_says_who_counted() {
    for (engine, count) in [("vllm_0.11.2_smollm2", 6), ("vllm_0.11.2_tiny_dummy", 5), ("llama.cpp_b10434_smollm2", 6)]
    {
        let reading = read(&format!("{engine}/chat_stream_nousage.txt"));
        let source = TokenSource::Chunks;
        assert_eq!(reading.output_tokens, Some(TokenCount { count, source }), "{engine}");
        assert_eq!((reading.prompt_tokens, reading.outcome), (None, completed("length")));
    }
}

#[test]
fn where_chunks_and_tokens_differ_the_server_is_believed() {
    // vLLM sends a chunk for the end of sequence (`content: ""`), llama.cpp does not; a token that is half a character
    // waits for the other half.
    for (capture, chunks, tokens, finish) in [
        ("vllm_0.11.2_smollm2/chat_stream_eos_allowed.txt", 32, 32, "stop"),
        ("llama.cpp_b10434_smollm2/chat_stream_eos_allowed.txt", 25, 26, "stop"),
        ("vllm_0.11.2_tiny_dummy/chat_stream_eos_allowed.txt", 192, 200, "length"),
        ("vllm_0.11.2_smollm2/chat_stream_stop_string.txt", 1, 1, "stop"),
        ("vllm_0.11.2_tiny_dummy/chat_stream_stop_string.txt", 2, 2, "stop"),
        ("llama.cpp_b10434_smollm2/chat_stream_stop_string.txt", 1, 1, "stop"),
    ] {
        let reading = read(capture);
        assert_eq!(reading.chunks.count, chunks, "{capture}");
        assert_eq!(reading.output_tokens, Some(usage(tokens)), "{capture}");
        assert_eq!(reading.outcome, completed(finish), "{capture}");
    }
}

#[test]
fn running_totals_give_the_tokens_of_each_chunk() {
    let reading = read("vllm_0.11.2_tiny_dummy/chat_stream_usage_continuous.txt");
    assert_eq!(reading.chunks.tokens, [1; 6]);
    assert_eq!(reading.prompt_tokens, Some(21));
    let reading = read("vllm_0.11.2_tiny_dummy/chat_stream_usage.txt");
    assert!(reading.chunks.tokens.is_empty());
}

#[test]
fn llama_cpp_tells_its_own_times_and_its_cache() {
    let reading = read("llama.cpp_b10434_smollm2/chat_stream_eos_allowed.txt");
    let expected = ServerTimings { prompt_tokens: 1, prompt_ns: 12_485_000, output_tokens: 26, output_ns: 419_464_000 };
    assert_eq!(reading.server_timings, Some(expected));
    assert_eq!((reading.prompt_tokens, reading.cached_prompt_tokens), (Some(37), Some(36)));
}

#[test]
fn bytes_on_the_wire_are_understood() {
    for engine in ["vllm_0.11.2_smollm2", "vllm_0.11.2_tiny_dummy", "llama.cpp_b10434_smollm2"] {
        let wire = capture(&format!("{engine}/chat_stream_usage_rawchunks.txt"));
        let url = serve(move |mut request| request.send(&wire));
        let (events, end) = run(spec(&url, &[level(1, 1, 2)]));
        assert_eq!(end.unwrap(), loadgen::RunEnd::Completed);
        for record in requests(&events).iter().take(3) {
            assert_eq!(record.outcome, completed("length"), "{engine}");
            assert_eq!((record.chunks.count, record.output_tokens), (6, Some(usage(6))), "{engine}");
        }
    }
}
