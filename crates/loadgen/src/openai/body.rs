//! Request bodies: the plan's fields, the engine's way to fix the output length, and the user's extra fields.

use bytes::Bytes;
use records::Engine;
use serde_json::{Map, Value, json};

use crate::{PlanError, workload::Prompt};

/// Which API is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/chat/completions`.
    #[default]
    Chat,
    /// `/v1/completions`.
    Completions,
    /// `/v1/responses`.
    Responses,
    /// `/v1/embeddings`: no tokens come, so there is neither TTFT nor TPOT.
    Embeddings,
}

impl Endpoint {
    /// Its path below the base URL.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Responses => "/v1/responses",
            Self::Embeddings => "/v1/embeddings",
        }
    }

    /// Whether a server of this API can be told to go on past its end of sequence. vLLM drops the fields in the responses
    /// API (seen with 0.11.2), and an embedding has no length.
    pub fn controls_length(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }
}

/// How a server is told to generate exactly the tokens asked for. A short answer would make a level look fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthControl {
    /// `ignore_eos` and `min_tokens`, as vLLM and SGLang (`openai_api/protocol.py`) have them.
    IgnoreEosAndMinTokens,
    /// `ignore_eos` alone, as llama.cpp has it.
    IgnoreEos,
    /// Nothing but `max_tokens`: answers may end earlier. Strict servers refuse fields that they do not know.
    MaxTokensOnly,
}

impl LengthControl {
    /// The control that `engine` supports. An unknown engine is sent no field that it could refuse.
    pub fn for_engine(engine: Option<&Engine>) -> Self {
        match engine {
            Some(Engine::Vllm | Engine::Sglang) => Self::IgnoreEosAndMinTokens,
            Some(Engine::LlamaCpp) => Self::IgnoreEos,
            _ => Self::MaxTokensOnly,
        }
    }
}

/// Fields that the plan decides, and what to use in their place.
const RESERVED: [(&str, &str); 10] = [
    ("model", "the target names the model"),
    ("messages", "prompts come from the workload"),
    ("prompt", "prompts come from the workload"),
    ("stream", "responses are streamed unless the plan says otherwise"),
    ("input", "prompts come from the workload"),
    ("max_tokens", "set the output length (osl)"),
    ("max_output_tokens", "set the output length (osl)"),
    ("max_completion_tokens", "set the output length (osl)"),
    ("min_tokens", "set the output length (osl) and have the end of sequence ignored"),
    ("n", "every request asks for one answer"),
];

/// A request body without its prompt.
#[derive(Clone, Debug)]
pub struct BodyTemplate {
    fields: Map<String, Value>,
    length_control: LengthControl,
    endpoint: Endpoint,
}

impl BodyTemplate {
    /// A template for `model` at `endpoint`, streamed or not; `extra` fields replace those of the same name, `stream_options` are merged.
    ///
    /// # Errors
    /// [`PlanError::ReservedField`] and [`PlanError::BadStreamOptions`].
    pub fn new(
        model: &str,
        endpoint: Endpoint,
        stream: bool,
        length_control: LengthControl,
        extra: Map<String, Value>,
    ) -> Result<Self, PlanError> {
        for (field, instead) in RESERVED {
            if extra.contains_key(field) {
                return Err(PlanError::ReservedField { field, instead });
            }
        }
        let length_control = if endpoint.controls_length() { length_control } else { LengthControl::MaxTokensOnly };
        let mut fields = Map::new();
        fields.insert("model".to_owned(), model.into());
        if endpoint == Endpoint::Embeddings {
            fields.insert("encoding_format".to_owned(), "float".into());
        } else {
            fields.insert("stream".to_owned(), stream.into());
            fields.insert("temperature".to_owned(), 0.into());
        }
        // A stream of the responses API always ends with the usage.
        if stream && matches!(endpoint, Endpoint::Chat | Endpoint::Completions) {
            fields.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        if length_control != LengthControl::MaxTokensOnly {
            fields.insert("ignore_eos".to_owned(), true.into());
        }
        for (name, value) in extra {
            match (fields.get_mut(&name), value) {
                (Some(Value::Object(options)), Value::Object(more)) => options.extend(more),
                (Some(Value::Object(_)), _) => return Err(PlanError::BadStreamOptions),
                (_, value) => {
                    fields.insert(name, value);
                }
            }
        }
        Ok(Self { fields, length_control, endpoint })
    }

    /// Whether the server is told to go on past its end of sequence.
    pub fn ignores_eos(&self) -> bool {
        self.fields.get("ignore_eos") == Some(&Value::Bool(true))
    }

    /// The body that asks for `output_tokens` in answer to `prompt`.
    pub fn body(&self, prompt: &Prompt, output_tokens: u32) -> Bytes {
        let mut fields = self.fields.clone();
        match self.endpoint {
            Endpoint::Chat | Endpoint::Completions => {
                fields.insert("max_tokens".to_owned(), output_tokens.into());
            }
            Endpoint::Responses => {
                fields.insert("max_output_tokens".to_owned(), output_tokens.into());
            }
            Endpoint::Embeddings => {}
        }
        if self.length_control == LengthControl::IgnoreEosAndMinTokens {
            fields.insert("min_tokens".to_owned(), output_tokens.into());
        }
        let (name, value) = match (self.endpoint, prompt) {
            (Endpoint::Chat, Prompt::Text(text)) => ("messages", json!([{"role": "user", "content": text}])),
            (Endpoint::Responses, Prompt::Messages(messages)) => ("input", messages.clone()),
            (_, Prompt::Messages(messages)) => ("messages", messages.clone()),
            (Endpoint::Completions, Prompt::Text(text)) => ("prompt", text.as_str().into()),
            (Endpoint::Responses | Endpoint::Embeddings, Prompt::Text(text)) => ("input", text.as_str().into()),
        };
        fields.insert(name.to_owned(), value);
        Value::Object(fields).to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(engine: Option<&Engine>, extra: Value) -> Value {
        let Value::Object(extra) = extra else { unreachable!("the tests pass objects") };
        let control = LengthControl::for_engine(engine);
        let template = BodyTemplate::new("m", Endpoint::Chat, true, control, extra).unwrap();
        let prompt = Prompt::Text("안녕 \"x\"\n".to_owned());
        serde_json::from_slice(&template.body(&prompt, 200)).unwrap()
    }

    #[test]
    fn each_engine_is_asked_in_its_own_way() {
        let plain = json!({
            "model": "m", "messages": [{"role": "user", "content": "안녕 \"x\"\n"}], "stream": true,
            "stream_options": {"include_usage": true}, "max_tokens": 200, "temperature": 0,
        });
        assert_eq!(body(None, json!({})), plain);
        assert_eq!(body(Some(&Engine::Other("some proxy".to_owned())), json!({})), plain);
        let mut llama_cpp = plain.clone();
        llama_cpp["ignore_eos"] = true.into();
        assert_eq!(body(Some(&Engine::LlamaCpp), json!({})), llama_cpp);
        let mut vllm = llama_cpp.clone();
        vllm["min_tokens"] = 200.into();
        for engine in [Engine::Vllm, Engine::Sglang] {
            assert_eq!(body(Some(&engine), json!({})), vllm);
        }
    }

    #[test]
    fn completions_take_text_and_unstreamed_answers_no_stream_options() {
        let control = LengthControl::MaxTokensOnly;
        let template = BodyTemplate::new("m", Endpoint::Completions, false, control, Map::new()).unwrap();
        let body: Value = serde_json::from_slice(&template.body(&Prompt::Text("a".to_owned()), 3)).unwrap();
        let expected = json!({"model": "m", "prompt": "a", "stream": false, "max_tokens": 3, "temperature": 0});
        assert_eq!(body, expected);
    }

    #[test]
    fn responses_and_embeddings_name_things_their_own_way() {
        let body = |endpoint, prompt: &Prompt| -> Value {
            let control = LengthControl::IgnoreEosAndMinTokens;
            let template = BodyTemplate::new("m", endpoint, true, control, Map::new()).unwrap();
            assert!(!template.ignores_eos());
            serde_json::from_slice(&template.body(prompt, 7)).unwrap()
        };
        let text = Prompt::Text("a".to_owned());
        assert_eq!(
            body(Endpoint::Responses, &text),
            json!({"model": "m", "input": "a", "stream": true, "max_output_tokens": 7, "temperature": 0})
        );
        let messages = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
        let with_history = body(Endpoint::Responses, &Prompt::Messages(messages.clone()));
        assert_eq!(with_history["input"], messages);
        assert_eq!(body(Endpoint::Embeddings, &text), json!({"model": "m", "input": "a", "encoding_format": "float"}));
    }

    #[test]
    fn extra_fields_win_and_stream_options_are_merged() {
        let extra = json!({"temperature": 0.7, "stream_options": {"continuous_usage_stats": true}});
        let merged = body(None, extra);
        assert_eq!(merged["temperature"], 0.7);
        assert_eq!(merged["stream_options"], json!({"include_usage": true, "continuous_usage_stats": true}));
    }

    #[test]
    fn fields_of_the_plan_are_refused() {
        for (field, _) in RESERVED {
            let extra = Map::from_iter([(field.to_owned(), Value::Null)]);
            let refused = BodyTemplate::new("m", Endpoint::Chat, true, LengthControl::MaxTokensOnly, extra);
            assert!(matches!(refused, Err(PlanError::ReservedField { .. })), "{field}");
        }
        let extra = Map::from_iter([("stream_options".to_owned(), Value::Null)]);
        let refused = BodyTemplate::new("m", Endpoint::Chat, true, LengthControl::MaxTokensOnly, extra);
        assert_eq!(refused.unwrap_err(), PlanError::BadStreamOptions);
    }
}
