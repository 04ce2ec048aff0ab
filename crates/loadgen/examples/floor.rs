//! The least that a client can do: read the socket and find the ends of events. No HTTP, no JSON, no records, no
//! deadlines. What a real client costs beyond it is the price of knowing what happened.
//!
//! `cargo run --release -p loadgen --example floor -- HOST:PORT MODEL STREAMS OSL WAVES` against `cargo xtask sim
//! --profile fixed` prints processor time per event and TTFT, to be held against `cargo xtask overhead`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring example, not part of the library")]

use std::{fs, time::Instant};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// Seconds until the first token of every wave, and the number of events.
async fn stream(address: String, request: String, waves: usize) -> (Vec<f64>, u64) {
    let mut socket = TcpStream::connect(&address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let mut buffer = vec![0; 8192];
    let (mut firsts, mut events) = (Vec::new(), 0);
    for _ in 0..waves {
        let sent = Instant::now();
        socket.write_all(request.as_bytes()).await.unwrap();
        let (mut first, mut tail) = (None, [0; 5]);
        loop {
            let count = socket.read(&mut buffer).await.unwrap();
            let now = sent.elapsed().as_secs_f64();
            assert!(count > 0, "the server hung up");
            let read = &buffer[..count];
            let found = memchr::memmem::find_iter(read, b"\n\n").count() as u64;
            if found > 0 && first.is_none() {
                first = Some(now);
            }
            events += found;
            // The end of a chunked body, wherever the reads cut it.
            for byte in &read[count.saturating_sub(5)..] {
                tail.rotate_left(1);
                tail[4] = *byte;
            }
            if &tail == b"0\r\n\r\n" {
                break;
            }
        }
        firsts.extend(first);
    }
    (firsts, events)
}

fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [address, model, streams, osl, waves] = &arguments[..] else {
        println!("usage: floor HOST:PORT MODEL STREAMS OSL WAVES");
        return;
    };
    let body = format!(
        r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}],"stream":true,"stream_options":{{"include_usage":true}},"max_tokens":{osl},"ignore_eos":true}}"#
    );
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let waves: usize = waves.parse().unwrap();
    let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut firsts, events) = event_loop.block_on(async {
        let mut streams_running = JoinSet::new();
        for _ in 0..streams.parse().unwrap() {
            streams_running.spawn(stream(address.clone(), request.clone(), waves));
        }
        let all = streams_running.join_all().await;
        let events: u64 = all.iter().map(|(_, events)| events).sum();
        (all.into_iter().flat_map(|(firsts, _)| firsts).collect::<Vec<_>>(), events)
    });
    firsts.sort_by(f64::total_cmp);
    let at = |percent: usize| 1e3 * firsts[(firsts.len() - 1) * percent / 100];
    println!(
        "{events} events, {:.2} µs of processor time each; TTFT p50 {:.2} ms, p99 {:.2} ms",
        1e6 * cpu_seconds() / events as f64,
        at(50),
        at(99)
    );
}
