//! Sockets that stamp themselves: when the first byte of a request is handed to them, and when the bytes of a read arrived
//! (`kernel_stamp`). Under TLS the stamps are those of the encrypted bytes, so decryption is never part of a server's time.

use std::{
    cell::{Cell, RefCell},
    io,
    mem::MaybeUninit,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

use crate::kernel_stamp::{poll_receive, time_of_read};

/// What the kernel gives.
pub(crate) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Transport {
    fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
        }
    }
}

/// A socket and its stamps, shared by those who move bytes and those who want to know when.
pub(crate) struct Socket {
    transport: RefCell<Transport>,
    first_write: Cell<Option<Instant>>,
    last_arrival: Cell<Option<Instant>>,
}

impl Socket {
    pub(crate) fn new(transport: Transport) -> Rc<Self> {
        Rc::new(Self {
            transport: RefCell::new(transport),
            first_write: Cell::new(None),
            last_arrival: Cell::new(None),
        })
    }

    /// The next write is the first one of a request.
    pub(crate) fn begin(&self) {
        self.first_write.set(None);
    }

    /// When the first byte since [`Self::begin`] was handed to the socket.
    pub(crate) fn first_write(&self) -> Option<Instant> {
        self.first_write.get()
    }

    /// When the bytes that were last read arrived.
    pub(crate) fn last_arrival(&self) -> Instant {
        self.last_arrival.get().unwrap_or_else(Instant::now)
    }

    /// Whether the kernel holds neither bytes nor an end for us: an idle connection must hold neither.
    pub(crate) fn is_silent(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = self.transport.borrow().socket().peek(&mut byte);
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// The socket as those who read and write see it.
pub(crate) struct StampedSocket(Rc<Socket>);

impl StampedSocket {
    pub(crate) fn new(socket: &Rc<Socket>) -> Self {
        Self(Rc::clone(socket))
    }
}

impl AsyncRead for StampedSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = &self.0;
        // An answer does not come before its question, nor a token before the last one.
        let earliest = socket.last_arrival.get().max(socket.first_write.get());
        let arrived = match &mut *socket.transport.borrow_mut() {
            Transport::Tcp(stream) => ready!(poll_receive(stream, cx, buffer, earliest))?,
            Transport::Unix(stream) => {
                let before = buffer.filled().len();
                ready!(Pin::new(stream).poll_read(cx, buffer))?;
                (buffer.filled().len() > before).then(time_of_read)
            }
        };
        if arrived.is_some() {
            socket.last_arrival.set(arrived);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for StampedSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let socket = &self.0;
        let now = Instant::now();
        let polled = match &mut *socket.transport.borrow_mut() {
            Transport::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        if matches!(polled, Poll::Ready(Ok(_))) {
            let first = socket.first_write.get().unwrap_or(now);
            socket.first_write.set(Some(first));
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let transport = self.0.transport.borrow();
        Poll::Ready(transport.socket().shutdown(std::net::Shutdown::Write))
    }
}
