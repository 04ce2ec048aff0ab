//! The agent's lines as a [`Source`] on the client's clock.

use std::time::Instant;

use records::{Clock, GpuLine, ServerUrl, SourceClock};
use serde::de::DeserializeOwned;

use super::wire::{AGENT, Batch, Time};
use crate::{
    Access, Line, Occasion, Selection, Source,
    backoff::Backoff,
    clock_offset::{ClockOffset, Estimate},
    http::{Answer, Client, NoAnswer},
    replay::{stamp, time},
};

/// Exchanges for the first estimate of the clock.
const EXCHANGES: usize = 9;
/// A change of the estimate that is worth a new line.
const CLOCK_CHANGE_MIN_NS: u64 = 1_000_000;

/// Whether an agent answers at `base`.
pub fn is_agent(base: &ServerUrl, access: &Access) -> bool {
    let client = Client::new(access);
    fetch::<Time>(&client, &base.endpoint("/v1/time")).is_ok_and(|(time, _)| time.agent == AGENT)
}

/// Fetches an agent's lines.
#[derive(Debug)]
pub struct AgentSource {
    client: Client,
    base: ServerUrl,
    name: String,
    selection: Selection,
    backoff: Backoff,
    link: Option<Link>,
    lost: u64,
}

/// What is known of one life of the agent.
#[derive(Debug)]
struct Link {
    instance: u64,
    next: u64,
    offset: ClockOffset,
    /// The estimate that was said last.
    said: Estimate,
    /// Ids of the GPUs that were asked for.
    chosen: Vec<String>,
}

impl AgentSource {
    /// A source over the agent at `base`. Nothing is sent yet.
    pub fn new(base: &ServerUrl, access: &Access, selection: Selection) -> Self {
        Self {
            client: Client::new(access),
            base: base.clone(),
            name: format!("agent {base}"),
            selection,
            backoff: Backoff::default(),
            link: None,
            lost: 0,
        }
    }

    fn fetch(&mut self, clock: Clock, out: &mut Vec<Line>) -> Result<(), String> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => self.connect(clock, out)?,
        };
        let url = self.base.endpoint(&format!("/v1/lines?after={}", link.next));
        let (answer, exchange) = fetch::<Batch>(&self.client, &url)?;
        if answer.time.instance != link.instance {
            // Started anew since: its clock and its numbers are others. The next reading connects again.
            return Ok(());
        }
        link.offset.exchange(clock.at(exchange.sent), clock.at(exchange.received), answer.time.t_ns.0);
        link.next = answer.next;
        self.lost += answer.lost;
        self.say_clock(&mut link, clock, out);
        let estimate = link.said;
        for line in answer.lines {
            if link.wants(&line, &self.selection) {
                out.push(self.ours(line, estimate));
            }
        }
        self.link = Some(link);
        Ok(())
    }

    /// Learns the clock and the GPUs.
    fn connect(&self, clock: Clock, out: &mut Vec<Line>) -> Result<Link, String> {
        let mut offset = ClockOffset::default();
        for _ in 0..EXCHANGES {
            let (time, exchange) = fetch::<Time>(&self.client, &self.base.endpoint("/v1/time"))?;
            offset.exchange(clock.at(exchange.sent), clock.at(exchange.received), time.t_ns.0);
        }
        let (first, _) = fetch::<Batch>(&self.client, &self.base.endpoint("/v1/lines"))?;
        let said = offset.estimate().ok_or("no time")?;
        let mut link = Link { instance: first.time.instance, next: first.next, offset, said, chosen: Vec::new() };
        out.push(self.clock_line(said, clock));
        for line in first.lines {
            if link.wants(&line, &self.selection) {
                out.push(self.ours(line, said));
            }
        }
        if link.chosen.is_empty() {
            return Err("none of its GPUs is among those asked for".to_owned());
        }
        Ok(link)
    }

    fn say_clock(&self, link: &mut Link, clock: Clock, out: &mut Vec<Line>) {
        let Some(now) = link.offset.estimate() else {
            return;
        };
        if now.add_ns.abs_diff(link.said.add_ns) > CLOCK_CHANGE_MIN_NS {
            link.said = now;
            out.push(self.clock_line(now, clock));
        }
    }

    fn clock_line(&self, estimate: Estimate, clock: Clock) -> Line {
        Line::Gpu(GpuLine::Clock(SourceClock {
            t_ns: clock.at(Instant::now()),
            source: self.base.to_string(),
            add_ns: estimate.add_ns,
            rtt_min_ns: estimate.rtt_min_ns,
            exchanges: estimate.exchanges,
        }))
    }

    /// A line of the agent's as one of ours.
    fn ours(&self, mut line: GpuLine, estimate: Estimate) -> Line {
        if let GpuLine::Device(device) = &mut line {
            device.source = format!("{} via {}", device.source, self.name);
        }
        let mut line = Line::Gpu(line);
        if let Some(theirs) = time(&line) {
            stamp(&mut line, estimate.ours(theirs));
        }
        line
    }
}

impl Link {
    /// Whether the line is of a GPU that was asked for.
    fn wants(&mut self, line: &GpuLine, selection: &Selection) -> bool {
        let known = |uuid: &String| self.chosen.contains(uuid);
        match line {
            GpuLine::Device(device) => {
                let wanted = selection.includes(device);
                if wanted && !known(&device.uuid) {
                    self.chosen.push(device.uuid.clone());
                }
                wanted
            }
            GpuLine::Sample(sample) => known(&sample.uuid),
            GpuLine::State(state) => known(&state.uuid),
            GpuLine::Xid { uuid, .. } => uuid.as_ref().is_none_or(known),
            _ => true,
        }
    }
}

impl Source for AgentSource {
    fn name(&self) -> &str {
        &self.name
    }

    /// Says nothing: the agent's GPUs come with the first reading.
    fn describe(&mut self) -> Vec<Line> {
        Vec::new()
    }

    fn sample(&mut self, clock: Clock, occasion: Occasion, out: &mut Vec<Line>) {
        if !self.backoff.may_try(clock.at(Instant::now()), occasion) {
            return;
        }
        let fetched = self.fetch(clock, out);
        self.backoff.gpus_read(fetched, &self.name, clock.at(Instant::now()), out);
    }

    fn finish(&mut self) -> Vec<Line> {
        if self.lost == 0 {
            return Vec::new();
        }
        vec![Line::Note(format!("{}: {} lines came too late to be fetched", self.name, self.lost))]
    }
}

/// A document and the exchange that brought it.
fn fetch<T: DeserializeOwned>(client: &Client, url: &str) -> Result<(T, Answer), String> {
    let answer = client.get(url).map_err(|NoAnswer(reason)| reason)?;
    if answer.status != 200 {
        return Err(format!("status {}", answer.status));
    }
    let document =
        serde_json::from_str(&answer.body).map_err(|error| format!("its answer is not understood ({error})"))?;
    Ok((document, answer))
}
