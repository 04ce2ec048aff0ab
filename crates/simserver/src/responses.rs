//! The responses API as vLLM 0.11.2 writes it: its events, and its answer in one piece. `fixtures/sse` has both.
//!
//! What that version does oddly is done here too: a response that reached `max_output_tokens` is `completed`, and the last
//! event of a stream repeats the last piece of the text only.

use std::fmt::Write as _;

use serde_json::Value;

use crate::engine::FinishReason;
use crate::frames::{ResponseId, Span, Usage};
use crate::text::Text;

/// What a response repeats of its request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Echo {
    pub(crate) temperature: f64,
    pub(crate) max_output_tokens: u32,
}

/// Token counts as a response tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResponseUsage {
    pub(crate) usage: Usage,
    /// Prompt tokens from the prefix cache.
    pub(crate) cached: u32,
}

/// Renders the events of one stream, in order.
#[derive(Debug)]
pub(crate) struct ResponseFrames {
    id: ResponseId,
    model: String,
    echo: Echo,
    prompt_tokens: u32,
    text: Text,
    /// Number of the next event.
    sequence: u32,
    /// `content_index` of the next event: each delta has its own.
    content: u32,
    /// What was sent last.
    last: Option<Span>,
}

impl ResponseFrames {
    pub(crate) fn new(id: ResponseId, model: &str, echo: Echo, prompt_tokens: u32, text: Text) -> Self {
        Self {
            id,
            model: Value::from(model).to_string(),
            echo,
            prompt_tokens,
            text,
            sequence: 0,
            content: 0,
            last: None,
        }
    }

    /// Sent at once, before the engine has made a token.
    pub(crate) fn opening(&mut self) -> Vec<String> {
        let response = response(&self.id, &self.model, self.echo, "", "in_progress", None);
        ["response.created", "response.in_progress"]
            .map(|kind| self.event(kind, &format!(r#""response":{response}"#)))
            .into()
    }

    /// Sent with the first token, before it.
    pub(crate) fn item_opens(&mut self) -> Vec<String> {
        let item = self.item();
        let opened = format!(
            r#""item":{{"id":"{item}","content":[],"role":"assistant","status":"in_progress","type":"message","phase":null}},"output_index":0"#
        );
        let part = format!(
            r#""content_index":0,"item_id":"{item}","output_index":0,"part":{{"annotations":[],"text":"","type":"output_text","logprobs":[]}}"#
        );
        self.content = 1;
        vec![self.event("response.output_item.added", &opened), self.event("response.content_part.added", &part)]
    }

    /// Appends the event of some tokens.
    pub(crate) fn tokens(&mut self, span: Span, out: &mut impl std::fmt::Write) -> std::fmt::Result {
        let mut delta = String::new();
        self.text.write(span.first, span.last, span.finish, &mut delta)?;
        delta.extend(std::iter::repeat_n('x', span.padding as usize));
        let fields = format!(
            r#""content_index":{},"delta":"{delta}","item_id":"{}","logprobs":[],"output_index":0"#,
            self.content,
            self.item()
        );
        self.content += 1;
        self.last = Some(span);
        out.write_str(&self.event("response.output_text.delta", &fields))
    }

    /// What follows the last token. Without `usage` the counts are null.
    pub(crate) fn closing(&mut self, usage: Option<u32>) -> Vec<String> {
        let item = self.item();
        let said = self.said(1);
        let (first, second) = (self.content, self.content + 1);
        self.content += 2;
        let part = format!(r#"{{"annotations":[],"text":"{said}","type":"output_text","logprobs":null}}"#);
        let text_done = format!(
            r#""content_index":{first},"item_id":"{item}","logprobs":[],"output_index":0,"sequence_number":{},"text":"{said}""#,
            self.sequence
        );
        let text_done = self.numbered("response.output_text.done", &text_done);
        let part_done = format!(r#""content_index":{second},"item_id":"{item}","output_index":0,"part":{part}"#);
        let item_done = format!(
            r#""item":{{"id":"{item}","content":[{part}],"role":"assistant","status":"completed","type":"message","phase":null,"summary":[]}},"output_index":0"#
        );
        vec![
            text_done,
            self.event("response.content_part.done", &part_done),
            self.event("response.output_item.done", &item_done),
            self.completed(usage),
        ]
    }

    /// The last event.
    pub(crate) fn completed(&mut self, usage: Option<u32>) -> String {
        let usage = usage.map(|completion_tokens| ResponseUsage {
            usage: Usage { prompt_tokens: self.prompt_tokens, completion_tokens },
            cached: self.last.map_or(0, |span| span.cached),
        });
        let output = message(&self.id, &self.said(self.last.map_or(1, |span| span.first)));
        let response = response(&self.id, &self.model, self.echo, &output, "completed", usage);
        self.event("response.completed", &format!(r#""response":{response}"#))
    }

    /// An event that breaks off.
    pub(crate) fn malformed() -> String {
        "event: response.output_text.delta\ndata: {\"content_index\":1,\"del\n\n".to_owned()
    }

    /// The text from token `first` to the last.
    fn said(&self, first: u32) -> String {
        let mut said = String::new();
        if let Some(last) = self.last {
            // Writing to a String cannot fail.
            let _infallible = self.text.write(first, last.last, last.finish, &mut said);
        }
        said
    }

    /// The item's name: a UUID of the response's own bits.
    fn item(&self) -> String {
        let hex = &self.id.hex;
        let group = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", group(0, 8), group(8, 12), group(12, 16), group(16, 20), group(20, 32))
    }

    fn event(&mut self, kind: &str, fields: &str) -> String {
        let fields = format!(r#"{fields},"sequence_number":{}"#, self.sequence);
        self.numbered(kind, &fields)
    }

    /// An event whose fields hold its number already.
    fn numbered(&mut self, kind: &str, fields: &str) -> String {
        self.sequence += 1;
        format!("event: {kind}\ndata: {{{fields},\"type\":\"{kind}\"}}\n\n")
    }
}

/// Body of a response that is not streamed.
pub(crate) fn whole(
    id: &ResponseId,
    model: &str,
    echo: Echo,
    text: &Text,
    end: (u32, FinishReason),
    usage: Option<ResponseUsage>,
) -> String {
    let (tokens, finish) = end;
    let mut said = String::new();
    // Writing to a String cannot fail.
    let _infallible = text.write(1, tokens.max(1), Some(finish), &mut said);
    let model = Value::from(model).to_string();
    response(id, &model, echo, &message(id, &said), "completed", usage)
}

fn message(id: &ResponseId, said: &str) -> String {
    format!(
        r#"{{"id":"msg_{}","content":[{{"annotations":[],"text":"{said}","type":"output_text","logprobs":null}}],"role":"assistant","status":"completed","type":"message","phase":null}}"#,
        id.hex
    )
}

fn response(
    id: &ResponseId,
    model: &str,
    echo: Echo,
    output: &str,
    status: &str,
    usage: Option<ResponseUsage>,
) -> String {
    let ResponseId { hex, created } = id;
    let Echo { temperature, max_output_tokens } = echo;
    let mut out = format!(
        r#"{{"id":"resp_{hex}","created_at":{created},"incomplete_details":null,"instructions":null,"metadata":null,"model":{model},"object":"response","output":[{output}],"parallel_tool_calls":true,"temperature":{temperature:?},"tool_choice":"auto","tools":[],"top_p":1.0,"background":false,"max_output_tokens":{max_output_tokens},"max_tool_calls":null,"previous_response_id":null,"prompt":null,"reasoning":null,"service_tier":"auto","status":"{status}","text":null,"top_logprobs":null,"truncation":"disabled","usage":"#
    );
    // Writing to a String cannot fail.
    let _infallible = match usage {
        None => out.write_str("null"),
        Some(ResponseUsage { usage, cached }) => write!(
            out,
            r#"{{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{cached},"input_tokens_per_turn":[],"cached_tokens_per_turn":[]}},"output_tokens":{},"output_tokens_details":{{"reasoning_tokens":0,"tool_output_tokens":0,"output_tokens_per_turn":[],"tool_output_tokens_per_turn":[]}},"total_tokens":{}}}"#,
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.prompt_tokens.saturating_add(usage.completion_tokens)
        ),
    };
    out.push_str(r#","user":null,"input_messages":null,"output_messages":null}"#);
    out
}
