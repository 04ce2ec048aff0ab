//! The bytes of responses, as vLLM 0.11.2 writes them: field order, nulls and all, ids and times aside.
//!
//! What all chunks of a stream share is rendered once per stream. The text is made of neutral words, one per token; EOS has none.

use std::fmt::Write as _;

use serde_json::Value;

use crate::engine::FinishReason;
use crate::openai::{Endpoint, StreamUsage};
use crate::profile::Profile;

const WORDS: [&str; 24] = [
    " harbor", " stone", " green", " paper", " window", " slow", " river", " light", " copper",
    " field", " early", " bridge", " cotton", " plain", " garden", " wide", " north", " clay",
    " silver", " quiet", " timber", " morning", " road", " level",
];

/// What names a response.
#[derive(Clone, Debug)]
pub(crate) struct ResponseId {
    /// 128 random bits, in hexadecimal.
    pub(crate) hex: String,
    /// Seconds since 1970.
    pub(crate) created: u64,
}

/// Renders the response to one request.
#[derive(Debug)]
pub(crate) struct Frames {
    endpoint: Endpoint,
    usage: StreamUsage,
    prompt_tokens: u32,
    /// From the opening brace to `"choices":[`.
    head: String,
}

/// The last SSE event of every stream.
pub(crate) const DONE: &str = "data: [DONE]\n\n";

impl Frames {
    pub(crate) fn stream(
        endpoint: Endpoint,
        usage: StreamUsage,
        id: &ResponseId,
        model: &str,
        prompt_tokens: u32,
    ) -> Self {
        let (prefix, object) = match endpoint {
            Endpoint::Chat => ("chatcmpl", "chat.completion.chunk"),
            Endpoint::Completions => ("cmpl", "text_completion"),
        };
        Self {
            endpoint,
            usage,
            prompt_tokens,
            head: head(prefix, object, id, model),
        }
    }

    /// The chunk that opens a chat, without text; a completion has none.
    pub(crate) fn role(&self) -> Option<String> {
        if self.endpoint == Endpoint::Completions {
            return None;
        }
        let usage = match self.usage {
            StreamUsage::Continuous => format!(r#","usage":{}"#, usage(self.prompt_tokens, 0)),
            _ => String::new(),
        };
        Some(format!(
            "data: {}{}{usage},\"prompt_token_ids\":null}}\n\n",
            self.head,
            r#"{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null},"logprobs":null,"finish_reason":null}]"#
        ))
    }

    /// Appends the chunk of token `index`, from 1; `finish` on the last one.
    pub(crate) fn token(
        &self,
        index: u32,
        finish: Option<FinishReason>,
        out: &mut impl std::fmt::Write,
    ) -> std::fmt::Result {
        let word = word(self.endpoint, index, finish);
        out.write_str("data: ")?;
        out.write_str(&self.head)?;
        match self.endpoint {
            Endpoint::Chat => {
                out.write_str(r#"{"index":0,"delta":{"content":""#)?;
                out.write_str(word)?;
                out.write_str(r#"","reasoning_content":null},"logprobs":null,"#)?;
                match finish {
                    None => out.write_str(r#""finish_reason":null,"token_ids":null}]"#)?,
                    Some(reason) => write!(
                        out,
                        r#""finish_reason":"{}","stop_reason":null,"token_ids":null}}]"#,
                        reason.as_str()
                    )?,
                }
            }
            Endpoint::Completions => {
                out.write_str(r#"{"index":0,"text":""#)?;
                out.write_str(word)?;
                out.write_str(r#"","logprobs":null,"finish_reason":"#)?;
                match finish {
                    None => out.write_str("null")?,
                    Some(reason) => write!(out, r#""{}""#, reason.as_str())?,
                }
                out.write_str(r#","stop_reason":null,"prompt_token_ids":null,"token_ids":null}]"#)?;
            }
        }
        match (self.usage, self.endpoint) {
            (StreamUsage::Continuous, _) => {
                write!(out, r#","usage":{}"#, usage(self.prompt_tokens, index))?;
            }
            (_, Endpoint::Completions) => out.write_str(r#","usage":null"#)?,
            (_, Endpoint::Chat) => {}
        }
        out.write_str("}\n\n")
    }

    /// The chunk with the token counts, when it was asked for.
    pub(crate) fn usage(&self, output_tokens: u32) -> Option<String> {
        (self.usage != StreamUsage::Never).then(|| {
            let usage = usage(self.prompt_tokens, output_tokens);
            format!("data: {}],\"usage\":{usage}}}\n\n", self.head)
        })
    }
}

/// Body of a response that is not streamed.
pub(crate) fn whole(
    endpoint: Endpoint,
    id: &ResponseId,
    model: &str,
    prompt_tokens: u32,
    output_tokens: u32,
    finish: FinishReason,
) -> String {
    let mut text = String::new();
    for index in 1..=output_tokens {
        text.push_str(word(
            endpoint,
            index,
            (index == output_tokens).then_some(finish),
        ));
    }
    let reason = finish.as_str();
    let total = prompt_tokens + output_tokens;
    let usage = format!(
        r#"{{"prompt_tokens":{prompt_tokens},"total_tokens":{total},"completion_tokens":{output_tokens},"prompt_tokens_details":null}}"#
    );
    match endpoint {
        Endpoint::Chat => format!(
            r#"{}{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":[],"reasoning":null,"reasoning_content":null}},"logprobs":null,"finish_reason":"{reason}","stop_reason":null,"token_ids":null}}],"service_tier":null,"system_fingerprint":null,"usage":{usage},"prompt_logprobs":null,"prompt_token_ids":null,"kv_transfer_params":null}}"#,
            head("chatcmpl", "chat.completion", id, model)
        ),
        Endpoint::Completions => format!(
            r#"{}{{"index":0,"text":"{text}","logprobs":null,"finish_reason":"{reason}","stop_reason":null,"token_ids":null,"prompt_logprobs":null,"prompt_token_ids":null}}],"service_tier":null,"system_fingerprint":null,"usage":{usage},"kv_transfer_params":null}}"#,
            head("cmpl", "text_completion", id, model)
        ),
    }
}

/// Body of `/v1/models`.
pub(crate) fn models(profile: &Profile, id: &ResponseId) -> String {
    let model = Value::from(profile.served_model());
    let ResponseId { hex, created } = id;
    format!(
        r#"{{"object":"list","data":[{{"id":{model},"object":"model","created":{created},"owned_by":"vllm","root":{model},"parent":null,"max_model_len":{},"permission":[{{"id":"modelperm-{hex}","object":"model_permission","created":{created},"allow_create_engine":false,"allow_sampling":true,"allow_logprobs":true,"allow_search_indices":false,"allow_view":true,"allow_fine_tuning":false,"organization":"*","group":null,"is_blocking":false}}]}}]}}"#,
        profile.max_model_len()
    )
}

/// Body of `/tokenize`. The ids are the positions: there is no vocabulary.
pub(crate) fn tokenized(profile: &Profile, count: u32) -> String {
    let mut ids = String::new();
    for id in 0..count {
        // Writing to a String cannot fail.
        let _infallible = write!(ids, "{}{id}", if id == 0 { "" } else { "," });
    }
    format!(
        r#"{{"count":{count},"max_model_len":{},"tokens":[{ids}],"token_strs":null}}"#,
        profile.max_model_len()
    )
}

fn head(prefix: &str, object: &str, id: &ResponseId, model: &str) -> String {
    let model = Value::from(model);
    let ResponseId { hex, created } = id;
    format!(
        r#"{{"id":"{prefix}-{hex}","object":"{object}","created":{created},"model":{model},"choices":["#
    )
}

fn usage(prompt_tokens: u32, output_tokens: u32) -> String {
    let total = prompt_tokens + output_tokens;
    format!(
        r#"{{"prompt_tokens":{prompt_tokens},"total_tokens":{total},"completion_tokens":{output_tokens}}}"#
    )
}

fn word(endpoint: Endpoint, index: u32, finish: Option<FinishReason>) -> &'static str {
    if finish == Some(FinishReason::Stop) {
        return ""; // EOS
    }
    let word = WORDS[(index as usize).wrapping_sub(1) % WORDS.len()];
    match (endpoint, index) {
        (Endpoint::Chat, 1) => word.trim_start(),
        _ => word,
    }
}
