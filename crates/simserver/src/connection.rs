//! A connection that can be made to end: closed in the middle of a response, or reset.
//!
//! hyper owns the socket while it serves; what a fault needs of it goes through [`Control`], which both hold.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// What may be done to one connection.
#[derive(Debug, Default)]
pub(crate) struct Control {
    over: Notify,
    reset: AtomicBool,
}

impl Control {
    /// Ends the connection as a process that dies does: with a reset, and nothing more is sent.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
        self.over.notify_one();
    }

    /// Closes the connection; what was written before arrives.
    pub(crate) fn close(&self) {
        self.over.notify_one();
    }

    /// Waits for either.
    pub(crate) async fn over(&self) {
        self.over.notified().await;
    }
}

/// The socket of a [`Control`].
#[derive(Debug)]
pub(crate) struct ControlledSocket {
    stream: TcpStream,
    control: Arc<Control>,
}

impl ControlledSocket {
    pub(crate) fn new(stream: TcpStream, control: Arc<Control>) -> Self {
        Self { stream, control }
    }
}

impl Drop for ControlledSocket {
    fn drop(&mut self) {
        if self.control.reset.load(Ordering::Relaxed) {
            // Closing a socket that does not linger resets it. One that is gone already needs no reset.
            let _gone = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for ControlledSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for ControlledSocket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
