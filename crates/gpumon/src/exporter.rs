//! GPUs of another machine, or of this one, as a [`Source`]: scrapes an exporter of GPU metrics.
//!
//! Understood are NVIDIA's dcgm-exporter (and whatever speaks its names, our own agent among them) and AMD's
//! device-metrics-exporter; which of them answers is seen from the answer. Samples are stamped with the middle of the
//! scrape on the run's clock, so the exporter's own clock plays no part in them. An answer equal to the one before is no
//! reading: it is counted and left out.

pub(crate) mod amd;
pub(crate) mod dcgm;
mod freshness;
pub(crate) mod scraped_gpu;

use std::time::Instant;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use records::{Clock, GpuDevice, GpuLine, Offset, ServerUrl};

use self::{
    freshness::{Answer as Fresh, Freshness},
    scraped_gpu::{ScrapedGpu, ScrapedGpus},
};
use crate::{
    Access, Line, Occasion, Selection, Source,
    backoff::Backoff,
    http::{Answer, Client, NoAnswer, midpoint},
    metric,
    plausibility::{self, Bounds},
    prometheus::{self, Scrape},
};

/// Largest difference of the clocks of two machines that is not worth a word; the `Date` header counts whole seconds.
const CLOCK_DIFFERENCE_MAX_S: f64 = 2.0;

/// Scrapes the `/metrics` of a GPU exporter.
#[derive(Debug)]
pub struct ExporterSource {
    client: Client,
    url: String,
    selection: Selection,
    backoff: Backoff,
    freshness: Freshness,
    /// The GPUs that have been seen, by their ids.
    known: BTreeMap<String, Known>,
    tally: Tally,
    clocks_compared: bool,
}

/// A GPU that has been seen.
#[derive(Debug)]
struct Known {
    bounds: Bounds,
    /// The XID that stood there last: exporters repeat it for ever, so only a change is news.
    last_xid: Option<u64>,
    noted: BTreeSet<&'static str>,
}

#[derive(Debug, Default)]
struct Tally {
    scrapes: u64,
    blanks: u64,
    implausible: u64,
    bad_lines: u64,
}

impl ExporterSource {
    /// A source over `<base>/metrics`. Nothing is sent yet.
    pub fn new(base: &ServerUrl, access: &Access, selection: Selection) -> Self {
        Self {
            client: Client::new(access),
            url: base.endpoint("/metrics"),
            selection,
            backoff: Backoff::default(),
            freshness: Freshness::default(),
            known: BTreeMap::new(),
            tally: Tally::default(),
            clocks_compared: false,
        }
    }

    fn scrape(&mut self, clock: Clock, out: &mut Vec<Line>) -> Result<(), String> {
        let answer = self.client.get(&self.url).map_err(|NoAnswer(reason)| reason)?;
        if answer.status != 200 {
            return Err(format!("status {}", answer.status));
        }
        let scrape = prometheus::parse(&answer.body);
        let (source, rows) = recognise(&scrape).ok_or_else(|| {
            "no GPU metric among its answer\nhint: dcgm-exporter and AMD's device-metrics-exporter are understood"
                .to_owned()
        })?;
        self.compare_clocks(&answer, out);
        self.tally.scrapes += 1;
        self.tally.bad_lines += scrape.bad_lines as u64;
        self.tally.blanks += rows.blanks;
        let (middle, rtt) = midpoint(clock.at(answer.sent), clock.at(answer.received));
        let rows: Vec<ScrapedGpu> =
            rows.into_rows().into_iter().filter(|row| self.selection.includes(&row.device)).collect();
        if rows.is_empty() {
            return Err("none of its GPUs is among those asked for".to_owned());
        }
        if self.is_repeated(&answer.body, middle, &rows, out) {
            return Ok(());
        }
        for row in rows {
            self.take(row, source, middle, Offset::from_duration(rtt).0, out);
        }
        Ok(())
    }

    /// Equal answers are no readings where a counter of energy proves it: that one moves even when nothing runs.
    fn is_repeated(&mut self, body: &str, now: Offset, rows: &[ScrapedGpu], out: &mut Vec<Line>) -> bool {
        let moves = rows.iter().any(|row| row.sample.energy_mj.is_some());
        match self.freshness.judge(body, now) {
            Fresh::New => false,
            Fresh::NewAfter(took) => {
                out.push(Line::Note(format!(
                    "{} had the same answer for {:.0} s: its own interval looks like that, which is too slow for levels of this length\nhint: start dcgm-exporter with -c 500 (milliseconds)",
                    self.url,
                    took.as_secs_f64()
                )));
                false
            }
            Fresh::Repeated => moves,
        }
    }

    fn take(&mut self, mut row: ScrapedGpu, source: &str, t_ns: Offset, rtt_ns: u64, out: &mut Vec<Line>) {
        let device = &mut row.device;
        device.source = format!("{source} {}", self.url);
        device.memory_total_bytes = device.memory_total_bytes.or_else(|| dcgm::memory_total(&row.sample));
        let known = self.known.entry(device.uuid.clone()).or_insert_with(|| {
            out.push(Line::Gpu(GpuLine::Device(GpuDevice {
                unsupported: metric::absent_of_common(&row.sample),
                ..device.clone()
            })));
            Known {
                bounds: Bounds { power_limit_mw: device.power_limit_mw, memory_total_bytes: device.memory_total_bytes },
                last_xid: row.last_xid,
                noted: BTreeSet::new(),
            }
        });
        if let Some(code) = row.last_xid.filter(|code| *code != 0 && Some(*code) != known.last_xid) {
            out.push(Line::Gpu(GpuLine::Xid { t_ns, uuid: Some(device.uuid.clone()), code }));
        }
        known.last_xid = row.last_xid.or(known.last_xid);
        for dropped in plausibility::strip(&mut row.sample, known.bounds) {
            self.tally.implausible += 1;
            if known.noted.insert(dropped.metric) {
                out.push(Line::Note(dropped.note(&device.uuid)));
            }
        }
        row.sample.t_ns = t_ns;
        row.sample.read_ns = rtt_ns;
        row.sample.rtt_ns = Some(rtt_ns);
        row.state.t_ns = t_ns;
        row.state.read_ns = rtt_ns;
        if row.state.has_metrics() {
            out.push(Line::Gpu(GpuLine::State(row.state)));
        }
        out.push(Line::Gpu(GpuLine::Sample(row.sample)));
    }

    /// A host whose wall clock is off is worth knowing when its logs are read beside ours. The samples do not depend on it.
    fn compare_clocks(&mut self, answer: &Answer, out: &mut Vec<Line>) {
        let Some(date) = answer.date.filter(|_| !std::mem::replace(&mut self.clocks_compared, true)) else {
            return;
        };
        let ours = SystemTime::now();
        let apart = match ours.duration_since(date) {
            Ok(ahead) => ahead.as_secs_f64(),
            Err(behind) => -behind.duration().as_secs_f64(),
        };
        if apart.abs() > CLOCK_DIFFERENCE_MAX_S {
            out.push(Line::Note(format!(
                "the wall clock of {} is {:.0} s {} ours; samples are stamped with our clock and not affected",
                self.url,
                apart.abs(),
                if apart > 0.0 { "behind" } else { "ahead of" }
            )));
        }
    }
}

fn recognise(scrape: &Scrape<'_>) -> Option<(&'static str, ScrapedGpus)> {
    if dcgm::recognise(scrape) {
        Some(("dcgm", dcgm::rows(scrape)))
    } else if amd::recognise(scrape) {
        Some(("amd-dme", amd::rows(scrape)))
    } else {
        None
    }
}

impl Source for ExporterSource {
    fn name(&self) -> &str {
        &self.url
    }

    /// Says nothing: GPUs are described when they are first seen, which may be later than the start.
    fn describe(&mut self) -> Vec<Line> {
        Vec::new()
    }

    fn sample(&mut self, clock: Clock, occasion: Occasion, out: &mut Vec<Line>) {
        if !self.backoff.may_try(clock.at(Instant::now()), occasion) {
            return;
        }
        let scraped = self.scrape(clock, out);
        self.backoff.gpus_read(scraped, &self.url, clock.at(Instant::now()), out);
    }

    fn finish(&mut self) -> Vec<Line> {
        let Tally { scrapes, blanks, implausible, bad_lines } = self.tally;
        let repeated = self.freshness.repeated;
        if blanks + implausible + bad_lines + repeated == 0 {
            return Vec::new();
        }
        vec![Line::Note(format!(
            "{}: {scrapes} scrapes, of which {repeated} equal to the one before; left out {blanks} blank values, {implausible} that cannot be, {bad_lines} lines that were not understood",
            self.url
        ))]
    }
}
