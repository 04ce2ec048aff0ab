//! Telemetry that was recorded before, as a [`Source`]; and telemetry that a test makes up.
//!
//! A user can mail `gpu.jsonl` and `server.jsonl`, and what was seen there is seen again here, in the same rhythm.

use std::time::Instant;

use std::{collections::VecDeque, io::BufRead};

use records::{Clock, GpuLine, Offset, ServerSample, read_lines};

use crate::{Line, Occasion, Source};

/// Plays recorded lines at the distances at which they were recorded, from the first call on.
#[derive(Debug)]
pub struct ReplaySource {
    name: String,
    lines: VecDeque<(Offset, Line)>,
    /// The run's time at the first call, which stands for the time of the first line.
    began: Option<Offset>,
    first: Offset,
}

impl ReplaySource {
    /// Plays `lines`, in the order of their times. Lines without a time (devices) come with the line before them, or at
    /// once.
    pub fn new(name: &str, lines: impl IntoIterator<Item = Line>) -> Self {
        let mut last = None;
        let mut timed: Vec<(Option<Offset>, Line)> = lines
            .into_iter()
            .map(|line| {
                last = time(&line).or(last);
                (last, line)
            })
            .collect();
        let first = timed.iter().filter_map(|(t, _)| *t).min().unwrap_or_default();
        timed.sort_by_key(|(t, _)| *t);
        Self {
            name: name.to_owned(),
            lines: timed.into_iter().map(|(t, line)| (t.unwrap_or(first), line)).collect(),
            began: None,
            first,
        }
    }

    /// Plays a `gpu.jsonl`, a `server.jsonl`, or both one after the other. Lines that are neither are counted in the name.
    ///
    /// # Errors
    /// What the reader reports.
    pub fn from_jsonl(name: &str, mut file: impl BufRead) -> std::io::Result<Self> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let gpu = read_lines::<GpuLine>(bytes.as_slice())?.records;
        let server = read_lines::<ServerSample>(bytes.as_slice())?.records;
        let lines = gpu.into_iter().map(Line::Gpu);
        Ok(Self::new(name, lines.chain(server.into_iter().map(Line::Server))))
    }
}

impl Source for ReplaySource {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&mut self) -> Vec<Line> {
        Vec::new()
    }

    fn sample(&mut self, clock: Clock, _: Occasion, out: &mut Vec<Line>) {
        let now = clock.at(Instant::now());
        let began = *self.began.get_or_insert(now);
        let elapsed = now - began;
        while let Some((recorded, _)) = self.lines.front() {
            let since_first = *recorded - self.first;
            if since_first > elapsed {
                break;
            }
            if let Some((_, mut line)) = self.lines.pop_front() {
                stamp(&mut line, began + since_first);
                out.push(line);
            }
        }
    }
}

/// Yields one batch of lines at each call, stamped with the time of the call; nothing when the script has ended.
#[derive(Debug)]
pub struct ScriptedSource {
    batches: VecDeque<Vec<Line>>,
}

impl ScriptedSource {
    /// A source that plays `batches`.
    pub fn new(batches: impl IntoIterator<Item = Vec<Line>>) -> Self {
        Self { batches: batches.into_iter().collect() }
    }
}

impl Source for ScriptedSource {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn describe(&mut self) -> Vec<Line> {
        Vec::new()
    }

    fn sample(&mut self, clock: Clock, _: Occasion, out: &mut Vec<Line>) {
        let now = clock.at(Instant::now());
        for mut line in self.batches.pop_front().unwrap_or_default() {
            stamp(&mut line, now);
            out.push(line);
        }
    }
}

/// When a line was taken, if it says so.
pub(crate) fn time(line: &Line) -> Option<Offset> {
    let mut line = line.clone();
    time_of(&mut line).map(|t| *t)
}

/// Moves a line to another time; one without a time stays as it is.
pub(crate) fn stamp(line: &mut Line, now: Offset) {
    if let Some(t) = time_of(line) {
        *t = now;
    }
}

fn time_of(line: &mut Line) -> Option<&mut Offset> {
    match line {
        Line::Server(sample) => Some(&mut sample.t_ns),
        Line::Gpu(line) => match line {
            GpuLine::Sample(sample) => Some(&mut sample.t_ns),
            GpuLine::State(state) => Some(&mut state.t_ns),
            GpuLine::Clock(clock) => Some(&mut clock.t_ns),
            GpuLine::Gap { t_ns, .. } | GpuLine::Xid { t_ns, .. } => Some(t_ns),
            _ => None,
        },
        Line::Note(_) => None,
    }
}
