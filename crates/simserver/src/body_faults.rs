//! What the faults of one request do to its answer, put in order.
//!
//! Pure: the faults that struck are read into a plan for the body of the response; `stream` and `faulty_body` carry it out.

use std::time::Duration;

use crate::fault::Fault;

/// The plan of a body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BodyFaults {
    /// What happens at which token, in order; several at one token happen one after the other.
    events: Vec<(u32, Event)>,
    pub(crate) usage: UsageFault,
    pub(crate) crlf: bool,
    /// Tokens of one chunk.
    pub(crate) tokens_per_chunk: u32,
    /// Bytes at a time, and the pause after each.
    pub(crate) drip: Option<(u32, Duration)>,
}

/// Something between two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Stall(Duration),
    Malformed,
    /// The next token is followed by so many characters.
    Pad(u32),
    Error,
    Close,
    Reset,
}

/// What goes wrong with the token counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UsageFault {
    pub(crate) missing: bool,
    pub(crate) twice: bool,
    pub(crate) added: i32,
}

impl UsageFault {
    /// The completion tokens that are told.
    pub(crate) fn told(self, completion_tokens: u32) -> u32 {
        completion_tokens.saturating_add_signed(self.added)
    }
}

impl BodyFaults {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let mut body_faults =
            Self { events: Vec::new(), usage: UsageFault::default(), crlf: false, tokens_per_chunk: 1, drip: None };
        for fault in faults {
            match *fault {
                Fault::Stall { after, time } => body_faults.at(after, Event::Stall(time)),
                Fault::Malformed { after } => body_faults.at(after, Event::Malformed),
                Fault::Giant { after, bytes } => body_faults.at(after, Event::Pad(bytes)),
                Fault::ErrorIn200 { after } => body_faults.at(after, Event::Error),
                Fault::Cut { after } => body_faults.at(after, Event::Close),
                Fault::ResetAfterHead { after } => body_faults.at(after, Event::Reset),
                Fault::NoUsage => body_faults.usage.missing = true,
                Fault::DuplicateUsage => body_faults.usage.twice = true,
                Fault::WrongCounts { by } => body_faults.usage.added = by,
                Fault::Crlf => body_faults.crlf = true,
                Fault::TokensPerChunk(tokens) => body_faults.tokens_per_chunk = tokens,
                Fault::Drip { bytes, every } => body_faults.drip = Some((bytes, every)),
                Fault::Refuse | Fault::DelayAccept(_) | Fault::ResetBeforeHead | Fault::Status { .. } => {}
            }
        }
        // Stable, and the latest at the end, where it is taken from last.
        body_faults.events.sort_by_key(|(after, _)| *after);
        body_faults.events.reverse();
        body_faults
    }

    /// The next event that happens once `sent` tokens are sent.
    pub(crate) fn take(&mut self, sent: u32) -> Option<Event> {
        self.events.pop_if(|(after, _)| *after <= sent).map(|(_, event)| event)
    }

    /// Tokens that may be sent before the next event.
    pub(crate) fn tokens_until_next(&self, sent: u32) -> u32 {
        self.events.last().map_or(u32::MAX, |(after, _)| after.saturating_sub(sent).max(1))
    }

    /// For a body that is sent in one piece: all events, in order.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> {
        self.events.iter().rev().map(|(_, event)| *event)
    }

    fn at(&mut self, after: u32, event: Event) {
        self.events.push((after, event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_and_once() {
        let mut body_faults = BodyFaults::new(&[
            Fault::Cut { after: 5 },
            Fault::Malformed { after: 2 },
            Fault::Giant { after: 2, bytes: 9 },
        ]);
        assert_eq!(body_faults.take(0), None);
        assert_eq!(body_faults.tokens_until_next(0), 2);
        assert_eq!(body_faults.take(2), Some(Event::Malformed));
        assert_eq!(body_faults.take(2), Some(Event::Pad(9)));
        assert_eq!(body_faults.take(2), None);
        assert_eq!(body_faults.tokens_until_next(2), 3);
        assert_eq!(body_faults.take(7), Some(Event::Close));
        assert_eq!(body_faults.tokens_until_next(7), u32::MAX);
    }
}
