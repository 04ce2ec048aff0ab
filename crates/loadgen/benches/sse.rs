//! Cost of a token after its bytes were read: server-sent events, then JSON, then the fold.
//!
//! Streams as vLLM 0.11.2 and llama.cpp b10434 send them (`fixtures/sse`), one read per event, which is the usual case,
//! and cut anywhere, which is the worst.

use std::{fs, hint::black_box, path::PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use loadgen::{
    openai::parse_event,
    sse::Decoder,
    timeline::{Ending, Timeline},
};
use records::Offset;

fn body(capture: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sse");
    let text = fs::read_to_string(folder.join(capture)).expect("the capture is in the repository");
    let (_, body) = text.split_once("\r\n\r\n").expect("a capture has a head");
    body.as_bytes().to_vec()
}

fn events(body: &[u8]) -> Vec<&[u8]> {
    let text = std::str::from_utf8(body).expect("captures are UTF-8");
    text.split_inclusive("\n\n").map(str::as_bytes).collect()
}

fn per_event(criterion: &mut Criterion) {
    for (engine, capture) in [
        ("vllm", "vllm_0.11.2_tiny_dummy/chat_stream_eos_allowed.txt"),
        ("llama.cpp", "llama.cpp_b10434_smollm2/chat_stream_eos_allowed.txt"),
    ] {
        let body = body(capture);
        let events = events(&body);
        let pieces: Vec<&[u8]> = body.chunks(100).collect();
        let mut group = criterion.benchmark_group(engine);
        group.throughput(Throughput::Elements(events.len() as u64));
        for (name, reads) in [("one read an event", &events), ("reads of 100 bytes", &pieces)] {
            group.bench_with_input(BenchmarkId::new("sse", name), reads, |b, reads| {
                b.iter(|| {
                    let mut decoder = Decoder::new();
                    for read in reads {
                        let pushed = decoder.push(read, |data| {
                            black_box(data);
                        });
                        pushed.expect("events are short");
                    }
                });
            });
            group.bench_with_input(BenchmarkId::new("sse, json and fold", name), reads, |b, reads| {
                b.iter(|| {
                    let mut timeline = Timeline::new(Offset::ZERO);
                    for (at, read) in (1..).zip(reads) {
                        timeline.read(Offset(at), read);
                    }
                    black_box(timeline.end(Ending::Whole))
                });
            });
        }
        let token = events[1].trim_ascii().strip_prefix(b"data: ").expect("a data line");
        group.throughput(Throughput::Elements(1));
        group.bench_function("json of one token", |b| {
            b.iter(|| black_box(parse_event(token)));
        });
        group.finish();
    }
}

criterion_group!(benches, per_event);
criterion_main!(benches);
