//! One level of a closed loop, its records written to a file, and nothing else: what is counted when the client's
//! instructions for each event are counted (`.ci/client-cost`).
//!
//! `cargo run --release -p loadgen --example one_level -- URL MODEL STREAMS OSL REQUESTS FILE` prints the number of events.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring example, not part of the library")]

use std::{
    fs::File,
    io::BufWriter,
    num::{NonZeroU32, NonZeroU64},
    time::{Duration, Instant},
};

use loadgen::{Event, LengthControl, Level, LoadPlan, LoadSpec, RunEnd, StopHandle, Target, Threads, Timeouts, Work};
use records::JsonlWriter;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [url, model, streams, osl, requests, file] = &arguments[..] else {
        println!("usage: one_level URL MODEL STREAMS OSL REQUESTS FILE");
        return;
    };
    let minute = Duration::from_mins(1);
    let osl: NonZeroU32 = osl.parse().unwrap();
    let streams: NonZeroU32 = streams.parse().unwrap();
    let requests: NonZeroU64 = requests.parse().unwrap();
    let plan = LoadPlan::new(LoadSpec {
        target: Target::new(url, model, None, &[]).unwrap(),
        replicas: Vec::new(),
        levels: vec![Level::closed(streams, requests, 0)],
        work: Work::default(),
        osl,
        warmup_osl: NonZeroU32::MIN,
        length_control: LengthControl::IgnoreEosAndMinTokens,
        extra_body: serde_json::Map::new(),
        seed: 1,
        timeouts: Timeouts { connect: minute, first_byte: minute, between_tokens: minute, total: 5 * minute },
        drain: minute,
        threads: Threads::Auto,
    });
    let mut written = JsonlWriter::new(BufWriter::new(File::create(file).unwrap()));
    let mut events = 0;
    let stop = StopHandle::new();
    let end = loadgen::run(&plan.unwrap(), Instant::now(), &stop, &mut |event| {
        if let Event::Request(record) = event {
            events += record.chunks.count;
            written.append(&record)?;
        }
        Ok(())
    });
    assert_eq!(end.unwrap(), RunEnd::Completed);
    written.flush().unwrap();
    println!("{events}");
}
