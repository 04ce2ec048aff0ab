//! `--stop-when`: a level ends as soon as the interval of one figure is as narrow as asked. What is narrow is decided by
//! `analysis::StopWatch`; here the records reach it, and the load hears of it.
#![expect(clippy::doc_markdown, reason = "the terminal shows these comments as they stand")]

use analysis::{StopRule, StopWatch};
use clap::Args;
use loadgen::{Event, StopHandle};
use records::{MeasureEnd, PhaseKind};

/// When a level has been measured well enough.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct StopArgs {
    /// End a level as soon as the interval of this figure is as narrow as that on either side, in percent of it, such as
    /// "ttft_p95:5%" or "e2el:2%" (the mean): ttft, tpot or e2el with mean, p50, p90, p95 or p99. At the latest it ends
    /// after --request-count or --benchmark-duration [default: 40 times the requests without this flag, or 10 minutes
    /// of an open loop]
    #[arg(long, value_name = "RULE")]
    pub(crate) stop_when: Option<StopRule>,
    /// Requests of each level before --stop-when looks for the first time [default: 50, and 8 per slot]
    #[arg(long, value_name = "N", requires = "stop_when", value_parser = clap::value_parser!(u64).range(2..))]
    pub(crate) stop_min_requests: Option<u64>,
}

/// Hands records to the watch of their level, and ends the level when that is satisfied.
#[derive(Debug)]
pub(crate) struct Watcher {
    rule: StopRule,
    fewest: Option<u64>,
    confidence_level: Option<f64>,
    /// Slots of the closed loops, 0 for open ones, level by level.
    slots: Vec<u32>,
    stop: StopHandle,
    watch: Option<StopWatch>,
    notes: Vec<String>,
}

impl Watcher {
    /// `None` where nothing is asked for.
    pub(crate) fn new(
        args: &StopArgs,
        confidence_level: Option<f64>,
        slots: Vec<u32>,
        stop: &StopHandle,
    ) -> Option<Self> {
        Some(Self {
            rule: args.stop_when?,
            fewest: args.stop_min_requests,
            confidence_level,
            slots,
            stop: stop.clone(),
            watch: None,
            notes: Vec::new(),
        })
    }

    /// Takes what happens.
    pub(crate) fn observe(&mut self, event: &Event) {
        match event {
            Event::LevelStarted { level, .. } => {
                let slots = usize::try_from(*level).ok().and_then(|i| self.slots.get(i));
                let slots = slots.copied().unwrap_or(0);
                let watch = StopWatch::new(self.rule, slots, self.fewest, self.confidence_level);
                self.watch = Some(watch);
            }
            Event::Request(record) => {
                if let Some(watch) = &mut self.watch
                    && watch.observe(record)
                {
                    self.stop.enough(record.level);
                }
            }
            Event::Phase(phase) if phase.kind == PhaseKind::Measure => {
                let (Some(level), Some(watch)) = (phase.level, &self.watch) else {
                    return;
                };
                if phase.ended_by.is_some_and(|by| by != MeasureEnd::Tight) {
                    let width = watch.width().map_or_else(
                        || "there was no interval yet".to_owned(),
                        |width| format!("the interval was ±{:.1} % wide", 100.0 * width),
                    );
                    self.notes.push(format!(
                        "level {}: --stop-when {} was not reached: {width} when the most that was to be measured had been",
                        level + 1,
                        self.rule
                    ));
                }
            }
            _ => {}
        }
    }

    /// What became of levels that were not stopped early.
    pub(crate) fn notes(self) -> Vec<String> {
        self.notes
    }
}
