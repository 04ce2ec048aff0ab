//! One level of a closed loop, its records written to a file, and nothing else: what is counted when the client's
//! instructions for each event are counted (`.ci/client-cost`).
//!
//! `cargo run --release -p loadgen --example one_level -- URL MODEL STREAMS OSL REQUESTS FILE` prints the number of events.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring example, not part of the library")]

use std::{
    fs::File,
    io::BufWriter,
    num::{NonZeroU32, NonZeroU64},
    time::Instant,
};

use loadgen::{Event, LengthControl, Level, LoadPlan, LoadSpec, RunEnd, StopHandle, Target};
use records::JsonlWriter;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [url, model, streams, osl, requests, file] = &arguments[..] else {
        println!("usage: one_level URL MODEL STREAMS OSL REQUESTS FILE");
        return;
    };
    let osl: NonZeroU32 = osl.parse().unwrap();
    let streams: NonZeroU32 = streams.parse().unwrap();
    let requests: NonZeroU64 = requests.parse().unwrap();
    let target = Target::new(url, model, None, &[]).unwrap();
    let plan = LoadPlan::new(LoadSpec {
        warmup_osl: NonZeroU32::MIN,
        length_control: LengthControl::IgnoreEosAndMinTokens,
        seed: 1,
        ..LoadSpec::new(target, vec![Level::closed(streams, requests, 0)], osl)
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
