//! What a level's records add up to while it runs: progress and the marks of its phases. Pure.

use records::{Offset, Outcome, Phase, PhaseKind, RequestRecord, Stage};

use super::Progress;
use crate::overhead::{ThreadLoad, client_load};

/// Adds up the records of one level.
#[derive(Debug)]
pub(super) struct LevelProgress {
    index: u32,
    warmup: u64,
    planned: u64,
    finished: u64,
    lost_measured: bool,
    output_tokens: u64,
    first_sent: Option<Offset>,
    first_measured_sent: Option<Offset>,
    last_measured_sent: Option<Offset>,
    ramped: bool,
    last_measured_finished: Option<Offset>,
}

impl LevelProgress {
    /// For a level with `warmup` requests and then `measured` ones, 0 where time decides.
    pub(super) fn new(index: u32, warmup: u64, measured: u64) -> Self {
        Self {
            index,
            warmup,
            planned: if measured == 0 { 0 } else { warmup + measured },
            finished: 0,
            lost_measured: false,
            output_tokens: 0,
            first_sent: None,
            first_measured_sent: None,
            last_measured_sent: None,
            ramped: false,
            last_measured_finished: None,
        }
    }

    /// Whether the rate of the measured requests moves, so that the level has a ramp.
    pub(super) fn ramped(self, ramped: bool) -> Self {
        Self { ramped, ..self }
    }

    pub(super) fn add(&mut self, record: &RequestRecord) {
        let earlier = |so_far: Option<Offset>, at: Offset| Some(so_far.map_or(at, |s| s.min(at)));
        let later = |so_far: Option<Offset>, at: Offset| Some(so_far.map_or(at, |s| s.max(at)));
        self.output_tokens += record.output_tokens.map_or(0, |t| t.count);
        self.first_sent = earlier(self.first_sent, record.sent_ns);
        if record.stage == Stage::Measured {
            self.lost_measured |= record.outcome == Outcome::Cancelled;
            self.first_measured_sent = earlier(self.first_measured_sent, record.sent_ns);
            self.last_measured_sent = later(self.last_measured_sent, record.sent_ns);
            self.last_measured_finished = later(self.last_measured_finished, record.finished_ns);
        }
        if record.stage != Stage::Cooldown && record.retry == 0 {
            self.finished += 1;
        }
    }

    /// Whether a measured request was cancelled by us, so that the level is not whole.
    pub(super) fn lost_measured(&self) -> bool {
        self.lost_measured
    }

    pub(super) fn progress(&self, in_flight: u64) -> Progress {
        Progress {
            level: self.index,
            finished: self.finished,
            planned: self.planned,
            in_flight,
            output_tokens: self.output_tokens,
        }
    }

    /// The phases of a level whose slots had all stopped at `stopped`. A phase that was not reached is left out.
    pub(super) fn phases(&self, stopped: Offset, threads: &[Vec<ThreadLoad>]) -> Vec<Phase> {
        let phase = |kind, start_ns: Offset, end_ns: Offset| Phase {
            kind,
            level: Some(self.index),
            start_ns,
            end_ns: end_ns.max(start_ns),
            client: client_load(threads, kind),
            ended_by: None,
        };
        let mut phases = Vec::new();
        let Some(first) = self.first_sent else {
            return phases;
        };
        let measure = self.first_measured_sent;
        if self.warmup > 0 {
            phases.push(phase(PhaseKind::Warmup, first, measure.unwrap_or(stopped)));
        }
        if let Some((start, end)) = measure.zip(self.last_measured_finished) {
            phases.push(phase(PhaseKind::Measure, start, end));
            phases.extend(self.last_measured_sent.filter(|_| self.ramped).map(|last| {
                // The client's share is in the measuring phase, which this is a part of.
                Phase { client: None, ..phase(PhaseKind::Ramp, start, last) }
            }));
            phases.push(phase(PhaseKind::Drain, end, stopped));
        }
        phases
    }
}

#[cfg(test)]
mod tests {
    use records::{Chunks, Connection, TokenCount, TokenSource};

    use super::*;

    fn record(stage: Stage, sent: u64, finished: u64) -> RequestRecord {
        let source = TokenSource::Usage;
        RequestRecord {
            request: 0,
            level: 2,
            stage,
            slot: 0,
            turn: None,
            retry: 0,
            intended_ns: Offset(sent),
            sent_ns: Offset(sent),
            connection: Connection::Reused,
            head_ns: None,
            chunks: Chunks::default(),
            first_output_ns: None,
            finished_ns: Offset(finished),
            asked_output_tokens: 5,
            prompt_tokens: None,
            cached_prompt_tokens: None,
            output_tokens: Some(TokenCount { count: 5, source }),
            server_timings: None,
            outcome: Outcome::NoTokens,
        }
    }

    fn tally(records: &[RequestRecord]) -> LevelProgress {
        let mut tally = LevelProgress::new(2, 2, 2);
        for record in records {
            tally.add(record);
        }
        tally
    }

    fn marks(tally: &LevelProgress) -> Vec<(PhaseKind, u64, u64)> {
        let phases = tally.phases(Offset(900), &[]);
        assert!(phases.iter().all(|p| p.level == Some(2)));
        phases.iter().map(|p| (p.kind, p.start_ns.0, p.end_ns.0)).collect()
    }

    #[test]
    fn phases_meet_although_requests_overlap() {
        let whole = tally(&[
            record(Stage::Warmup, 20, 200),
            record(Stage::Measured, 210, 400),
            record(Stage::Warmup, 10, 300),
            record(Stage::Measured, 310, 700),
            record(Stage::Cooldown, 410, 705),
        ]);
        assert_eq!(
            marks(&whole),
            [(PhaseKind::Warmup, 10, 210), (PhaseKind::Measure, 210, 700), (PhaseKind::Drain, 700, 900)]
        );
        assert!(!whole.lost_measured());
        let progress = Progress { level: 2, finished: 4, planned: 4, in_flight: 1, output_tokens: 25 };
        assert_eq!(whole.progress(1), progress);
    }

    #[test]
    fn a_level_broken_off_has_the_phases_that_it_reached() {
        assert_eq!(marks(&tally(&[])), []);
        let warm = tally(&[record(Stage::Warmup, 10, 300)]);
        assert_eq!(marks(&warm), [(PhaseKind::Warmup, 10, 900)]);
    }

    #[test]
    fn a_ramp_lasts_as_long_as_the_rate_moves() {
        let records =
            [record(Stage::Measured, 200, 500), record(Stage::Measured, 450, 700), record(Stage::Cooldown, 600, 650)];
        let mut level = LevelProgress::new(2, 0, 2).ramped(true);
        for record in &records {
            level.add(record);
        }
        assert_eq!(
            marks(&level),
            [(PhaseKind::Measure, 200, 700), (PhaseKind::Ramp, 200, 450), (PhaseKind::Drain, 700, 900)]
        );
        let mut cut = record(Stage::Measured, 310, 700);
        cut.outcome = Outcome::Cancelled;
        assert!(tally(&[cut]).lost_measured());
    }
}
