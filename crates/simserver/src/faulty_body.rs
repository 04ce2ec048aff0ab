//! The body of a response that is not streamed and comes only in part, late, or in drops.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::body_faults::{BodyFaults, Event};
use crate::connection::Control;

/// A body of known length.
pub(crate) struct FaultyBody {
    left: Bytes,
    length: u64,
    /// Bytes that are still sent before the connection ends, and how it ends.
    end: Option<(usize, Event)>,
    ending: bool,
    drip: Option<(u32, Duration)>,
    pause: Option<Pin<Box<Sleep>>>,
    control: Arc<Control>,
}

impl FaultyBody {
    /// `body` as the faults alter it: half of it is sent before a connection ends.
    pub(crate) fn new(body: Bytes, body_faults: &BodyFaults, control: Arc<Control>) -> Self {
        let (mut end, mut pause) = (None, None);
        for event in body_faults.events() {
            match event {
                Event::Stall(time) => pause = Some(Box::pin(sleep(time))),
                Event::Close | Event::Reset => end = Some((body.len() / 2, event)),
                Event::Malformed | Event::Pad(_) | Event::Error => {}
            }
        }
        Self { length: body.len() as u64, left: body, end, ending: false, drip: body_faults.drip, pause, control }
    }
}

impl Body for FaultyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let most = match self.end {
            Some((0, event)) => {
                if !self.ending {
                    // Asked again once what was given is written.
                    self.ending = true;
                    context.waker().wake_by_ref();
                } else if event == Event::Reset {
                    self.control.reset();
                } else {
                    self.control.close();
                }
                return Poll::Pending;
            }
            Some((bytes, _)) => bytes,
            None if self.left.is_empty() => return Poll::Ready(None),
            None => self.left.len(),
        };
        let some = match self.drip {
            Some((bytes, every)) => {
                self.pause = Some(Box::pin(sleep(every)));
                most.min(bytes as usize)
            }
            None => most,
        };
        if let Some((bytes, _)) = &mut self.end {
            *bytes -= some;
        }
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(some)))))
    }

    fn size_hint(&self) -> SizeHint {
        // Asked for before the first byte only: it becomes the length in the head.
        SizeHint::with_exact(self.length)
    }
}
