//! What a sampler reads from: the seam between the thread that keeps time and the things that are read.

use records::{GpuLine, ServerSample};

use records::Clock;

/// Something that can be read again and again while a run goes on.
///
/// A source never panics and never waits for longer than two seconds in [`Source::sample`]. When it cannot be read it
/// says so once, tries again after growing pauses, and goes on when it is back.
pub trait Source: Send {
    /// What is read, for messages: `nvml`, or a URL without credentials.
    fn name(&self) -> &str;

    /// What is to be said once, before the first sample.
    fn describe(&mut self) -> Vec<Line>;

    /// Reads once and appends what was read, stamped by `clock`.
    fn sample(&mut self, clock: Clock, occasion: Occasion, out: &mut Vec<Line>);

    /// What is to be said once, after the last sample: how much was left out, for instance.
    fn finish(&mut self) -> Vec<Line> {
        Vec::new()
    }
}

/// What a source yields.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A line of `gpu.jsonl`.
    Gpu(GpuLine),
    /// A line of `server.jsonl`.
    Server(ServerSample),
    /// A sentence for the manifest's notes.
    Note(String),
}

/// Why a source is read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The period has come round: a source that is out may wait for its next attempt.
    Scheduled,
    /// The caller needs a reading at this moment: a source that is out is tried all the same.
    Requested,
}
