//! The responses API: one event type for every thing that happens, and a whole response at the end.
//!
//! Follows OpenAI's API reference (`response.output_text.delta`, `response.completed` and their like) and what vLLM
//! 0.11.2 sends (`fixtures/sse`). Token-bearing are the deltas of text, refusals, reasoning and the arguments of calls;
//! events that repeat a whole part (`….done`) are not. The same reading serves an answer in one piece, which is the
//! object that a stream's last event carries.

use serde::Deserialize;
use serde_json::Value;

use super::{
    chunk::{Bearing, Chunk, Event, PromptTokensDetails, Usage},
    message_of,
};

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: Option<String>,
    delta: Option<Value>,
    response: Option<WireResponse>,
    error: Option<Value>,
    message: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireResponse {
    object: Option<String>,
    status: Option<String>,
    error: Option<Value>,
    incomplete_details: Option<Incomplete>,
    output: Vec<Item>,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Incomplete {
    reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Item {
    #[serde(rename = "type")]
    kind: String,
    content: Option<Vec<Part>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

#[derive(Clone, Copy, Deserialize, Default)]
#[serde(default)]
struct WireUsage {
    input_tokens: Option<u64>,
    input_tokens_details: Option<PromptTokensDetails>,
    output_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(usage: WireUsage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            prompt_tokens_details: usage.input_tokens_details,
        }
    }
}

/// Reads the data of one server-sent event.
///
/// # Errors
/// When it is no JSON object of the expected shape.
pub fn parse_response_event(data: &[u8]) -> Result<Event, serde_json::Error> {
    match data.trim_ascii() {
        b"" => return Ok(Event::Empty),
        // vLLM's older versions and proxies close every stream so.
        b"[DONE]" => return Ok(Event::Done),
        _ => {}
    }
    let wire: Wire = serde_json::from_slice(data)?;
    let kind = wire.kind.as_deref().unwrap_or_default();
    Ok(match kind {
        "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
            end(wire.response.unwrap_or_default())
        }
        "error" => Event::Error(
            wire.message.or_else(|| wire.error.as_ref().map(message_of)).unwrap_or_else(|| "error".to_owned()),
        ),
        // An error document in place of an event.
        "" => match wire.error {
            Some(error) => Event::Error(message_of(&error)),
            None => Event::Empty,
        },
        other => delta(other, wire.delta.as_ref()),
    })
}

/// A whole response; none when it is none.
pub(super) fn parse_whole(data: &[u8]) -> Result<Event, serde_json::Error> {
    let response: WireResponse = serde_json::from_slice(data)?;
    if response.object.as_deref() != Some("response") {
        let wire: Wire = serde_json::from_slice(data)?;
        let error = wire.error.as_ref().map(message_of).or(wire.message);
        return Ok(error.map_or(Event::Empty, Event::Error));
    }
    let bearing = of_items(&response.output);
    Ok(match end(response) {
        Event::Chunk(chunk) => Event::Chunk(Chunk { bearing, ..chunk }),
        other => other,
    })
}

fn end(response: WireResponse) -> Event {
    if let Some(error) = &response.error {
        return Event::Error(message_of(error));
    }
    let reason = response.incomplete_details.and_then(|details| details.reason);
    match response.status.as_deref() {
        Some("failed" | "cancelled") => Event::Error("the server gave the response up".to_owned()),
        status => Event::Chunk(Chunk {
            bearing: Bearing::default(),
            finish_reason: reason.or_else(|| status.map(str::to_owned)),
            usage: response.usage.map(Into::into),
            times: None,
        }),
    }
}

fn of_items(items: &[Item]) -> Bearing {
    let kinds = |of: &[&str]| items.iter().any(|item| of.contains(&item.kind.as_str()));
    let reasoning = kinds(&["reasoning"]);
    let output = items.iter().any(|item| item.kind != "reasoning");
    Bearing { token: reasoning || output, reasoning, output }
}

fn delta(kind: &str, delta: Option<&Value>) -> Event {
    let Some(subject) = kind.strip_suffix(".delta") else {
        // A beginning, an end, or a kind that is not known: nothing of it is a token.
        return Event::Empty;
    };
    let full = match delta {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Null) | None => return Event::Empty,
        Some(_) => true,
    };
    let reasoning = subject.starts_with("response.reasoning");
    // As with an empty `content`: a token that decodes to nothing is neither.
    Event::Chunk(Chunk {
        bearing: Bearing { token: true, reasoning: full && reasoning, output: full && !reasoning },
        ..Chunk::default()
    })
}

/// Appends what the assistant said in this event: text, not reasoning.
pub(super) fn text_of_event(data: &[u8], text: &mut String) {
    let Ok(wire) = serde_json::from_slice::<Wire>(data) else {
        return;
    };
    if wire.kind.as_deref() == Some("response.output_text.delta")
        && let Some(Value::String(piece)) = wire.delta
    {
        text.push_str(&piece);
    }
}

/// Appends what the assistant said in a whole response.
pub(super) fn text_of_whole(data: &[u8], text: &mut String) {
    let Ok(response) = serde_json::from_slice::<WireResponse>(data) else {
        return;
    };
    let parts = response.output.into_iter().filter_map(|item| item.content);
    for part in parts.flatten().filter(|part| part.kind == "output_text") {
        text.push_str(&part.text.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Event types of OpenAI's API reference, and which of them are tokens.
    #[test]
    fn deltas_are_tokens_and_repetitions_are_not() {
        let bearing = |kind: &str, delta: &str| {
            let data =
                format!(r#"{{"type":"{kind}","item_id":"i","output_index":0,"delta":{delta},"sequence_number":4}}"#);
            match parse_response_event(data.as_bytes()).unwrap() {
                Event::Chunk(chunk) => (chunk.bearing.token, chunk.bearing.reasoning, chunk.bearing.output),
                Event::Empty => (false, false, false),
                other => unreachable!("{other:?}"),
            }
        };
        let (nothing, output, reasoning) = ((false, false, false), (true, false, true), (true, true, false));
        for (kind, delta, expected) in [
            ("response.output_text.delta", r#""In""#, output),
            ("response.output_text.delta", r#""""#, (true, false, false)),
            ("response.refusal.delta", r#""no""#, output),
            ("response.function_call_arguments.delta", r#""{\"""#, output),
            ("response.reasoning_text.delta", r#""hm""#, reasoning),
            ("response.reasoning_summary_text.delta", r#""hm""#, reasoning),
            ("response.output_text.done", "null", nothing),
            ("response.content_part.added", "null", nothing),
            ("response.created", "null", nothing),
            ("response.some_future_event", "null", nothing),
        ] {
            assert_eq!(bearing(kind, delta), expected, "{kind}");
        }
    }

    #[test]
    fn the_end_says_why_and_how_many() {
        let incomplete = br#"{"type":"response.incomplete","response":{"object":"response","status":"incomplete","error":null,"incomplete_details":{"reason":"max_output_tokens"},"output":[],"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":3},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":13}},"sequence_number":9}"#;
        let Ok(Event::Chunk(chunk)) = parse_response_event(incomplete) else { unreachable!() };
        let usage = chunk.usage.unwrap();
        assert_eq!(chunk.finish_reason.as_deref(), Some("max_output_tokens"));
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(9), Some(4)));
        assert_eq!(usage.prompt_tokens_details.unwrap().cached_tokens, Some(3));
        assert!(!chunk.bearing.token);
        for (failed, message) in [
            (
                r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"boom"}}}"#,
                "boom",
            ),
            (r#"{"type":"error","code":"ERR","message":"boom","param":null,"sequence_number":1}"#, "boom"),
            (r#"{"error":{"message":"boom","code":400}}"#, "boom"),
        ] {
            let event = parse_response_event(failed.as_bytes()).unwrap();
            assert_eq!(event, Event::Error(message.to_owned()));
        }
        assert!(parse_response_event(b"{\"type\":").is_err());
    }
}
