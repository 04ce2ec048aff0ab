//! Terms of the OpenAI API that requests and responses share: endpoints, deliveries, errors.

use serde_json::Value;

/// Endpoints that submit work to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Chat,
    Completions,
    Responses,
    Embeddings,
}

/// How the output is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Whole,
    Stream(StreamUsage),
}

/// When a stream contains token counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamUsage {
    Never,
    AtEnd,
    /// At the end and on every chunk.
    Continuous,
}

/// An error response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    kind: &'static str,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: u16, kind: &'static str, message: String) -> Self {
        Self { status, kind, message }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: 400, kind: "BadRequestError", message: message.into() }
    }

    /// One entry of a pydantic validation error, in the form that vLLM prints.
    pub(crate) fn validation(kind: &str, loc: &str, msg: &str, rest: &str) -> Self {
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
        format!(r#"{{"error":{{"message":{message},"type":"{}","param":null,"code":{}}}}}"#, self.kind, self.status)
    }
}
