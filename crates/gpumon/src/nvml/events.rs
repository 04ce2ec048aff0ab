//! XID errors, as the driver reports them.

use nvml_wrapper::{bitmasks::event::EventTypes, enums::event::XidError, error::NvmlError};
use records::{GpuLine, Offset};

use super::raw::{KeptEvents, Session};
use crate::Line;

/// Most events that one reading takes; the rest comes with the next.
const EVENTS_PER_READING_MAX: usize = 16;

/// The events of all GPUs, or none where the driver does not tell them.
#[derive(Debug, Default)]
pub(super) struct Events(Option<KeptEvents>);

impl Events {
    /// Asks for the XID errors of the GPUs at `indices`. One that does not tell ends it for all: the wrapper frees the set.
    pub(super) fn watch(session: &Session, indices: impl Iterator<Item = u32>) -> Self {
        let nvml = session.nvml();
        let register = || {
            let mut set = nvml.create_event_set()?;
            for index in indices {
                let device = nvml.device_by_index(index)?;
                set = device.register_events(EventTypes::CRITICAL_XID_ERROR, set).map_err(|error| error.error)?;
            }
            Ok::<_, NvmlError>(session.keep_events(set))
        };
        Self(register().ok())
    }

    /// Appends what has come since. Never waits.
    pub(super) fn read(&mut self, session: &Session, now: Offset, out: &mut Vec<Line>) {
        let Some(set) = self.0.take().and_then(|kept| session.events(kept)) else {
            return;
        };
        for _ in 0..EVENTS_PER_READING_MAX {
            let Ok(event) = set.wait(0) else { break };
            let code = match event.event_data {
                Some(XidError::Value(code)) => code,
                // NVML's own mark for one that it does not know.
                Some(XidError::Unknown) => 999,
                None => continue,
            };
            out.push(Line::Gpu(GpuLine::Xid { t_ns: now, uuid: event.device.uuid().ok(), code }));
        }
        self.0 = Some(session.keep_events(set));
    }
}
