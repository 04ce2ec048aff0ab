//! Requests of the OpenAI API as vLLM 0.11.2 accepts them, and its refusals.
//!
//! Read here: `model`, `messages` or `prompt`, `max_tokens`, `max_completion_tokens`, `min_tokens`, `ignore_eos`, `stream`,
//! `stream_options`. All else, `stop` and sampling included, is ignored: the text means nothing. Not simulated, and refused rather than
//! ignored: `n` above 1 and several prompts in one request.
//!
//! There is no tokeniser. A prompt has ceil(UTF-8 bytes / 4) tokens, a chat 10 more for its template; token ids count as they are.
//! Error texts are those captured from vLLM 0.11.2, without the echo of the input and the traceback that its validation errors add.

use serde_json::Value;

use crate::engine::Eos;
use crate::profile::{LengthError, Profile, TokenBudget};

/// Tokens that a chat template adds to the contents of the messages.
const CHAT_TEMPLATE_TOKENS: u32 = 10;
/// UTF-8 bytes that stand for one token.
const BYTES_PER_TOKEN: usize = 4;
/// vLLM's `max_tokens` of a completion that does not say; a chat may fill the context.
const COMPLETION_MAX_TOKENS: u32 = 16;

/// Which of the two generating endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Chat,
    Completions,
}

/// How the output is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Whole,
    Stream(StreamUsage),
}

/// When a stream tells its token counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamUsage {
    Never,
    AtEnd,
    /// At the end and on every chunk.
    Continuous,
}

/// A request that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation {
    pub(crate) endpoint: Endpoint,
    pub(crate) budget: TokenBudget,
    pub(crate) eos: Eos,
    pub(crate) delivery: Delivery,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    kind: &'static str,
    message: String,
}

impl ApiError {
    fn bad_request(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind: "BadRequestError",
            message: message.into(),
        }
    }

    /// One entry of a pydantic validation error, in the form that vLLM prints.
    fn validation(kind: &str, loc: &str, msg: &str, rest: &str) -> Self {
        Self {
            status: 400,
            kind: "Bad Request",
            message: format!(
                "1 validation error:\n  {{'type': '{kind}', 'loc': ('body', {loc}), 'msg': '{msg}'{rest}}}"
            ),
        }
    }

    /// Body of the response.
    pub(crate) fn body(&self) -> String {
        let message = Value::from(self.message.as_str());
        format!(
            r#"{{"error":{{"message":{message},"type":"{}","param":null,"code":{}}}}}"#,
            self.kind, self.status
        )
    }
}

/// Reads a request for a generation and holds it against the profile.
pub(crate) fn parse(
    endpoint: Endpoint,
    body: &[u8],
    profile: &Profile,
) -> Result<Generation, ApiError> {
    let body = json(body)?;
    let prompt = prompt_tokens(endpoint, &body)?;
    let max_tokens = match endpoint {
        Endpoint::Chat => match integer(&body, "max_completion_tokens")? {
            None => integer(&body, "max_tokens")?,
            asked => asked,
        },
        Endpoint::Completions => {
            Some(integer(&body, "max_tokens")?.unwrap_or(COMPLETION_MAX_TOKENS.into()))
        }
    };
    let min_tokens = integer(&body, "min_tokens")?.unwrap_or(0);
    let n = integer(&body, "n")?.unwrap_or(1);
    check_model(&body, profile)?;
    if n != 1 {
        return Err(ApiError::bad_request(
            "n must be 1: this simulated server gives one choice",
        ));
    }
    let budget = admit(endpoint, profile, prompt, max_tokens)?;
    let min_tokens = u32::try_from(min_tokens)
        .ok()
        .filter(|&min| min <= budget.max_tokens)
        .ok_or_else(|| {
            ApiError::bad_request(format!(
                "min_tokens must be between 0 and max_tokens={}, got {min_tokens}.",
                budget.max_tokens
            ))
        })?;
    Ok(Generation {
        endpoint,
        budget,
        eos: if flag(&body, "ignore_eos") {
            Eos::Ignored
        } else {
            Eos::Allowed { min_tokens }
        },
        delivery: delivery(&body),
    })
}

/// Reads a request for `/tokenize` and returns the number of tokens.
pub(crate) fn parse_tokenize(body: &[u8], profile: &Profile) -> Result<u32, ApiError> {
    let body = json(body)?;
    let endpoint = match body.get("messages") {
        Some(_) => Endpoint::Chat,
        None => Endpoint::Completions,
    };
    let tokens = prompt_tokens(endpoint, &body)?;
    check_model(&body, profile)?;
    Ok(tokens)
}

fn json(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        ApiError::validation(
            "json_invalid",
            &error.column().to_string(),
            "JSON decode error",
            ", 'input': {}, 'ctx': {'error': 'Expecting value'}",
        )
    })
}

fn check_model(body: &Value, profile: &Profile) -> Result<(), ApiError> {
    match body.get("model") {
        None | Some(Value::Null) => Ok(()), // vLLM takes its own model
        Some(Value::String(model)) if model == profile.served_model() => Ok(()),
        Some(Value::String(model)) => Err(ApiError {
            status: 404,
            kind: "NotFoundError",
            message: format!("The model `{model}` does not exist."),
        }),
        Some(_) => Err(ApiError::validation(
            "string_type",
            "'model'",
            "Input should be a valid string",
            "",
        )),
    }
}

fn admit(
    endpoint: Endpoint,
    profile: &Profile,
    prompt: u32,
    asked: Option<i64>,
) -> Result<TokenBudget, ApiError> {
    // vLLM looks at the prompt before it looks at max_tokens.
    let refuse = |error: LengthError| {
        // Its chat handler appends the cause of the exception, which is none.
        let suffix = if endpoint == Endpoint::Chat {
            " None"
        } else {
            ""
        };
        ApiError::bad_request(format!("{error}{suffix}"))
    };
    profile.admit(prompt, None).map_err(refuse)?;
    let asked = match asked {
        None => None,
        Some(asked) if asked < 1 => {
            return Err(ApiError::bad_request(format!(
                "max_tokens must be at least 1, got {asked}."
            )));
        }
        Some(asked) => Some(u32::try_from(asked).unwrap_or(u32::MAX)),
    };
    profile.admit(prompt, asked).map_err(refuse)
}

fn delivery(body: &Value) -> Delivery {
    if !flag(body, "stream") {
        return Delivery::Whole;
    }
    let options = body.get("stream_options").unwrap_or(&Value::Null);
    Delivery::Stream(
        match (
            flag(options, "include_usage"),
            flag(options, "continuous_usage_stats"),
        ) {
            (false, _) => StreamUsage::Never,
            (true, false) => StreamUsage::AtEnd,
            (true, true) => StreamUsage::Continuous,
        },
    )
}

fn flag(body: &Value, name: &str) -> bool {
    body.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn integer(body: &Value, name: &str) -> Result<Option<i64>, ApiError> {
    let loc = format!("'{name}'");
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.trim().parse().map(Some).map_err(|_| {
            ApiError::validation(
                "int_parsing",
                &loc,
                "Input should be a valid integer, unable to parse string as an integer",
                "",
            )
        }),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| {
            ApiError::validation("int_type", &loc, "Input should be a valid integer", "")
        }),
    }
}

fn prompt_tokens(endpoint: Endpoint, body: &Value) -> Result<u32, ApiError> {
    let missing =
        |name: &str| ApiError::validation("missing", &format!("'{name}'"), "Field required", "");
    match endpoint {
        Endpoint::Chat => {
            let messages = body.get("messages").ok_or_else(|| missing("messages"))?;
            let messages = messages.as_array().ok_or_else(|| {
                ApiError::validation(
                    "list_type",
                    "'messages'",
                    "Input should be a valid list",
                    "",
                )
            })?;
            let bytes = messages
                .iter()
                .map(|message| content_bytes(&message["content"]))
                .sum();
            Ok(tokens_of(bytes).saturating_add(CHAT_TEMPLATE_TOKENS))
        }
        Endpoint::Completions => match body.get("prompt").ok_or_else(|| missing("prompt"))? {
            Value::String(text) => Ok(tokens_of(text.len())),
            Value::Array(items) if items.iter().all(Value::is_u64) => Ok(saturated(items.len())),
            Value::Array(items) => match items.as_slice() {
                [Value::String(text)] => Ok(tokens_of(text.len())),
                [Value::Array(ids)] => Ok(saturated(ids.len())),
                _ => Err(ApiError::bad_request(
                    "prompt must be one string or one list of token ids: this simulated server serves one prompt per request",
                )),
            },
            _ => Err(ApiError::validation(
                "string_type",
                "'prompt'",
                "Input should be a valid string",
                "",
            )),
        },
    }
}

/// UTF-8 bytes of a message's text, whether given as a string or in parts.
fn content_bytes(content: &Value) -> usize {
    match content {
        Value::String(text) => text.len(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .map(str::len)
            .sum(),
        _ => 0,
    }
}

fn tokens_of(bytes: usize) -> u32 {
    saturated(bytes.div_ceil(BYTES_PER_TOKEN))
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "google/gemma-3-12b-it";

    fn chat(rest: &str) -> Result<Generation, ApiError> {
        let profile = Profile::builtin("rtx3090-gemma3-12b-bnb4").unwrap();
        let body = format!(
            r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"abcde"}}]{rest}}}"#
        );
        parse(Endpoint::Chat, body.as_bytes(), &profile)
    }

    #[test]
    fn prompt_tokens_follow_the_documented_rule() {
        let count = |endpoint, body: &str| {
            prompt_tokens(endpoint, &serde_json::from_str(body).unwrap()).unwrap()
        };
        // 5 + 3 bytes ("가" is three) in two messages, one of them in parts: ceil(8 / 4) + 10.
        let messages = r#"{"messages":[{"content":"abcde"},{"content":[{"type":"text","text":"가"}]},{"content":null}]}"#;
        assert_eq!(count(Endpoint::Chat, messages), 12);
        assert_eq!(count(Endpoint::Completions, r#"{"prompt":"abcde"}"#), 2);
        assert_eq!(count(Endpoint::Completions, r#"{"prompt":["abcde"]}"#), 2);
        assert_eq!(count(Endpoint::Completions, r#"{"prompt":[1,2,3]}"#), 3);
        assert_eq!(count(Endpoint::Completions, r#"{"prompt":[[1,2,3]]}"#), 3);
    }

    #[test]
    fn lengths_come_from_the_request_or_from_vllm_defaults() {
        assert_eq!(chat("").unwrap().budget.max_tokens, 4096 - 12);
        assert_eq!(chat(r#","max_tokens":7"#).unwrap().budget.max_tokens, 7);
        let both = chat(r#","max_tokens":7,"max_completion_tokens":9"#).unwrap();
        assert_eq!(both.budget.max_tokens, 9);
        let profile = Profile::builtin("rtx3090-gemma3-12b-bnb4").unwrap();
        let completion = parse(Endpoint::Completions, br#"{"prompt":"x"}"#, &profile).unwrap();
        assert_eq!(completion.budget.max_tokens, 16);
        assert_eq!(completion.eos, Eos::Allowed { min_tokens: 0 });
        assert_eq!(
            chat(r#","max_tokens":7,"min_tokens":3"#).unwrap().eos,
            Eos::Allowed { min_tokens: 3 }
        );
        assert_eq!(chat(r#","ignore_eos":true"#).unwrap().eos, Eos::Ignored);
        assert!(chat(r#","max_tokens":7,"min_tokens":8"#).is_err());
    }

    #[test]
    fn usage_is_sent_only_on_request() {
        for (rest, expected) in [
            ("", Delivery::Whole),
            (r#","stream":true"#, Delivery::Stream(StreamUsage::Never)),
            (
                r#","stream":true,"stream_options":{"include_usage":true}"#,
                Delivery::Stream(StreamUsage::AtEnd),
            ),
            (
                r#","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}"#,
                Delivery::Stream(StreamUsage::Continuous),
            ),
        ] {
            assert_eq!(chat(rest).unwrap().delivery, expected, "{rest}");
        }
    }

    #[test]
    fn what_is_not_simulated_is_refused() {
        assert_eq!(chat(r#","n":2"#).unwrap_err().status, 400);
        let profile = Profile::builtin("fixed").unwrap();
        assert_eq!(
            parse(Endpoint::Completions, br#"{"prompt":["a","b"]}"#, &profile)
                .unwrap_err()
                .status,
            400
        );
    }
}
