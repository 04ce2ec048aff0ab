//! The HTTP face: routes, headers and pages. Generations are in `generate`.
//!
//! HTTP/1.1 with keep-alive, over hyper. Every response carries `x-simulated: plimsoll <profile>`, and `/simulation` tells the whole
//! profile; the version is vLLM's with a local label (PEP 440, and build metadata to semantic versioning), so a client that reads versions
//! takes it for 0.11.2 and one that looks sees that it is simulated. The header `x-sim-fault` asks for faults of one request (see `fault`).

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue, SERVER};
use hyper::{Method, Request, Response};

use crate::api::Endpoint;
use crate::app::App;
use crate::body::{JSON, ResponseBody, json, text};
use crate::connection::Control;
use crate::frames;
use crate::generate::generate;
use crate::metrics;
use crate::openai;

const VERSION: &str = "0.11.2+plimsoll.sim";
/// Longest request body; a prompt of 131,072 tokens has half a MiB here.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Header by which a request asks for faults.
const FAULT_HEADER: &str = "x-sim-fault";

/// Answers one request.
pub(crate) async fn handle(
    app: Arc<App>,
    control: Arc<Control>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let mut response = route(&app, &control, request).await;
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("plimsoll-simserver"));
    if let Ok(value) = HeaderValue::from_str(&format!("plimsoll {}", app.profile.name())) {
        headers.insert("x-simulated", value);
    }
    Ok(response)
}

async fn route(app: &Arc<App>, control: &Arc<Control>, request: Request<Incoming>) -> Response<ResponseBody> {
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
        path => generate(app, control, endpoint(path), &body, asked).await,
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
        "/v1/models" => json(200, frames::models(&app.profile, &app.response_id())),
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
