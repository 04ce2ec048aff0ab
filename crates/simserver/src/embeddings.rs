//! The answer of the embeddings API in the form of vLLM 0.11.2. Nothing is embedded: every vector is the same.

use serde_json::Value;

use crate::frames::{ResponseId, Usage};

/// A unit vector of four equal numbers.
const VECTOR: &str = "[0.5,0.5,0.5,0.5]";

/// Body of the response to `inputs` texts.
pub(crate) fn whole(id: &ResponseId, model: &str, inputs: usize, usage: Option<Usage>) -> String {
    let one = |index| format!(r#"{{"index":{index},"object":"embedding","embedding":{VECTOR}}}"#);
    let data: Vec<String> = (0..inputs).map(one).collect();
    let usage = usage.map_or_else(
        || "null".to_owned(),
        |Usage { prompt_tokens, .. }| {
            format!(
                r#"{{"prompt_tokens":{prompt_tokens},"total_tokens":{prompt_tokens},"completion_tokens":0,"prompt_tokens_details":null}}"#
            )
        },
    );
    let model = Value::from(model);
    let ResponseId { hex, created } = id;
    format!(
        r#"{{"id":"embd-{hex}","object":"list","created":{created},"model":{model},"data":[{}],"usage":{usage}}}"#,
        data.join(",")
    )
}
