//! The life of a generation between its connection and the engine, and what faults make of its response.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use tokio::sync::Notify;

use crate::broken::BrokenBody;
use crate::driver::{Command, Siblings};
use crate::embeddings;
use crate::engine::{self, FinishReason, RequestId};
use crate::events::Events;
use crate::fault::{self, Fault};
use crate::feed::{Feed, Progress};
use crate::frames::{self, ChoiceApi, Frames, ResponseId, Usage};
use crate::http::{App, ResponseBody, json, response_id};
use crate::line::Line;
use crate::mishap::{Event, Mishaps};
use crate::openai::{self, ApiError, Delivery, Endpoint, Generation, StreamUsage};
use crate::responses::{self, ResponseFrames, ResponseUsage};
use crate::stream::{ERROR, EventStream};
use crate::telemetry::Lateness;

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
        self.lateness.lock().unwrap_or_else(PoisonError::into_inner).observe(late);
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

/// Answers a request for a generation, of which `asked` are the faults that its header names.
pub(crate) async fn generate(
    app: &Arc<App>,
    line: &Arc<Line>,
    endpoint: Endpoint,
    body: &[u8],
    asked: Option<&str>,
) -> Result<Response<ResponseBody>, ApiError> {
    let asked =
        fault::from_header(asked.unwrap_or_default()).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let number = app.generations.fetch_add(1, Ordering::Relaxed);
    let faults = app.faults.of_request(number, &asked);
    app.count_faults(&faults);
    if let Some(refusal) = refusal(&faults, line).await {
        return Ok(refusal);
    }
    let generation = openai::parse(endpoint, body, &app.profile)?;
    let id = response_id(app);
    let model = app.profile.served_model();
    let budgets = generation.prompts.iter().map(|(budget, _)| *budget);
    let prompt_tokens = budgets.fold(0u32, |sum, b| sum.saturating_add(b.prompt_tokens));
    let tickets = submit(app, &generation);
    let mishaps = Mishaps::new(&faults);
    match generation.delivery {
        Delivery::Whole => {
            let mut ends = Vec::with_capacity(tickets.len());
            for ticket in &tickets {
                ends.push(ticket.feed.finished().await);
                ticket.mark_finished();
            }
            app.death.spare().await;
            let sent = ends.iter().fold(0u32, |sum, (end, _)| sum.saturating_add(end.tokens));
            let usage =
                (!mishaps.usage.missing).then(|| Usage { prompt_tokens, completion_tokens: mishaps.usage.told(sent) });
            let whole = whole(&generation, &id, model, &ends, usage);
            Ok(in_one_piece(whole, &faults, &mishaps, line))
        }
        Delivery::Stream(usage) => {
            app.death.spare().await;
            let events = events(generation, usage, id, model, prompt_tokens);
            let stream = EventStream::new(tickets, events, mishaps, Arc::clone(line));
            let mut response = Response::new(ResponseBody::stream(stream));
            let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            Ok(response)
        }
    }
}

/// What renders the stream of a generation.
fn events(generation: Generation, usage: StreamUsage, id: ResponseId, model: &str, prompt_tokens: u32) -> Events {
    let echo = generation.echo();
    let text = generation.text;
    let api = match generation.endpoint {
        Endpoint::Responses => {
            let frames = ResponseFrames::new(id, model, echo, prompt_tokens, text);
            return Events::Response(frames);
        }
        Endpoint::Completions => ChoiceApi::Completions,
        // Embeddings are never streamed.
        Endpoint::Chat | Endpoint::Embeddings => ChoiceApi::Chat,
    };
    Events::Choices(Frames::stream(api, usage, &id, model, prompt_tokens, text))
}

/// Body of an answer in one piece.
fn whole(
    generation: &Generation,
    id: &ResponseId,
    model: &str,
    ends: &[(Progress, FinishReason)],
    usage: Option<Usage>,
) -> String {
    let text = &generation.text;
    let lengths: Vec<_> = ends.iter().map(|&(end, why)| (end.tokens, why)).collect();
    match (generation.endpoint, ends) {
        (Endpoint::Responses, [(end, why), ..]) => {
            let usage = usage.map(|usage| ResponseUsage { usage, cached: end.cached });
            responses::whole(id, model, generation.echo(), text, (end.tokens, *why), usage)
        }
        (Endpoint::Embeddings, _) => embeddings::whole(id, model, ends.len(), usage),
        (Endpoint::Completions, _) => frames::whole(ChoiceApi::Completions, id, model, text, &lengths, usage),
        _ => frames::whole(ChoiceApi::Chat, id, model, text, &lengths, usage),
    }
}

/// What faults answer instead of the engine.
async fn refusal(faults: &[Fault], line: &Line) -> Option<Response<ResponseBody>> {
    for fault in faults {
        match *fault {
            Fault::ResetBeforeHead => {
                line.reset();
                pending::<()>().await;
            }
            Fault::Status { code, retry_after } => {
                let kind = match code {
                    429 => "RateLimitError",
                    503 => "ServiceUnavailableError",
                    500.. => "InternalServerError",
                    _ => "BadRequestError",
                };
                let error = ApiError::new(code, kind, format!("simulated fault: status {code}"));
                let mut response = json(code, error.body());
                if let Some(seconds) = retry_after {
                    let headers = response.headers_mut();
                    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                return Some(response);
            }
            _ => {}
        }
    }
    None
}

fn in_one_piece(whole: String, faults: &[Fault], mishaps: &Mishaps, line: &Arc<Line>) -> Response<ResponseBody> {
    if faults.is_empty() {
        return json(200, whole);
    }
    let body = if mishaps.events().any(|event| event == Event::Error) {
        ERROR.to_owned()
    } else if mishaps.events().any(|event| event == Event::Malformed) {
        whole[..whole.len() - 1].to_owned()
    } else {
        whole
    };
    let broken = BrokenBody::new(Bytes::from(body), mishaps, Arc::clone(line));
    let mut response = Response::new(ResponseBody::broken(broken));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Hands every choice of every prompt to the engine.
fn submit(app: &App, generation: &Generation) -> Vec<Ticket> {
    let arrived = app.epoch.elapsed();
    let each = |(budget, prompt): &(_, engine::PromptBlocks), siblings: &Arc<Siblings>| {
        let id = RequestId(app.requests.fetch_add(1, Ordering::Relaxed));
        let feed = Arc::new(Feed::default());
        let request = engine::Request {
            stop_at: generation.text.stop().map(|stop| stop.token),
            prompt: prompt.clone(),
            ..engine::Request::new(id, *budget, generation.eos)
        };
        // The engine's thread lives as long as this sender.
        let _sent = app.commands.send(Command::Submit {
            request,
            arrived,
            feed: Arc::clone(&feed),
            siblings: Arc::clone(siblings),
        });
        Ticket {
            id,
            feed,
            finished: AtomicBool::new(false),
            commands: app.commands.clone(),
            lateness: Arc::clone(&app.lateness),
            epoch: app.epoch,
        }
    };
    let mut tickets = Vec::new();
    for prompt in &generation.prompts {
        let siblings = Arc::new(Siblings::new(generation.n));
        tickets.extend((0..generation.n).map(|_| each(prompt, &siblings)));
    }
    tickets
}
