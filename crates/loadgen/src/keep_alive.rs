//! Which connection the next request of a slot goes over.
//!
//! In a closed loop the next request follows the last response within microseconds. A server that closes the connection
//! after each response without saying so (llama.cpp b10434, after every stream) loses that race now and then: the
//! request is sent, then the end of the connection arrives, and a request that the server never saw counts as cut. No
//! look at the socket can tell in time, and repeating what was sent is out of the question. So a server has to prove
//! that it keeps connections: the first one lies idle for a while, as a witness, and meanwhile every request takes a new
//! one. Is the witness open at the end, connections are reused from then on; is it closed, every request gets its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use crate::connection::Connection;

/// How long the witness lies idle.
const WITNESS_IDLE_MIN: Duration = Duration::from_millis(100);

/// What the server does with a connection after a response; known to all slots of a run.
#[derive(Debug, Default)]
pub(crate) struct KeepAliveSupport(AtomicU8);

const UNKNOWN: u8 = 0;
const WATCHED: u8 = 1;
const KEEPS: u8 = 2;
const CLOSES: u8 = 3;

impl KeepAliveSupport {
    /// Of a server that need not keep connections.
    pub(crate) fn irrelevant() -> Arc<Self> {
        Arc::new(Self(AtomicU8::new(CLOSES)))
    }

    /// A request over a kept connection was cut before any answer: the server does close them.
    pub(crate) fn closes(&self) {
        self.0.store(CLOSES, Ordering::Relaxed);
    }

    fn keeps(&self) -> bool {
        self.0.load(Ordering::Relaxed) == KEEPS
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Keeps one connection between the requests of a slot.
pub(crate) struct SlotConnection {
    habit: Arc<KeepAliveSupport>,
    kept: Option<Connection>,
}

impl SlotConnection {
    pub(crate) fn new(habit: &Arc<KeepAliveSupport>) -> Self {
        Self { habit: Arc::clone(habit), kept: None }
    }

    /// The connection to reuse, if there is one and the server has not closed it meanwhile.
    pub(crate) async fn take(&mut self) -> Option<Connection> {
        let mut connection = self.kept.take()?;
        connection.is_reusable().await.then_some(connection)
    }

    /// Takes back a connection whose response has ended. Must be called within a `LocalSet`.
    pub(crate) async fn put(&mut self, mut connection: Connection) {
        // `connection: close` was said, or the end has come with the response: it proves nothing.
        if !connection.is_reusable().await {
            return;
        }
        if self.habit.keeps() {
            self.kept = Some(connection);
        } else if self.habit.change(UNKNOWN, WATCHED) {
            tokio::task::spawn_local(watch(Watch(Arc::clone(&self.habit)), connection));
        }
    }
}

/// Lets the witness lie idle and looks at it again.
async fn watch(watch: Watch, mut witness: Connection) {
    tokio::time::sleep(WITNESS_IDLE_MIN).await;
    let habit = if witness.is_reusable().await { KEEPS } else { CLOSES };
    watch.0.change(WATCHED, habit);
}

/// A watch that is broken off, at the end of a level, has found nothing.
struct Watch(Arc<KeepAliveSupport>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.change(WATCHED, UNKNOWN);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{SocketAddr, TcpListener},
        sync::mpsc,
        thread,
    };

    use super::*;

    /// A server that answers one request and closes the connection when told to. Tells when it has.
    fn server() -> (SocketAddr, mpsc::Sender<()>, mpsc::Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (close, closing) = mpsc::channel();
        let (closed, was_closed) = mpsc::channel();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).unwrap();
            closing.recv().unwrap();
            drop(stream);
            closed.send(()).unwrap();
        });
        (address, close, was_closed)
    }

    /// A connection that has carried a request.
    async fn used(address: SocketAddr) -> Connection {
        let target = crate::Target::new(&format!("http://{address}"), "m", None, &[]).unwrap();
        let connector = crate::connector::Connector::new(&target).unwrap();
        let mut connection = connector.open().await.unwrap();
        connection.send(&target, bytes::Bytes::new()).await.unwrap();
        while connection.body(|_, _| ()).await.unwrap() {}
        connection
    }

    fn block_on(test: impl Future<Output = ()>) {
        let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build();
        event_loop.unwrap().block_on(test);
    }

    fn habit(state: u8) -> Arc<KeepAliveSupport> {
        Arc::new(KeepAliveSupport(AtomicU8::new(state)))
    }

    #[test]
    fn a_witness_decides_whether_connections_are_kept() {
        block_on(async {
            let (address, close, was_closed) = server();
            let habit = habit(WATCHED);
            watch(Watch(Arc::clone(&habit)), used(address).await).await;
            assert!(habit.keeps());
            drop((close, was_closed));
        });
        block_on(async {
            let (address, close, was_closed) = server();
            let habit = habit(WATCHED);
            let witness = used(address).await;
            close.send(()).unwrap();
            was_closed.recv().unwrap();
            watch(Watch(Arc::clone(&habit)), witness).await;
            assert_eq!(habit.0.load(Ordering::Relaxed), CLOSES);
        });
        let broken_off = habit(WATCHED);
        drop(Watch(Arc::clone(&broken_off)));
        assert_eq!(broken_off.0.load(Ordering::Relaxed), UNKNOWN);
    }

    #[test]
    fn a_connection_closed_while_idle_is_seen_before_anything_is_sent() {
        block_on(async {
            let (address, close, was_closed) = server();
            let mut keeper = SlotConnection::new(&habit(KEEPS));
            keeper.put(used(address).await).await;
            let connection = keeper.take().await.unwrap();
            keeper.put(connection).await;
            // The event loop stands still meanwhile: only the kernel knows that the server has hung up.
            close.send(()).unwrap();
            was_closed.recv().unwrap();
            assert!(keeper.take().await.is_none());
        });
    }
}
