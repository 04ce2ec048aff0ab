//! Requests of the OpenAI API as vLLM 0.11.2 accepts them, and its refusals.
//!
//! Read here: `model`, `messages`, `prompt` or `input` (see `prompt`), `n`, `max_tokens`, `max_completion_tokens`, `min_tokens`, `stop`,
//! `include_stop_str_in_output`, `ignore_eos`, `stream`, `stream_options`. All else, sampling included, is ignored: the text means nothing.
//! The responses API knows `max_output_tokens` in place of all that concerns lengths, and drops the rest as vLLM does; it
//! repeats the `temperature`. An embedding is what the engine makes of a prompt and one token.
//! Error texts are those captured from vLLM 0.11.2, without the echo of the input and the traceback that its validation errors add.

use serde_json::Value;

use crate::api::{ApiError, Delivery, Endpoint, StreamUsage};
use crate::engine::{Eos, PromptBlocks};
use crate::profile::{LengthError, Profile, TokenBudget};
use crate::prompt::prompts;
use crate::responses::Echo;
use crate::text::Text;

/// Choices of one request, over all of its prompts. vLLM 0.11.2 has no limit; a simulation need not run out of memory.
const MOST_CHOICES: usize = 1024;
/// vLLM's `max_tokens` of a completion that does not say; a chat may fill the context.
const COMPLETION_MAX_TOKENS: u32 = 16;

/// A request that can be served.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Generation {
    pub(crate) endpoint: Endpoint,
    /// Every prompt, with what is left for its output.
    pub(crate) prompts: Vec<(TokenBudget, PromptBlocks)>,
    /// Choices of each prompt.
    pub(crate) n: u32,
    pub(crate) eos: Eos,
    pub(crate) text: Text,
    pub(crate) delivery: Delivery,
    temperature: f64,
}

impl Generation {
    /// What a response of the responses API repeats.
    pub(crate) fn echo(&self) -> Echo {
        let budget = self.prompts.first().map(|(budget, _)| budget);
        Echo { temperature: self.temperature, max_output_tokens: budget.map_or(0, |budget| budget.max_tokens) }
    }
}

/// Reads a request for a generation and holds it against the profile.
pub(crate) fn parse(endpoint: Endpoint, body: &[u8], profile: &Profile) -> Result<Generation, ApiError> {
    let body = json(body)?;
    let prompts = prompts(endpoint, &body)?;
    let max_tokens = match endpoint {
        Endpoint::Chat => match integer(&body, "max_completion_tokens")? {
            None => integer(&body, "max_tokens")?,
            asked => asked,
        },
        Endpoint::Completions => Some(integer(&body, "max_tokens")?.unwrap_or(COMPLETION_MAX_TOKENS.into())),
        Endpoint::Responses => integer(&body, "max_output_tokens")?,
        Endpoint::Embeddings => Some(1),
    };
    let temperature = body.get("temperature").and_then(Value::as_f64);
    // The others neither know choices nor let a request say more of its length.
    let steered = matches!(endpoint, Endpoint::Chat | Endpoint::Completions);
    let all = if steered { &body } else { &Value::Null };
    let min_tokens = integer(all, "min_tokens")?.unwrap_or(0);
    let n = integer(all, "n")?.unwrap_or(1);
    let stop = stop(all)?;
    check_model(&body, profile)?;
    let n = choices(n, prompts.len())?;
    let prompts = prompts
        .iter()
        .map(|prompt| {
            let budget = admit(endpoint, profile, prompt.count(), max_tokens)?;
            Ok((budget, profile.prompt_blocks(prompt.tokens())))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let most = prompts.iter().map(|(budget, _)| budget.max_tokens).min();
    let most = most.unwrap_or(0);
    let min_tokens = u32::try_from(min_tokens).ok().filter(|&min| min <= most).ok_or_else(|| {
        ApiError::bad_request(format!("min_tokens must be between 0 and max_tokens={most}, got {min_tokens}."))
    })?;
    let included = flag(all, "include_stop_str_in_output");
    Ok(Generation {
        endpoint,
        prompts,
        n,
        eos: if flag(all, "ignore_eos") { Eos::Ignored } else { Eos::Allowed { min_tokens } },
        text: Text::new(endpoint != Endpoint::Completions, &stop, min_tokens, included),
        delivery: if endpoint == Endpoint::Embeddings { Delivery::Whole } else { delivery(&body) },
        temperature: temperature.unwrap_or(1.0),
    })
}

/// How many choices each prompt is to have.
fn choices(n: i64, prompts: usize) -> Result<u32, ApiError> {
    if n < 1 {
        return Err(ApiError::bad_request(format!("n must be at least 1, got {n}.")));
    }
    u32::try_from(n).ok().filter(|&n| (n as usize).saturating_mul(prompts) <= MOST_CHOICES).ok_or_else(|| {
        ApiError::bad_request(format!(
            "this simulated server gives at most {MOST_CHOICES} choices, over all prompts of a request"
        ))
    })
}

/// `stop`: a string or a list of strings.
fn stop(body: &Value) -> Result<Vec<String>, ApiError> {
    let invalid = || ApiError::validation("list_type", "'stop'", "Input should be a valid list", "");
    let strings = match body.get("stop") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(list)) => {
            list.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(invalid)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(invalid()),
    };
    if strings.iter().any(String::is_empty) {
        return Err(ApiError::bad_request("stop cannot contain an empty string."));
    }
    Ok(strings)
}

/// Reads a request for `/tokenize` and returns the number of tokens, and whether they are to be spelled out.
pub(crate) fn parse_tokenize(body: &[u8], profile: &Profile) -> Result<(u32, bool), ApiError> {
    let body = json(body)?;
    let endpoint = match body.get("messages") {
        Some(_) => Endpoint::Chat,
        None => Endpoint::Completions,
    };
    let prompts = prompts(endpoint, &body)?;
    check_model(&body, profile)?;
    let [prompt] = prompts.as_slice() else {
        return Err(ApiError::validation("string_type", "'prompt'", "Input should be a valid string", ""));
    };
    Ok((prompt.count(), flag(&body, "return_token_strs")))
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
        Some(Value::String(model)) => {
            Err(ApiError::new(404, "NotFoundError", format!("The model `{model}` does not exist.")))
        }
        Some(_) => Err(ApiError::validation("string_type", "'model'", "Input should be a valid string", "")),
    }
}

fn admit(endpoint: Endpoint, profile: &Profile, prompt: u32, asked: Option<i64>) -> Result<TokenBudget, ApiError> {
    // vLLM looks at the prompt before it looks at max_tokens.
    let refuse = |error: LengthError| {
        // Its chat handler appends the cause of the exception, which is none.
        let suffix = if endpoint == Endpoint::Chat { " None" } else { "" };
        ApiError::bad_request(format!("{error}{suffix}"))
    };
    profile.admit(prompt, None).map_err(refuse)?;
    let asked = match asked {
        None => None,
        Some(asked) if asked < 1 => {
            return Err(ApiError::bad_request(format!("max_tokens must be at least 1, got {asked}.")));
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
    Delivery::Stream(match (flag(options, "include_usage"), flag(options, "continuous_usage_stats")) {
        (false, _) => StreamUsage::Never,
        (true, false) => StreamUsage::AtEnd,
        (true, true) => StreamUsage::Continuous,
    })
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
        Some(value) => value
            .as_i64()
            .map(Some)
            .ok_or_else(|| ApiError::validation("int_type", &loc, "Input should be a valid integer", "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "google/gemma-3-12b-it";

    fn chat(rest: &str) -> Result<Generation, ApiError> {
        let profile = Profile::builtin("rtx3090-gemma3-12b-bnb4").unwrap();
        let body = format!(r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"abcde"}}]{rest}}}"#);
        parse(Endpoint::Chat, body.as_bytes(), &profile)
    }

    fn most(generation: &Generation) -> u32 {
        generation.prompts[0].0.max_tokens
    }

    #[test]
    fn lengths_come_from_the_request_or_from_vllm_defaults() {
        assert_eq!(most(&chat("").unwrap()), 4096 - 12);
        assert_eq!(most(&chat(r#","max_tokens":7"#).unwrap()), 7);
        let both = chat(r#","max_tokens":7,"max_completion_tokens":9"#).unwrap();
        assert_eq!(most(&both), 9);
        let profile = Profile::builtin("rtx3090-gemma3-12b-bnb4").unwrap();
        let completion = parse(Endpoint::Completions, br#"{"prompt":"x"}"#, &profile).unwrap();
        assert_eq!(most(&completion), 16);
        assert_eq!(completion.eos, Eos::Allowed { min_tokens: 0 });
        assert_eq!(chat(r#","max_tokens":7,"min_tokens":3"#).unwrap().eos, Eos::Allowed { min_tokens: 3 });
        assert_eq!(chat(r#","ignore_eos":true"#).unwrap().eos, Eos::Ignored);
        assert!(chat(r#","max_tokens":7,"min_tokens":8"#).is_err());
    }

    #[test]
    fn usage_is_sent_only_on_request() {
        for (rest, expected) in [
            ("", Delivery::Whole),
            (r#","stream":true"#, Delivery::Stream(StreamUsage::Never)),
            (r#","stream":true,"stream_options":{"include_usage":true}"#, Delivery::Stream(StreamUsage::AtEnd)),
            (
                r#","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}"#,
                Delivery::Stream(StreamUsage::Continuous),
            ),
        ] {
            assert_eq!(chat(rest).unwrap().delivery, expected, "{rest}");
        }
    }

    #[test]
    fn choices_and_stop_strings_are_checked_as_vllm_does() {
        assert_eq!(chat(r#","n":2"#).unwrap().n, 2);
        for (rest, message) in [
            (r#","n":0"#, "n must be at least 1, got 0."),
            (r#","n":2000"#, "at most 1024 choices"),
            (r#","stop":["a",""]"#, "stop cannot contain an empty string."),
            (r#","stop":7"#, "Input should be a valid list"),
        ] {
            let error = chat(rest).unwrap_err();
            assert_eq!(error.status, 400);
            assert!(error.message.contains(message), "{}", error.message);
        }
        let stopped = chat(r#","stop":"harbor stone","max_tokens":9"#).unwrap();
        assert_eq!(stopped.text.stop().unwrap().token, 2);
    }

    #[test]
    fn several_prompts_are_several_requests() {
        let profile = Profile::builtin("rtx3090-gemma3-12b-bnb4").unwrap();
        let body = br#"{"prompt":["a","some more words"],"n":3,"max_tokens":4000}"#;
        let generation = parse(Endpoint::Completions, body, &profile).unwrap();
        let lengths: Vec<u32> = generation.prompts.iter().map(|(budget, _)| budget.prompt_tokens).collect();
        assert_eq!((lengths, generation.n), (vec![1, 4], 3));
    }
}
