//! The HTTP face: routes, headers and the life of a request between its connection and the engine.
//!
//! HTTP/1.1 with keep-alive, over hyper. Every response carries `x-simulated: plimsoll <profile>`, and `/simulation` tells the whole
//! profile; the version is vLLM's with a local label (PEP 440, and build metadata to semantic versioning), so a client that reads versions
//! takes it for 0.11.2 and one that looks sees that it is simulated.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::{Method, Request, Response, StatusCode};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;
use tokio::sync::Notify;

use crate::driver::Command;
use crate::engine::{self, RequestId};
use crate::feed::Feed;
use crate::frames::{self, Frames, ResponseId};
use crate::metrics::{self, Lateness, Telemetry};
use crate::openai::{self, ApiError, Delivery, Endpoint};
use crate::profile::Profile;
use crate::stream::EventStream;

const VERSION: &str = "0.11.2+plimsoll.sim";
const JSON: &str = "application/json";
/// Longest request body; a prompt of 131,072 tokens has half a MiB here.
const MAX_BODY_BYTES: usize = 16 << 20;

type ResponseBody = Either<EventStream, Full<Bytes>>;

/// What all connections share.
pub(crate) struct App {
    pub(crate) profile: Profile,
    pub(crate) commands: Sender<Command>,
    pub(crate) telemetry: Arc<Mutex<Telemetry>>,
    pub(crate) lateness: Arc<Mutex<Lateness>>,
    pub(crate) ids: Mutex<Pcg64>,
    pub(crate) epoch: Instant,
    /// Wall-clock time at the epoch, seconds since 1970.
    pub(crate) created: f64,
    pub(crate) requests: AtomicU64,
    pub(crate) death: Death,
}

/// When the server is to die.
pub(crate) struct Death {
    /// Responses that it still begins.
    pub(crate) after: Option<u64>,
    pub(crate) begun: AtomicU64,
    /// Ends the server.
    pub(crate) shutdown: Arc<Notify>,
}

impl Death {
    /// Lets a response begin, or ends the server; then nothing of the response is sent.
    async fn spare(&self) {
        let Some(after) = self.after else { return };
        if self.begun.fetch_add(1, Ordering::Relaxed) >= after {
            self.shutdown.notify_one();
            pending::<()>().await;
        }
    }
}

/// A request in the engine. Dropped before it was finished, it aborts it.
pub(crate) struct Ticket {
    id: RequestId,
    pub(crate) feed: Arc<Feed>,
    finished: AtomicBool,
    commands: Sender<Command>,
    lateness: Arc<Mutex<Lateness>>,
    epoch: Instant,
}

impl Ticket {
    pub(crate) fn mark_finished(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    pub(crate) fn observe_lateness(&self, due: Duration) {
        let late = self.epoch.elapsed().saturating_sub(due);
        self.lateness
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .observe(late);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.finished.load(Ordering::Relaxed) {
            // The engine's thread ends only when there is nobody left to serve.
            let _gone = self.commands.send(Command::Abort(self.id));
        }
    }
}

/// Answers one request.
pub(crate) async fn handle(
    app: Arc<App>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let mut response = route(&app, request).await;
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("plimsoll-simserver"));
    if let Ok(value) = HeaderValue::from_str(&format!("plimsoll {}", app.profile.name())) {
        headers.insert("x-simulated", value);
    }
    Ok(response)
}

async fn route(app: &Arc<App>, request: Request<Incoming>) -> Response<ResponseBody> {
    let path = request.uri().path().to_owned();
    let allowed = match path.as_str() {
        "/v1/chat/completions" | "/v1/completions" | "/tokenize" => Method::POST,
        "/v1/models" | "/health" | "/version" | "/metrics" | "/simulation" => Method::GET,
        _ => return text(404, JSON, r#"{"detail":"Not Found"}"#),
    };
    if *request.method() != allowed {
        let mut response = text(405, JSON, r#"{"detail":"Method Not Allowed"}"#);
        if let Ok(value) = HeaderValue::from_str(allowed.as_str()) {
            response.headers_mut().insert(ALLOW, value);
        }
        return response;
    }
    if allowed == Method::GET {
        return page(app, &path);
    }
    let body = match Limited::new(request.into_body(), MAX_BODY_BYTES)
        .collect()
        .await
    {
        Ok(collected) => collected.to_bytes(),
        Err(_) => return text(413, JSON, r#"{"detail":"Request body too large"}"#),
    };
    let answer = match path.as_str() {
        "/tokenize" => openai::parse_tokenize(&body, &app.profile)
            .map(|count| text(200, JSON, frames::tokenized(&app.profile, count))),
        "/v1/completions" => generate(app, Endpoint::Completions, &body).await,
        _ => generate(app, Endpoint::Chat, &body).await,
    };
    answer.unwrap_or_else(|error| text(error.status, JSON, error.body()))
}

fn page(app: &App, path: &str) -> Response<ResponseBody> {
    match path {
        "/health" => Response::new(Either::Right(Full::default())),
        "/version" => text(200, JSON, format!(r#"{{"version":"{VERSION}"}}"#)),
        "/v1/models" => text(200, JSON, frames::models(&app.profile, &response_id(app))),
        "/simulation" => match serde_json::to_string(&app.profile) {
            Ok(profile) => text(
                200,
                JSON,
                format!(r#"{{"simulated":true,"profile":{profile}}}"#),
            ),
            Err(_) => text(500, JSON, r#"{"detail":"Internal Server Error"}"#),
        },
        _ => {
            let telemetry = app.telemetry.lock().unwrap_or_else(PoisonError::into_inner);
            let lateness = app.lateness.lock().unwrap_or_else(PoisonError::into_inner);
            let page = metrics::render(&telemetry, &lateness, &app.profile, app.created);
            text(200, "text/plain; version=1.0.0; charset=utf-8", page)
        }
    }
}

async fn generate(
    app: &Arc<App>,
    endpoint: Endpoint,
    body: &[u8],
) -> Result<Response<ResponseBody>, ApiError> {
    let generation = openai::parse(endpoint, body, &app.profile)?;
    let id = response_id(app);
    let model = app.profile.served_model();
    let prompt_tokens = generation.budget.prompt_tokens;
    let ticket = submit(app, &generation);
    match generation.delivery {
        Delivery::Whole => {
            let (tokens, reason) = ticket.feed.finished().await;
            ticket.mark_finished();
            app.death.spare().await;
            let whole = frames::whole(endpoint, &id, model, prompt_tokens, tokens, reason);
            Ok(text(200, JSON, whole))
        }
        Delivery::Stream(usage) => {
            app.death.spare().await;
            let frames = Frames::stream(endpoint, usage, &id, model, prompt_tokens);
            let mut response = Response::new(Either::Left(EventStream::new(ticket, frames)));
            let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            Ok(response)
        }
    }
}

fn submit(app: &App, generation: &openai::Generation) -> Ticket {
    let id = RequestId(app.requests.fetch_add(1, Ordering::Relaxed));
    let feed = Arc::new(Feed::default());
    let command = Command::Submit {
        request: engine::Request::new(id, generation.budget, generation.eos),
        arrived: app.epoch.elapsed(),
        feed: Arc::clone(&feed),
    };
    // The engine's thread lives as long as this sender.
    let _sent = app.commands.send(command);
    Ticket {
        id,
        feed,
        finished: AtomicBool::new(false),
        commands: app.commands.clone(),
        lateness: Arc::clone(&app.lateness),
        epoch: app.epoch,
    }
}

fn response_id(app: &App) -> ResponseId {
    let mut ids = app.ids.lock().unwrap_or_else(PoisonError::into_inner);
    ResponseId {
        hex: format!("{:016x}{:016x}", ids.next_u64(), ids.next_u64()),
        created: SystemTime::UNIX_EPOCH
            .elapsed()
            .map_or(0, |since| since.as_secs()),
    }
}

fn text(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = Response::new(Either::Right(Full::new(body.into())));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
