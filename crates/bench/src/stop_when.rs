//! Ends a level as soon as the interval of one figure is as narrow as asked. `analysis::StopWatch` decides; here it gets
//! the records, and the load gets its decision.

use analysis::StopWatch;
use loadgen::{Event, StopHandle};
use records::{MeasureEnd, PhaseKind};

use crate::settings::StopSettings;

/// Hands records to the watch of their level, and ends the level when that is satisfied.
#[derive(Debug)]
pub(crate) struct Watcher {
    settings: StopSettings,
    confidence_level: Option<f64>,
    /// Slots of the closed loops, 0 for open ones, level by level.
    slots: Vec<u32>,
    stop: StopHandle,
    watch: Option<StopWatch>,
    notes: Vec<String>,
}

impl Watcher {
    pub(crate) fn new(
        settings: StopSettings,
        confidence_level: Option<f64>,
        slots: Vec<u32>,
        stop: &StopHandle,
    ) -> Self {
        Self { settings, confidence_level, slots, stop: stop.clone(), watch: None, notes: Vec::new() }
    }

    /// Takes an event of the load.
    pub(crate) fn observe(&mut self, event: &Event) {
        match event {
            Event::LevelStarted { level, .. } => {
                let slots = usize::try_from(*level).ok().and_then(|i| self.slots.get(i));
                let slots = slots.copied().unwrap_or(0);
                let StopSettings { rule, requests_min } = self.settings;
                self.watch = Some(StopWatch::new(rule, slots, requests_min, self.confidence_level));
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
                        self.settings.rule
                    ));
                }
            }
            _ => {}
        }
    }

    /// Sentences about levels that were not ended early.
    pub(crate) fn notes(self) -> Vec<String> {
        self.notes
    }
}
