//! The serving engine as a [`Source`]: scrapes its `/metrics`.
//!
//! A sample is stamped with the middle between sending the scrape and having read its answer. The scrape opens a
//! connection of its own, so on a link with a long round trip the values are younger than the stamp by up to half of it.

use std::time::Instant;

use records::{Clock, Offset, ServerUrl};

use crate::{
    Access, Line, Occasion, Source,
    backoff::Backoff,
    engine,
    http::{Answer, Client, NoAnswer, midpoint},
    prometheus,
};

/// Scrapes the `/metrics` of vLLM or llama.cpp. Metrics of other engines are not understood yet: that is noted once.
#[derive(Debug)]
pub struct ServerSource {
    client: Client,
    url: String,
    backoff: Backoff,
}

impl ServerSource {
    /// A source over `<base>/metrics`. Nothing is sent yet.
    pub fn new(base: &ServerUrl, access: &Access) -> Self {
        Self { client: Client::new(access), url: base.endpoint("/metrics"), backoff: Backoff::default() }
    }
}

impl Source for ServerSource {
    fn name(&self) -> &str {
        &self.url
    }

    /// Says nothing: [`crate::describe`] asks an engine what it is.
    fn describe(&mut self) -> Vec<Line> {
        Vec::new()
    }

    fn sample(&mut self, clock: Clock, occasion: Occasion, out: &mut Vec<Line>) {
        if !self.backoff.may_try(clock.at(Instant::now()), occasion) {
            return;
        }
        let scraped = match self.client.get(&self.url) {
            Ok(answer) => read(&answer, clock),
            Err(NoAnswer(reason)) => Err(reason),
        };
        let now = clock.at(Instant::now());
        match scraped {
            Ok(line) => {
                if let Some(lasted) = self.backoff.answered(now) {
                    out.push(Line::Note(format!("{} is back at {now}, after {:.1} s", self.url, lasted.as_secs_f64())));
                }
                out.push(line);
            }
            Err(reason) => {
                if self.backoff.failed(now) {
                    out.push(Line::Note(format!("{} gives no server metrics from {now} on: {reason}", self.url)));
                }
            }
        }
    }
}

/// The answer as a line, or why it is none.
fn read(answer: &Answer, clock: Clock) -> Result<Line, String> {
    match answer.status {
        200 => {}
        404 | 501 => {
            return Err(format!(
                "status {}\nhint: llama.cpp serves metrics only when started with --metrics",
                answer.status
            ));
        }
        status => return Err(format!("status {status}")),
    }
    let (t_ns, rtt) = midpoint(clock.at(answer.sent), clock.at(answer.received));
    engine::sample(&prometheus::parse(&answer.body), t_ns, Offset::from_duration(rtt).0)
        .map(Line::Server)
        .ok_or_else(|| "no metric of vLLM or llama.cpp among its answer".to_owned())
}
