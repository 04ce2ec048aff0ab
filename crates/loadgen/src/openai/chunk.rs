//! Streamed chunks, read for what a timeline needs: is there a token, has the stream ended, what did the server count.
//!
//! Content-bearing (`docs/methodology.md`): text of `content`, `reasoning`, `reasoning_content`, a tool or function
//! call, or `content: ""` without `role`, which is a token that decodes to nothing. A delta with a role and no text,
//! whose content is `""` (vLLM) or `null` (llama.cpp), is not a token.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// What the data of one server-sent event is.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// `[DONE]`.
    Done,
    /// A chunk.
    Chunk(Chunk),
    /// An error inside a response that began as a success, with the server's message.
    Error(String),
    /// Nothing: some servers send empty data to keep a connection alive.
    Empty,
}

/// The part of a chunk that matters here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chunk {
    /// Which kinds of tokens it carries.
    pub bearing: Bearing,
    /// Why the answer ended, in the chunk that says so.
    pub finish_reason: Option<String>,
    /// The server's count of tokens; in a chunk of its own or riding on one with content.
    pub usage: Option<Usage>,
    /// The server's times (llama.cpp).
    pub times: Option<ServerTimes>,
}

/// Which kinds of tokens a chunk carries. A token that decodes to nothing is neither reasoning nor output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bearing {
    /// Any at all.
    pub token: bool,
    /// Text that is marked as reasoning.
    pub reasoning: bool,
    /// Text or a call that is not.
    pub output: bool,
}

impl Bearing {
    fn or(self, other: Self) -> Self {
        Self {
            token: self.token || other.token,
            reasoning: self.reasoning || other.reasoning,
            output: self.output || other.output,
        }
    }
}

/// Tokens as the server counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Of the prompt, chat template included.
    pub prompt_tokens: Option<u64>,
    /// Generated so far.
    pub completion_tokens: Option<u64>,
    /// More about the prompt.
    pub prompt_tokens_details: Option<PromptTokensDetails>,
}

/// What the server says about the prompt's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PromptTokensDetails {
    /// Taken from the prefix cache.
    pub cached_tokens: Option<u64>,
}

/// `timings` of llama.cpp, in its own names and milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct ServerTimes {
    prompt_n: u64,
    prompt_ms: f64,
    predicted_n: u64,
    predicted_ms: f64,
}

impl From<ServerTimes> for records::ServerTimings {
    fn from(times: ServerTimes) -> Self {
        let ns = |ms: f64| {
            let time = Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default();
            u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
        };
        Self {
            prompt_tokens: times.prompt_n,
            prompt_ns: ns(times.prompt_ms),
            output_tokens: times.predicted_n,
            output_ns: ns(times.predicted_ms),
        }
    }
}

/// Reads the data of one server-sent event.
///
/// # Errors
/// When it is neither `[DONE]` nor a JSON object of the expected shape (which includes data that is not UTF-8).
pub fn parse_event(data: &[u8]) -> Result<Event, serde_json::Error> {
    match data.trim_ascii() {
        b"" => return Ok(Event::Empty),
        b"[DONE]" => return Ok(Event::Done),
        _ => {}
    }
    let wire: WireChunk = serde_json::from_slice(data)?;
    if let Some(error) = wire.error {
        return Ok(Event::Error(message_of(&error)));
    }
    if let (Some(message), None) = (wire.message, &wire.choices) {
        return Ok(Event::Error(message));
    }
    let Choices { bearing, finish_reason } = wire.choices.unwrap_or_default();
    Ok(Event::Chunk(Chunk { bearing, finish_reason, usage: wire.usage, times: wire.timings }))
}

/// The server's message in a body that is an OpenAI error document, `{"error": …}` or vLLM's older `{"message": …}`.
pub fn error_message(body: &[u8]) -> Option<String> {
    match parse_event(body) {
        Ok(Event::Error(message)) => Some(message),
        _ => None,
    }
}

pub(super) fn message_of(error: &Value) -> String {
    match error.get("message").unwrap_or(error) {
        Value::String(message) => message.clone(),
        other => other.to_string(),
    }
}

#[derive(Deserialize)]
struct WireChunk {
    choices: Option<Choices>,
    usage: Option<Usage>,
    timings: Option<ServerTimes>,
    error: Option<Value>,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct WireChoice {
    delta: Option<WireDelta>,
    /// Of an answer that is not streamed.
    message: Option<WireDelta>,
    /// Of the completions API, which has no deltas.
    text: Presence,
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireDelta {
    role: Presence,
    content: Presence,
    reasoning: Presence,
    reasoning_content: Presence,
    tool_calls: Presence,
    function_call: Presence,
}

impl WireChoice {
    fn bearing(&self) -> Bearing {
        let delta = self.delta.as_ref().or(self.message.as_ref()).map(WireDelta::bearing);
        let text = Bearing {
            // llama.cpp closes a completion with an empty text, which is no token, and says why it ended.
            token: self.text == Presence::Full || (self.text == Presence::Empty && self.finish_reason.is_none()),
            reasoning: false,
            output: self.text == Presence::Full,
        };
        text.or(delta.unwrap_or_default())
    }
}

impl WireDelta {
    fn bearing(&self) -> Bearing {
        let any = |fields: &[Presence]| fields.contains(&Presence::Full);
        let reasoning = any(&[self.reasoning, self.reasoning_content]);
        let output = any(&[self.content, self.tool_calls, self.function_call]);
        let silent = self.content == Presence::Empty && self.role == Presence::Absent;
        Bearing { token: reasoning || output || silent, reasoning, output }
    }
}

/// Whether a JSON value says anything. The text itself is not copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Presence {
    /// No such field, or `null`.
    #[default]
    Absent,
    /// `""`, `[]` or `{}`.
    Empty,
    /// Anything else.
    Full,
}

impl Presence {
    fn of(empty: bool) -> Self {
        if empty { Self::Empty } else { Self::Full }
    }
}

impl<'de> Deserialize<'de> for Presence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PresenceVisitor)
    }
}

struct PresenceVisitor;

impl<'de> Visitor<'de> for PresenceVisitor {
    type Value = Presence;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Presence, E> {
        Ok(Presence::Absent)
    }

    fn visit_str<E>(self, text: &str) -> Result<Presence, E> {
        Ok(Presence::of(text.is_empty()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Presence, E> {
        Ok(Presence::Full)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Presence, E> {
        Ok(Presence::Full)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Presence, E> {
        Ok(Presence::Full)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Presence, E> {
        Ok(Presence::Full)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Presence, A::Error> {
        let mut empty = true;
        while items.next_element::<IgnoredAny>()?.is_some() {
            empty = false;
        }
        Ok(Presence::of(empty))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Presence, A::Error> {
        let mut empty = true;
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            empty = false;
        }
        Ok(Presence::of(empty))
    }
}

/// All choices of a chunk in one: folded while they are read, so that no list is made.
#[derive(Default)]
struct Choices {
    bearing: Bearing,
    finish_reason: Option<String>,
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ChoicesVisitor)
    }
}

struct ChoicesVisitor;

impl<'de> Visitor<'de> for ChoicesVisitor {
    type Value = Choices;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of choices")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Choices, A::Error> {
        let mut choices = Choices::default();
        while let Some(choice) = items.next_element::<WireChoice>()? {
            choices.bearing = choices.bearing.or(choice.bearing());
            choices.finish_reason = choice.finish_reason.or(choices.finish_reason);
        }
        Ok(choices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearing(delta: &str) -> (bool, bool, bool) {
        let data = format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#);
        match parse_event(data.as_bytes()) {
            Ok(Event::Chunk(Chunk { bearing, .. })) => (bearing.token, bearing.reasoning, bearing.output),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn what_bears_a_token() {
        let (nothing, silent) = ((false, false, false), (true, false, false));
        let (reasoning, output) = ((true, true, false), (true, false, true));
        for (delta, expected) in [
            (r#"{"role":"assistant","content":""}"#, nothing),
            (r#"{"role":"assistant","content":null}"#, nothing),
            (r#"{"role":"assistant"}"#, nothing),
            (r#"{"role":"assistant","content":"","tool_calls":[]}"#, nothing),
            ("{}", nothing),
            ("null", nothing),
            (r#"{"content":null}"#, nothing),
            (r#"{"content":""}"#, silent),
            (r#"{"content":"","reasoning_content":null}"#, silent),
            (r#"{"content":"a"}"#, output),
            (r#"{"content":"\u00e9\n"}"#, output),
            (r#"{"role":"assistant","content":"a"}"#, output),
            (r#"{"reasoning":"a"}"#, reasoning),
            (r#"{"reasoning_content":"a","content":null}"#, reasoning),
            (r#"{"content":"","reasoning_content":"a"}"#, reasoning),
            (r#"{"content":"b","reasoning":"a"}"#, (true, true, true)),
            (r#"{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}"#, output),
            (r#"{"function_call":{"name":"f"}}"#, output),
        ] {
            assert_eq!(bearing(delta), expected, "{delta}");
        }
    }

    #[test]
    fn usage_comes_alone_or_rides() {
        let usage = r#""usage":{"prompt_tokens":5,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}"#;
        for choices in ["[]", r#"[{"delta":{"content":"a"}}]"#] {
            let data = format!(r#"{{"choices":{choices},{usage}}}"#);
            let Ok(Event::Chunk(chunk)) = parse_event(data.as_bytes()) else { unreachable!() };
            assert_eq!(chunk.bearing.token, choices != "[]");
            let usage = chunk.usage.unwrap();
            assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(5), Some(2)));
            assert_eq!(usage.prompt_tokens_details.unwrap().cached_tokens, Some(4));
        }
        let null = parse_event(br#"{"choices":[],"usage":null}"#).unwrap();
        assert_eq!(null, Event::Chunk(Chunk::default()));
    }

    #[test]
    fn errors_inside_a_stream_keep_the_servers_message() {
        for (data, message) in [
            (r#"{"error":{"message":"boom","type":"X","code":500}}"#, "boom"),
            (r#"{"error":"boom"}"#, "boom"),
            (r#"{"error":{"code":7}}"#, r#"{"code":7}"#),
            (r#"{"object":"error","message":"boom","code":400}"#, "boom"),
        ] {
            assert_eq!(parse_event(data.as_bytes()).unwrap(), Event::Error(message.to_owned()));
        }
        assert_eq!(error_message(b"<html>"), None);
    }

    #[test]
    fn what_is_no_chunk_is_an_error_not_a_skip() {
        for data in [
            &b"{\"choices\":["[..],
            b"\"text\"",
            b"{\"choices\":5}",
            b"{\"choices\":[{\"delta\":{\"content\":\"\xFF\"}}]}",
        ] {
            assert!(parse_event(data).is_err(), "{}", String::from_utf8_lossy(data));
        }
        assert_eq!(parse_event(b" [DONE]").unwrap(), Event::Done);
        assert_eq!(parse_event(b"").unwrap(), Event::Empty);
    }
}
