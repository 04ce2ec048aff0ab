//! The bytes of responses, as vLLM 0.11.2 writes them: field order, nulls and all, ids and times aside.
//!
//! What all chunks of a stream share is rendered once per stream. What is said in them is `text`'s.

use std::fmt::Write as _;

use serde_json::Value;

use crate::api::StreamUsage;
use crate::engine::FinishReason;
use crate::profile::Profile;
use crate::text::Text;

/// What names a response.
#[derive(Clone, Debug)]
pub(crate) struct ResponseId {
    /// 128 random bits, in hexadecimal.
    pub(crate) hex: String,
    /// Seconds since 1970.
    pub(crate) created: u64,
}

/// Token counts as a response tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Of all prompts.
    pub(crate) prompt_tokens: u32,
    /// Of all choices.
    pub(crate) completion_tokens: u32,
}

/// The APIs whose answers are choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChoiceApi {
    Chat,
    Completions,
}

/// Tokens that go into one chunk of one choice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) choice: u32,
    /// From 1.
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// On the last tokens of a choice.
    pub(crate) finish: Option<FinishReason>,
    /// Characters put after the text, more than there should be.
    pub(crate) padding: u32,
    /// Prompt tokens that were found in the prefix cache.
    pub(crate) cached: u32,
}

/// Renders the chunks of one stream.
#[derive(Debug)]
pub(crate) struct Frames {
    api: ChoiceApi,
    usage: StreamUsage,
    prompt_tokens: u32,
    text: Text,
    /// `stop_reason` of a choice that a stop string ended, as JSON.
    stop_reason: String,
    /// From the opening brace to `"choices":[`.
    head: String,
}

/// What a giant chunk is padded with.
const PADDING: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// The last SSE event of every stream.
pub(crate) const DONE: &str = "data: [DONE]\n\n";

impl Frames {
    pub(crate) fn stream(
        api: ChoiceApi,
        usage: StreamUsage,
        id: &ResponseId,
        model: &str,
        prompt_tokens: u32,
        text: Text,
    ) -> Self {
        let (prefix, object) = match api {
            ChoiceApi::Chat => ("chatcmpl", "chat.completion.chunk"),
            ChoiceApi::Completions => ("cmpl", "text_completion"),
        };
        Self { api, usage, prompt_tokens, stop_reason: stop_reason(&text), text, head: head(prefix, object, id, model) }
    }

    /// The chunk that opens a choice of a chat, without text; a completion has none.
    pub(crate) fn role(&self, choice: u32) -> Option<String> {
        if self.api == ChoiceApi::Completions {
            return None;
        }
        let usage = match self.usage {
            StreamUsage::Continuous => format!(r#","usage":{}"#, self.counts(0)),
            _ => String::new(),
        };
        Some(format!(
            "data: {}{{\"index\":{choice},{}{usage},\"prompt_token_ids\":null}}\n\n",
            self.head,
            r#""delta":{"role":"assistant","content":"","reasoning_content":null},"logprobs":null,"finish_reason":null}]"#
        ))
    }

    /// Appends the chunk of some tokens of a choice.
    pub(crate) fn tokens(&self, span: Span, out: &mut impl std::fmt::Write) -> std::fmt::Result {
        write!(out, "data: {}{{\"index\":{},", self.head, span.choice)?;
        let stop_reason = match span.finish {
            Some(FinishReason::StopString) => self.stop_reason.as_str(),
            _ => "null",
        };
        match self.api {
            ChoiceApi::Chat => {
                out.write_str(r#""delta":{"content":""#)?;
                self.write_text(span, out)?;
                out.write_str(r#"","reasoning_content":null},"logprobs":null,"#)?;
                match span.finish {
                    None => out.write_str(r#""finish_reason":null,"token_ids":null}]"#)?,
                    Some(reason) => write!(
                        out,
                        r#""finish_reason":"{}","stop_reason":{stop_reason},"token_ids":null}}]"#,
                        reason.as_str()
                    )?,
                }
            }
            ChoiceApi::Completions => {
                out.write_str(r#""text":""#)?;
                self.write_text(span, out)?;
                out.write_str(r#"","logprobs":null,"finish_reason":"#)?;
                match span.finish {
                    None => out.write_str("null")?,
                    Some(reason) => write!(out, r#""{}""#, reason.as_str())?,
                }
                write!(out, r#","stop_reason":{stop_reason},"prompt_token_ids":null,"token_ids":null}}]"#)?;
            }
        }
        match (self.usage, self.api) {
            (StreamUsage::Continuous, _) => {
                write!(out, r#","usage":{}"#, self.counts(span.last))?;
            }
            (_, ChoiceApi::Completions) => out.write_str(r#","usage":null"#)?,
            (_, ChoiceApi::Chat) => {}
        }
        out.write_str("}\n\n")
    }

    /// The chunk with the token counts, when it was asked for.
    pub(crate) fn usage(&self, completion_tokens: u32) -> Option<String> {
        (self.usage != StreamUsage::Never).then(|| {
            let usage = self.counts(completion_tokens);
            format!("data: {}],\"usage\":{usage}}}\n\n", self.head)
        })
    }

    /// An event that breaks off.
    pub(crate) fn malformed(&self) -> String {
        format!("data: {}{{\"index\":0,\"del\n\n", self.head)
    }

    fn counts(&self, completion_tokens: u32) -> String {
        let Self { prompt_tokens, .. } = self;
        let total = prompt_tokens.saturating_add(completion_tokens);
        format!(r#"{{"prompt_tokens":{prompt_tokens},"total_tokens":{total},"completion_tokens":{completion_tokens}}}"#)
    }

    fn write_text(&self, span: Span, out: &mut impl std::fmt::Write) -> std::fmt::Result {
        self.text.write(span.first, span.last, span.finish, out)?;
        let mut left = span.padding as usize;
        while left > 0 {
            let some = left.min(PADDING.len());
            out.write_str(&PADDING[..some])?;
            left -= some;
        }
        Ok(())
    }
}

/// Body of a response that is not streamed. `ends` has the tokens of every choice, and why it ended.
pub(crate) fn whole(
    api: ChoiceApi,
    id: &ResponseId,
    model: &str,
    text: &Text,
    ends: &[(u32, FinishReason)],
    usage: Option<Usage>,
) -> String {
    let mut out = match api {
        ChoiceApi::Chat => head("chatcmpl", "chat.completion", id, model),
        ChoiceApi::Completions => head("cmpl", "text_completion", id, model),
    };
    for (index, &(tokens, finish)) in ends.iter().enumerate() {
        let mut said = String::new();
        // Writing to a String cannot fail.
        let _infallible = text.write(1, tokens.max(1), Some(finish), &mut said);
        let reason = finish.as_str();
        let stop_reason = match finish {
            FinishReason::StopString => stop_reason(text),
            _ => "null".to_owned(),
        };
        let comma = if index == 0 { "" } else { "," };
        let _infallible = match api {
            ChoiceApi::Chat => write!(
                out,
                r#"{comma}{{"index":{index},"message":{{"role":"assistant","content":"{said}","refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":[],"reasoning":null,"reasoning_content":null}},"logprobs":null,"finish_reason":"{reason}","stop_reason":{stop_reason},"token_ids":null}}"#
            ),
            ChoiceApi::Completions => write!(
                out,
                r#"{comma}{{"index":{index},"text":"{said}","logprobs":null,"finish_reason":"{reason}","stop_reason":{stop_reason},"token_ids":null,"prompt_logprobs":null,"prompt_token_ids":null}}"#
            ),
        };
    }
    let usage = match usage {
        None => "null".to_owned(),
        Some(Usage { prompt_tokens, completion_tokens }) => format!(
            r#"{{"prompt_tokens":{prompt_tokens},"total_tokens":{},"completion_tokens":{completion_tokens},"prompt_tokens_details":null}}"#,
            prompt_tokens.saturating_add(completion_tokens)
        ),
    };
    let _infallible = write!(
        out,
        r#"],"service_tier":null,"system_fingerprint":null,"usage":{usage}{},"kv_transfer_params":null}}"#,
        match api {
            ChoiceApi::Chat => r#","prompt_logprobs":null,"prompt_token_ids":null"#,
            ChoiceApi::Completions => "",
        }
    );
    out
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
pub(crate) fn tokenized(profile: &Profile, count: u32, spelled: bool) -> String {
    let mut ids = String::new();
    let mut strings = String::new();
    for id in 0..count {
        let comma = if id == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _infallible = write!(ids, "{comma}{id}");
        let _infallible = write!(strings, "{comma}\"t{id}\"");
    }
    let strings = if spelled { format!("[{strings}]") } else { "null".to_owned() };
    format!(
        r#"{{"count":{count},"max_model_len":{},"tokens":[{ids}],"token_strs":{strings}}}"#,
        profile.max_model_len()
    )
}

fn head(prefix: &str, object: &str, id: &ResponseId, model: &str) -> String {
    let model = Value::from(model);
    let ResponseId { hex, created } = id;
    format!(r#"{{"id":"{prefix}-{hex}","object":"{object}","created":{created},"model":{model},"choices":["#)
}

fn stop_reason(text: &Text) -> String {
    text.stop().map_or_else(|| "null".to_owned(), |stop| Value::from(stop.string.as_str()).to_string())
}
