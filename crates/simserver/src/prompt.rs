//! Prompts: how many tokens they have, and which, as far as the prefix cache has to know.
//!
//! There is no tokeniser. A prompt has ceil(UTF-8 bytes / 4) tokens, and every four bytes are one; a chat has 10 more for its template, three
//! before the contents of its messages and seven after; token ids count as they are.

use serde_json::Value;

use crate::api::{ApiError, Endpoint};

/// Tokens that a chat template puts before the contents of the messages, and after.
const TEMPLATE_TOKENS: (u32, u32) = (3, 7);
/// UTF-8 bytes that stand for one token.
const BYTES_PER_TOKEN: usize = 4;
/// Ids from here on are the template's: text and token ids stay below.
const TEMPLATE_ID: u64 = 1 << 40;

/// One prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// The contents of all messages in one.
    Chat(Vec<u8>),
    Text(Vec<u8>),
    Ids(Vec<u64>),
}

impl Prompt {
    /// Its tokens, 2^32 − 1 at most.
    pub(crate) fn count(&self) -> u32 {
        let (before, after) = TEMPLATE_TOKENS;
        let saturated = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        match self {
            Self::Chat(bytes) => saturated(bytes.len().div_ceil(BYTES_PER_TOKEN)).saturating_add(before + after),
            Self::Text(bytes) => saturated(bytes.len().div_ceil(BYTES_PER_TOKEN)),
            Self::Ids(ids) => saturated(ids.len()),
        }
    }

    /// The tokens themselves.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = u64> {
        let (bytes, ids, template) = match self {
            Self::Chat(bytes) => (bytes.as_slice(), [].as_slice(), TEMPLATE_TOKENS),
            Self::Text(bytes) => (bytes.as_slice(), [].as_slice(), (0, 0)),
            Self::Ids(ids) => ([].as_slice(), ids.as_slice(), (0, 0)),
        };
        let before = (0..template.0).map(|id| TEMPLATE_ID + u64::from(id));
        let after = (0..template.1).map(|id| 2 * TEMPLATE_ID + u64::from(id));
        let text =
            bytes.chunks(BYTES_PER_TOKEN).map(|four| four.iter().fold(1, |token, byte| token << 8 | u64::from(*byte)));
        before.chain(text).chain(ids.iter().copied()).chain(after)
    }
}

/// The prompts of a request: one of a chat or a response, one or several of a completion or an embedding.
pub(crate) fn prompts(endpoint: Endpoint, body: &Value) -> Result<Vec<Prompt>, ApiError> {
    match endpoint {
        Endpoint::Chat => chat(body, "messages").map(|prompt| vec![prompt]),
        Endpoint::Responses => response(body).map(|prompt| vec![prompt]),
        Endpoint::Completions => texts(body, "prompt"),
        Endpoint::Embeddings => texts(body, "input"),
    }
}

/// `input` of the responses API: one message, or a list of them.
fn response(body: &Value) -> Result<Prompt, ApiError> {
    match body.get("input") {
        Some(Value::String(text)) => Ok(Prompt::Chat(text.clone().into_bytes())),
        _ => chat(body, "input"),
    }
}

fn chat(body: &Value, field: &str) -> Result<Prompt, ApiError> {
    let messages = body.get(field).ok_or_else(|| missing(field))?;
    let messages = messages
        .as_array()
        .ok_or_else(|| ApiError::validation("list_type", &format!("'{field}'"), "Input should be a valid list", ""))?;
    let mut bytes = Vec::new();
    for message in messages {
        match &message["content"] {
            Value::String(text) => bytes.extend_from_slice(text.as_bytes()),
            Value::Array(parts) => {
                for text in parts.iter().filter_map(|part| part["text"].as_str()) {
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
            _ => {}
        }
    }
    Ok(Prompt::Chat(bytes))
}

fn texts(body: &Value, field: &str) -> Result<Vec<Prompt>, ApiError> {
    let invalid = || ApiError::validation("string_type", &format!("'{field}'"), "Input should be a valid string", "");
    let prompt = body.get(field).ok_or_else(|| missing(field))?;
    let one = |value: &Value| match value {
        Value::String(text) => Ok(Prompt::Text(text.clone().into_bytes())),
        Value::Array(ids) => ids.iter().map(Value::as_u64).collect::<Option<_>>().map(Prompt::Ids).ok_or_else(invalid),
        _ => Err(invalid()),
    };
    match prompt {
        Value::Array(items) if items.is_empty() => Err(ApiError::bad_request("please provide at least one prompt")),
        Value::Array(items) if !items.iter().all(Value::is_u64) => items.iter().map(one).collect(),
        _ => one(prompt).map(|prompt| vec![prompt]),
    }
}

fn missing(name: &str) -> ApiError {
    ApiError::validation("missing", &format!("'{name}'"), "Field required", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(endpoint: Endpoint, body: &str) -> Vec<Prompt> {
        prompts(endpoint, &serde_json::from_str(body).unwrap()).unwrap()
    }

    #[test]
    fn prompt_tokens_follow_the_documented_rule() {
        let count = |endpoint, body: &str| {
            let prompts = of(endpoint, body);
            for prompt in &prompts {
                assert_eq!(prompt.tokens().count() as u64, u64::from(prompt.count()));
            }
            prompts.iter().map(Prompt::count).sum::<u32>()
        };
        // 5 + 3 bytes ("가" is three) in two messages, one of them in parts: ceil(8 / 4) + 10.
        let messages =
            r#"{"messages":[{"content":"abcde"},{"content":[{"type":"text","text":"가"}]},{"content":null}]}"#;
        assert_eq!(count(Endpoint::Chat, messages), 12);
        let input = messages.replace("messages", "input");
        assert_eq!(count(Endpoint::Responses, &input), 12);
        assert_eq!(count(Endpoint::Responses, r#"{"input":"abcdefgh"}"#), 12);
        assert_eq!(count(Endpoint::Embeddings, r#"{"input":["abcde","a"]}"#), 3);
        assert_eq!(count(Endpoint::Completions, r#"{"prompt":"abcde"}"#), 2);
        assert_eq!(count(Endpoint::Completions, r#"{"prompt":["abcde"]}"#), 2);
        assert_eq!(count(Endpoint::Completions, r#"{"prompt":[1,2,3]}"#), 3);
        assert_eq!(count(Endpoint::Completions, r#"{"prompt":[[1,2,3]]}"#), 3);
        assert_eq!(count(Endpoint::Completions, r#"{"prompt":["abcde","a"]}"#), 3);
    }

    #[test]
    fn prompts_that_begin_alike_have_the_same_first_tokens() {
        let tokens = |content: &str| {
            let body = format!(r#"{{"messages":[{{"content":"{content}"}}]}}"#);
            of(Endpoint::Chat, &body)[0].tokens().collect::<Vec<_>>()
        };
        let (a, b) = (tokens("eight by now and more"), tokens("eight by then"));
        assert_eq!(a[..3 + 2], b[..3 + 2]);
        assert_ne!(a[3 + 2], b[3 + 2]);
        // A token of one byte is not one of two with a zero.
        assert_ne!(tokens("a")[3], tokens("\\u0000a")[3]);
    }
}
