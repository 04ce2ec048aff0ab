//! The life of a generation between its connection and the engine, and what faults make of its response.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};

use crate::api::{ApiError, Delivery, Endpoint, StreamUsage};
use crate::app::App;
use crate::body::{ResponseBody, json};
use crate::body_faults::{BodyFaults, Event};
use crate::connection::Control;
use crate::driver::{Command, Siblings};
use crate::embeddings;
use crate::engine::{self, FinishReason, RequestId};
use crate::fault::{self, Fault};
use crate::faulty_body::FaultyBody;
use crate::frames::{self, ChoiceApi, Frames, ResponseId, Usage};
use crate::openai::{self, Generation};
use crate::progress::{Feed, Progress};
use crate::responses::{self, ResponseFrames, ResponseUsage};
use crate::stream::{ERROR, EventStream};
use crate::stream_events::Events;
use crate::ticket::Ticket;

/// Answers a request for a generation, of which `asked` are the faults that its header names.
pub(crate) async fn generate(
    app: &Arc<App>,
    control: &Arc<Control>,
    endpoint: Endpoint,
    body: &[u8],
    asked: Option<&str>,
) -> Result<Response<ResponseBody>, ApiError> {
    let asked =
        fault::from_header(asked.unwrap_or_default()).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let number = app.generations.fetch_add(1, Ordering::Relaxed);
    let faults = app.faults.of_request(number, &asked);
    app.count_faults(&faults);
    if let Some(refusal) = refusal(&faults, control).await {
        return Ok(refusal);
    }
    let generation = openai::parse(endpoint, body, &app.profile)?;
    let id = app.response_id();
    let model = app.profile.served_model();
    let budgets = generation.prompts.iter().map(|(budget, _)| *budget);
    let prompt_tokens = budgets.fold(0u32, |sum, b| sum.saturating_add(b.prompt_tokens));
    let tickets = submit(app, &generation);
    let body_faults = BodyFaults::new(&faults);
    match generation.delivery {
        Delivery::Whole => {
            let mut ends = Vec::with_capacity(tickets.len());
            for ticket in &tickets {
                ends.push(ticket.feed.finished().await);
                ticket.mark_finished();
            }
            app.death.spare().await;
            let sent = ends.iter().fold(0u32, |sum, (end, _)| sum.saturating_add(end.tokens));
            let usage = (!body_faults.usage.missing)
                .then(|| Usage { prompt_tokens, completion_tokens: body_faults.usage.told(sent) });
            let whole = whole(&generation, &id, model, &ends, usage);
            Ok(in_one_piece(whole, &faults, &body_faults, control))
        }
        Delivery::Stream(usage) => {
            app.death.spare().await;
            let events = events(generation, usage, id, model, prompt_tokens);
            let stream = EventStream::new(tickets, events, body_faults, Arc::clone(control));
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
async fn refusal(faults: &[Fault], control: &Control) -> Option<Response<ResponseBody>> {
    for fault in faults {
        match *fault {
            Fault::ResetBeforeHead => {
                control.reset();
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

fn in_one_piece(
    whole: String,
    faults: &[Fault],
    body_faults: &BodyFaults,
    control: &Arc<Control>,
) -> Response<ResponseBody> {
    if faults.is_empty() {
        return json(200, whole);
    }
    let body = if body_faults.events().any(|event| event == Event::Error) {
        ERROR.to_owned()
    } else if body_faults.events().any(|event| event == Event::Malformed) {
        whole[..whole.len() - 1].to_owned()
    } else {
        whole
    };
    let body = FaultyBody::new(Bytes::from(body), body_faults, Arc::clone(control));
    let mut response = Response::new(ResponseBody::faulty(body));
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
        Ticket::new(id, feed, app.commands.clone(), Arc::clone(&app.lateness), app.epoch)
    };
    let mut tickets = Vec::new();
    for prompt in &generation.prompts {
        let siblings = Arc::new(Siblings::new(generation.n));
        tickets.extend((0..generation.n).map(|_| each(prompt, &siblings)));
    }
    tickets
}
