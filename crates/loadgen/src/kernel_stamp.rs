//! The moment at which bytes arrived, as the kernel has it.
//!
//! A client that reads a thousand streams reads the last of them late, and one that shares its machine with the server
//! waits for a processor before it reads at all. Linux stamps what TCP receives when it takes it from the network
//! (`SO_TIMESTAMPNS`, socket(7)), before anyone is woken; that stamp comes with the bytes. Where there is none (other
//! systems, socket files) the time of the read stands in, and is counted.

use std::{
    cell::Cell,
    time::{Duration, Instant, SystemTime},
};

thread_local! {
    static UNSTAMPED: Cell<u64> = const { Cell::new(0) };
}

/// Reads of this thread since the last call that had no stamp of the kernel.
pub(crate) fn take_unstamped() -> u64 {
    UNSTAMPED.take()
}

/// Fallback when the kernel gave no timestamp: the time of the read.
pub(crate) fn time_of_read() -> Instant {
    UNSTAMPED.set(UNSTAMPED.get() + 1);
    Instant::now()
}

/// Longest time that bytes may have waited to be read: beyond it, somebody has set the clock.
const STAMP_AGE_MAX: Duration = Duration::from_mins(1);

/// When bytes arrived that are read `now` and that the kernel stamped `stamped`; not before `earliest`.
///
/// The kernel stamps with the wall clock, which may be set meanwhile: what only waited is subtracted from the monotonic
/// clock.
fn arrival(stamped: SystemTime, now: (Instant, SystemTime), earliest: Option<Instant>) -> Instant {
    let (now, wall) = now;
    let waited = wall.duration_since(stamped).unwrap_or(Duration::ZERO);
    let arrived = (waited <= STAMP_AGE_MAX).then(|| now.checked_sub(waited)).flatten().unwrap_or(now);
    earliest.map_or(arrived, |earliest| arrived.max(earliest).min(now))
}

#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{ask, poll_receive};
#[cfg(target_os = "linux")]
pub(crate) use linux::{ask, poll_receive};

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        cell::RefCell,
        io::{self, IoSliceMut},
        os::fd::AsRawFd as _,
        task::{Context, Poll, ready},
        time::{Duration, Instant, SystemTime},
    };

    use nix::sys::{
        socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt},
        time::TimeSpec,
    };
    use tokio::{
        io::{Interest, ReadBuf},
        net::TcpStream,
    };

    thread_local! {
        /// Room for one stamp.
        static CONTROL: RefCell<Vec<u8>> = RefCell::new(nix::cmsg_space!(TimeSpec));
    }

    /// Asks for stamps from now on. A kernel without them has none to give, which shows when it is read.
    pub(crate) fn ask(stream: &TcpStream) {
        setsockopt(stream, sockopt::ReceiveTimestampns, &true).unwrap_or_default();
    }

    /// Reads as tokio does, and tells when what was read arrived; `None` when nothing was.
    pub(crate) fn poll_receive(
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        earliest: Option<Instant>,
    ) -> Poll<io::Result<Option<Instant>>> {
        loop {
            ready!(stream.poll_read_ready(cx))?;
            let mut received = None;
            let ready = stream.try_io(Interest::READABLE, || {
                let room = buffer.initialize_unfilled();
                let (length, stamp) = receive(stream, room)?;
                // A read that did not fill the buffer has emptied the socket: to say so spares another one for each event.
                let emptied = 0 < length && length < room.len();
                received = Some((length, stamp));
                if emptied { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            let Some((length, stamp)) = received else {
                match ready {
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                        return Poll::Ready(Err(error));
                    }
                    _ => continue,
                }
            };
            buffer.advance(length);
            let arrived = |stamp: Option<SystemTime>| match stamp {
                Some(stamped) => super::arrival(stamped, (Instant::now(), SystemTime::now()), earliest),
                None => super::time_of_read(),
            };
            return Poll::Ready(Ok((length > 0).then(|| arrived(stamp))));
        }
    }

    fn receive(stream: &TcpStream, room: &mut [u8]) -> io::Result<(usize, Option<SystemTime>)> {
        CONTROL.with_borrow_mut(|control| {
            let mut into = [IoSliceMut::new(room)];
            let fd = stream.as_raw_fd();
            let message = recvmsg::<()>(fd, &mut into, Some(control), MsgFlags::empty())?;
            // A stamp that cannot be read is none: the bytes are there all the same.
            let stamp = message.cmsgs().ok().and_then(|mut controls| {
                controls.find_map(|control| match control {
                    ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
                    _ => None,
                })
            });
            let stamp = stamp.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
            Ok((message.bytes, stamp))
        })
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll, ready},
        time::Instant,
    };

    use tokio::{
        io::{AsyncRead as _, ReadBuf},
        net::TcpStream,
    };

    pub(crate) fn ask(_: &TcpStream) {}

    pub(crate) fn poll_receive(
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        _: Option<Instant>,
    ) -> Poll<io::Result<Option<Instant>>> {
        let before = buffer.filled().len();
        ready!(Pin::new(stream).poll_read(cx, buffer))?;
        Poll::Ready(Ok((buffer.filled().len() > before).then(super::time_of_read)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Arrival in ms after the start of bytes that were stamped and read so many ms after it.
    fn arrived_at(stamped: u64, read: u64, earliest: Option<u64>) -> u128 {
        let (start, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + ms(90_000_000));
        let now = (start + ms(read), wall + ms(read));
        let earliest = earliest.map(|at| start + ms(at));
        let arrived = arrival(wall + ms(stamped), now, earliest);
        arrived.duration_since(start).as_millis()
    }

    #[test]
    fn what_waited_is_taken_off_the_time_of_the_read() {
        assert_eq!(arrived_at(993, 1000, None), 993);
        assert_eq!(arrived_at(1000, 1000, None), 1000);
        assert_eq!(arrived_at(993, 1000, Some(995)), 995, "not before the last one");
        assert_eq!(arrived_at(997, 1000, Some(995)), 997);
    }

    #[test]
    fn a_clock_that_was_set_is_not_believed() {
        assert_eq!(arrived_at(3_601_000, 1000, None), 1000, "set back");
        assert_eq!(arrived_at(0, 3_600_000, None), 3_600_000, "set forward");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_late_read_has_the_stamp_of_the_arrival() {
        use std::{future::poll_fn, io::Write as _, net::TcpListener, thread};

        use tokio::{io::ReadBuf, net::TcpStream, runtime::Builder};

        const LATE: Duration = ms(200);
        let runtime = Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let server = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
            ask(&client);
            let (mut server, _) = server.accept().unwrap();
            take_unstamped();
            let mut earliest = None;
            for token in [&b"one"[..], b"two"] {
                let before = Instant::now();
                server.write_all(token).unwrap();
                let written = Instant::now();
                thread::sleep(LATE);
                let mut buffer = [0; 16];
                let mut buffer = ReadBuf::new(&mut buffer);
                let arrived = poll_fn(|cx| poll_receive(&mut client, cx, &mut buffer, earliest));
                let arrived = arrived.await.unwrap().unwrap();
                assert_eq!(buffer.filled(), token);
                // Two clocks are read one after the other, so a little before the write is possible.
                assert!(before <= arrived + ms(20), "{:?}", before.duration_since(arrived));
                assert!(arrived <= written + LATE / 2, "{:?}", arrived.duration_since(written));
                earliest = Some(arrived);
            }
            assert_eq!(take_unstamped(), 0);
            drop(server);
            let mut buffer = [0; 16];
            let mut buffer = ReadBuf::new(&mut buffer);
            let end = poll_fn(|cx| poll_receive(&mut client, cx, &mut buffer, earliest)).await;
            assert_eq!(end.unwrap(), None, "the end of the stream is no arrival");
        });
    }
}
