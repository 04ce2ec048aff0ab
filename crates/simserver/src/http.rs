//! The HTTP face: routes, headers and pages. Generations are in `generate`.
//!
//! HTTP/1.1 with keep-alive, over hyper. Every response carries `x-simulated: plimsoll <profile>`, and `/simulation` tells the whole
//! profile; the version is vLLM's with a local label (PEP 440, and build metadata to semantic versioning), so a client that reads versions
//! takes it for 0.11.2 and one that looks sees that it is simulated. The header `x-sim-fault` asks for faults of one request (see `fault`).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::{Method, Request, Response, StatusCode};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;

use crate::broken::BrokenBody;
use crate::driver::Command;
use crate::fault::{Fault, FaultPlan};
use crate::frames::{self, ResponseId};
use crate::generate::{Death, generate};
use crate::line::Line;
use crate::metrics::{self, MetricNames};
use crate::openai::{self, Endpoint};
use crate::profile::Profile;
use crate::stream::EventStream;
use crate::telemetry::{Lateness, Telemetry};

const VERSION: &str = "0.11.2+plimsoll.sim";
const JSON: &str = "application/json";
/// Longest request body; a prompt of 131,072 tokens has half a MiB here.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Header by which a request asks for faults.
const FAULT_HEADER: &str = "x-sim-fault";

/// What is sent after the head.
pub(crate) enum ResponseBody {
    Stream(Box<EventStream>),
    Broken(Box<BrokenBody>),
    Full(Full<Bytes>),
}

impl ResponseBody {
    pub(crate) fn stream(stream: EventStream) -> Self {
        Self::Stream(Box::new(stream))
    }

    pub(crate) fn broken(body: BrokenBody) -> Self {
        Self::Broken(Box::new(body))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Stream(stream) => Pin::new(stream).poll_frame(context),
            Self::Broken(body) => Pin::new(body).poll_frame(context),
            Self::Full(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Stream(_) | Self::Broken(_) => false,
            Self::Full(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Stream(_) => SizeHint::default(),
            Self::Broken(body) => body.size_hint(),
            Self::Full(body) => body.size_hint(),
        }
    }
}

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
    /// Requests of the engine, several where a generation has several choices.
    pub(crate) requests: AtomicU64,
    pub(crate) generations: AtomicU64,
    pub(crate) faults: FaultPlan,
    /// How often each fault has struck.
    pub(crate) struck: Mutex<BTreeMap<&'static str, u64>>,
    pub(crate) metric_names: MetricNames,
    pub(crate) death: Death,
}

impl App {
    pub(crate) fn count_faults(&self, faults: &[Fault]) {
        if faults.is_empty() {
            return;
        }
        let mut struck = self.struck.lock().unwrap_or_else(PoisonError::into_inner);
        for fault in faults {
            *struck.entry(fault.name()).or_default() += 1;
        }
    }
}

/// Answers one request.
pub(crate) async fn handle(
    app: Arc<App>,
    line: Arc<Line>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let mut response = route(&app, &line, request).await;
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("plimsoll-simserver"));
    if let Ok(value) = HeaderValue::from_str(&format!("plimsoll {}", app.profile.name())) {
        headers.insert("x-simulated", value);
    }
    Ok(response)
}

async fn route(app: &Arc<App>, line: &Arc<Line>, request: Request<Incoming>) -> Response<ResponseBody> {
    let path = request.uri().path().to_owned();
    let asked = request.headers().get(FAULT_HEADER);
    // What is not text is no fault, and is refused as such.
    let asked = asked.map(|value| value.to_str().unwrap_or("?").to_owned());
    let asked = asked.as_deref();
    let allowed = match path.as_str() {
        "/v1/chat/completions" | "/v1/completions" | "/v1/responses" | "/v1/embeddings" | "/tokenize" => Method::POST,
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
    let body = match Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => return text(413, JSON, r#"{"detail":"Request body too large"}"#),
    };
    let answer = match path.as_str() {
        "/tokenize" => openai::parse_tokenize(&body, &app.profile)
            .map(|(count, spelled)| json(200, frames::tokenized(&app.profile, count, spelled))),
        path => generate(app, line, endpoint(path), &body, asked).await,
    };
    answer.unwrap_or_else(|error| json(error.status, error.body()))
}

fn endpoint(path: &str) -> Endpoint {
    match path {
        "/v1/completions" => Endpoint::Completions,
        "/v1/responses" => Endpoint::Responses,
        "/v1/embeddings" => Endpoint::Embeddings,
        _ => Endpoint::Chat,
    }
}

fn page(app: &App, path: &str) -> Response<ResponseBody> {
    match path {
        "/health" => Response::new(ResponseBody::Full(Full::default())),
        "/version" => json(200, format!(r#"{{"version":"{VERSION}"}}"#)),
        "/v1/models" => json(200, frames::models(&app.profile, &response_id(app))),
        "/simulation" => match serde_json::to_string(&app.profile) {
            Ok(profile) => {
                let faults: Vec<String> = app.faults.rules().iter().map(ToString::to_string).collect();
                let faults = serde_json::Value::from(faults);
                json(200, format!(r#"{{"simulated":true,"profile":{profile},"faults":{faults}}}"#))
            }
            Err(_) => text(500, JSON, r#"{"detail":"Internal Server Error"}"#),
        },
        _ => {
            let telemetry = app.telemetry.lock().unwrap_or_else(PoisonError::into_inner);
            let lateness = app.lateness.lock().unwrap_or_else(PoisonError::into_inner);
            let struck = app.struck.lock().unwrap_or_else(PoisonError::into_inner);
            let page = metrics::Exposition {
                telemetry: &telemetry,
                lateness: &lateness,
                faults: &struck,
                profile: &app.profile,
                names: app.metric_names,
                created: app.created,
            };
            let page = page.render();
            text(200, "text/plain; version=1.0.0; charset=utf-8", page)
        }
    }
}

/// Names a response.
pub(crate) fn response_id(app: &App) -> ResponseId {
    let mut ids = app.ids.lock().unwrap_or_else(PoisonError::into_inner);
    ResponseId {
        hex: format!("{:016x}{:016x}", ids.next_u64(), ids.next_u64()),
        created: SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
    }
}

/// A response of JSON.
pub(crate) fn json(status: u16, body: impl Into<Bytes>) -> Response<ResponseBody> {
    text(status, JSON, body)
}

fn text(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Full(Full::new(body.into())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
