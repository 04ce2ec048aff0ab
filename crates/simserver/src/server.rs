//! Starts and stops the server: one thread for the engine, one for the connections.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rand_pcg::Pcg64;
use rand_pcg::rand_core::SeedableRng;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::app::{App, Death};
use crate::connection::{Control, ControlledSocket};
use crate::driver::Driver;
use crate::engine::Engine;
use crate::fault::{Fault, FaultPlan, FaultRule};
use crate::http::handle;
use crate::metrics::MetricNames;
use crate::profile::Profile;
use crate::telemetry::{Lateness, Telemetry};

/// What to simulate, and where.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// The server to stand in for.
    pub profile: Profile,
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Rehearses a server that dies: it begins so many responses of generations; instead of beginning the next, it closes the listener
    /// and every connection, whatever they were doing. Nothing answers at the URL from then on.
    pub die_after: Option<u64>,
    /// What goes wrong besides, and how often. A request may ask for more with the header `x-sim-fault`.
    pub faults: Vec<FaultRule>,
    /// With the same seed the same requests and connections are struck, by their numbers.
    pub fault_seed: u64,
    /// Names of metrics that changed between versions of vLLM.
    pub metric_names: MetricNames,
}

impl SimConfig {
    /// The profile on a free port of the loopback interface, without faults.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            die_after: None,
            faults: Vec::new(),
            fault_seed: 0,
            metric_names: MetricNames::default(),
        }
    }
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The address is not to be had.
    #[error("cannot listen on {address}: {source}\nhint: port 0 takes a free port")]
    Listen {
        /// Address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no thread or no event queue.
    #[error(
        "cannot start the threads of the simulated server: {0}\nhint: look at the limits of open files and threads"
    )]
    Threads(#[from] io::Error),
}

/// A running server. Stops when dropped.
#[derive(Debug)]
pub struct SimServer {
    address: SocketAddr,
    profile: Profile,
    shutdown: Arc<Notify>,
    threads: Vec<JoinHandle<()>>,
}

impl SimServer {
    /// Starts a server; it answers when this returns.
    pub fn start(config: SimConfig) -> Result<Self, SimError> {
        let SimConfig { profile, listen, die_after, faults, fault_seed, metric_names } = config;
        let faults = FaultPlan::new(faults, fault_seed);
        let (socket, address) = bind(listen, &faults).map_err(|source| SimError::Listen { address: listen, source })?;
        let shutdown = Arc::new(Notify::new());
        let (commands, received) = mpsc::channel();
        let app = App {
            profile: profile.clone(),
            commands,
            telemetry: Arc::new(Mutex::new(Telemetry::new(profile.max_model_len()))),
            lateness: Arc::new(Mutex::new(Lateness::default())),
            ids: Mutex::new(Pcg64::seed_from_u64(profile.figures.seed)),
            epoch: Instant::now(),
            created: SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64()),
            requests: AtomicU64::new(0),
            generations: AtomicU64::new(0),
            faults,
            struck: Mutex::default(),
            metric_names,
            death: Death { after: die_after, begun: AtomicU64::new(0), shutdown: Arc::clone(&shutdown) },
        };
        let driver = Driver::new(Engine::new(&profile), received, Arc::clone(&app.telemetry), app.epoch);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = Arc::clone(&shutdown);
        // A failure to start the second thread drops the app, and with it the only sender: the first one then ends.
        let threads = vec![
            spawn("simserver-engine", || driver.run())?,
            spawn("simserver-http", move || {
                serve(runtime, socket, app, &stop);
            })?,
        ];
        Ok(Self { address, profile, shutdown, threads })
    }

    /// Base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is simulated.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Closes every connection and waits for the threads to end. Dropping the server does the same.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.shutdown.notify_one();
        for thread in self.threads.drain(..) {
            // A panic of the thread has been reported by the thread; a destructor must not raise another.
            let _ended = thread.join();
        }
    }
}

/// The address, taken; somebody listens unless a fault refuses every connection.
enum Socket {
    Listening(TcpListener),
    Bound(TcpSocket),
}

fn bind(listen: SocketAddr, faults: &FaultPlan) -> io::Result<(Socket, SocketAddr)> {
    if faults.refuses_always() {
        let socket = match listen {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind(listen)?;
        let address = socket.local_addr()?;
        return Ok((Socket::Bound(socket), address));
    }
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((Socket::Listening(listener), address))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Serves until the shutdown. Dropping the runtime drops every connection and, with the last of them, the engine's commands.
fn serve(runtime: Runtime, socket: Socket, app: App, shutdown: &Notify) {
    runtime.block_on(async {
        match socket {
            Socket::Bound(silent) => {
                shutdown.notified().await;
                drop((silent, app));
            }
            Socket::Listening(listener) => {
                let accepting = tokio::spawn(accept(listener, Arc::new(app)));
                shutdown.notified().await;
                // The listener first: who sees a connection closed finds nobody to connect to.
                accepting.abort();
                let _aborted = accepting.await;
            }
        }
    });
    drop(runtime);
}

async fn accept(listener: TcpListener, app: Arc<App>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let mut connections = 0u64;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files, most likely: some will be closed soon.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let faults = app.faults.of_connection(connections);
        connections += 1;
        app.count_faults(&faults);
        tokio::spawn(connection(stream, faults, Arc::clone(&app)));
    }
}

async fn connection(stream: TcpStream, faults: Vec<Fault>, app: Arc<App>) {
    for fault in faults {
        match fault {
            Fault::Refuse => {
                // Closing a socket that does not linger resets it.
                let _best_effort = stream.set_zero_linger();
                return;
            }
            Fault::DelayAccept(time) => tokio::time::sleep(time).await,
            _ => {}
        }
    }
    // Without it small chunks wait for the acknowledgement of the ones before. A socket that is gone says so later.
    let _best_effort = stream.set_nodelay(true);
    let control = Arc::new(Control::default());
    let socket = ControlledSocket::new(stream, Arc::clone(&control));
    let service = service_fn(|request| handle(Arc::clone(&app), Arc::clone(&control), request));
    let mut serving = pin!(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    let mut over = pin!(control.over());
    poll_fn(|context| match over.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(()),
        // A client that goes away is no fault of the server.
        Poll::Pending => serving.as_mut().poll(context).map(|_closed| ()),
    })
    .await;
}
