//! The serving engines that records can name.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Serialize, Serializer};

/// A serving engine. On disk it is its [`id`](Self::id).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum Engine {
    /// vLLM, or a server that exports vLLM's metrics.
    Vllm,
    /// The server of llama.cpp.
    LlamaCpp,
    /// SGLang.
    Sglang,
    /// Text Generation Inference of Hugging Face.
    Tgi,
    /// TensorRT-LLM.
    TensorRtLlm,
    /// Any other engine, by the name under which it was recorded.
    Other(String),
}

/// The known engines: identifier on disk, name in documents, and other spellings that are read.
///
/// `llama_cpp` is the spelling of `server.jsonl`, `llamacpp` that of llama.cpp's own `owned_by` and metrics.
static KNOWN: [(Engine, &str, &str, &[&str]); 5] = [
    (Engine::Vllm, "vllm", "vLLM", &[]),
    (Engine::LlamaCpp, "llama.cpp", "llama.cpp", &["llama_cpp", "llamacpp", "llama-server"]),
    (Engine::Sglang, "sglang", "SGLang", &[]),
    (Engine::Tgi, "tgi", "TGI", &["text-generation-inference"]),
    (Engine::TensorRtLlm, "tensorrt-llm", "TensorRT-LLM", &["trtllm"]),
];

impl Engine {
    fn known(&self) -> Option<(&'static str, &'static str)> {
        KNOWN.iter().find(|(engine, ..)| engine == self).map(|&(_, id, label, _)| (id, label))
    }

    /// Identifier on disk, such as `llama.cpp`.
    pub fn id(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => known.known().map_or("", |(id, _)| id),
        }
    }

    /// Name as the engine's makers write it, such as `vLLM`.
    pub fn label(&self) -> &str {
        self.known().map_or(self.id(), |(_, label)| label)
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl FromStr for Engine {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(Self::from(name.to_owned()))
    }
}

impl From<String> for Engine {
    fn from(name: String) -> Self {
        let is_named = |id: &str, others: &[&str]| id == name || others.contains(&name.as_str());
        let known = KNOWN.iter().find(|(_, id, _, others)| is_named(id, others));
        known.map_or(Self::Other(name), |(engine, ..)| engine.clone())
    }
}

impl From<Engine> for String {
    fn from(engine: Engine) -> Self {
        engine.id().to_owned()
    }
}

/// Writes an engine as `server.jsonl` spells it, where llama.cpp has always been `llama_cpp`.
pub(crate) fn in_server_jsonl<S: Serializer>(engine: &Engine, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *engine == Engine::LlamaCpp { "llama_cpp" } else { engine.id() })
}
