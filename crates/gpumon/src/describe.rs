//! What an engine says about itself before the load begins.
//!
//! Asks `/v1/models`, `/version`, `/props` and `/metrics`. No endpoint is required: what is not there is absent from the
//! facts. Only a server that does not answer at all, or that refuses the key, is an error, because then no load could be
//! put on it either. Nothing here is measured or guessed: the facts are the engine's words.

use records::{Engine, EngineFacts, ServerUrl};
use serde::Deserialize;
use thiserror::Error;

use crate::{
    engine,
    http::{Access, Client, NoAnswer},
    prometheus,
};

/// Why nothing could be learnt.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DescribeError {
    /// No server answers at the URL.
    #[error(
        "nothing answers at {url}: {reason}\nhint: check that the server has finished loading, and that host and port are right"
    )]
    Unreachable {
        /// Base URL, without credentials.
        url: String,
        /// What was seen.
        reason: String,
    },
    /// The server answers, but wants another key.
    #[error("{url} refuses access (status {status})\nhint: pass the server's API key")]
    Refused {
        /// Base URL, without credentials.
        url: String,
        /// HTTP status, 401 or 403.
        status: u16,
    },
}

/// Asks the server at `base` for its facts. Takes up to two seconds for each of four endpoints.
pub fn engine_facts(base: &ServerUrl, access: &Access) -> Result<EngineFacts, DescribeError> {
    let client = Client::new(access);
    let models = client
        .get(&base.endpoint("/v1/models"))
        .map_err(|NoAnswer(reason)| DescribeError::Unreachable { url: base.to_string(), reason })?;
    if let 401 | 403 = models.status {
        return Err(DescribeError::Refused { url: base.to_string(), status: models.status });
    }
    let optional = |path| {
        let answer = client.get(&base.endpoint(path)).ok()?;
        (answer.status == 200).then_some(answer.body)
    };
    Ok(facts(&Answers {
        models: (models.status == 200).then_some(models.body),
        version: optional("/version"),
        props: optional("/props"),
        metrics: optional("/metrics"),
    }))
}

/// Bodies of the endpoints that answered 200.
#[derive(Debug, Default)]
struct Answers {
    models: Option<String>,
    version: Option<String>,
    props: Option<String>,
    metrics: Option<String>,
}

/// `/v1/models` of vLLM and llama.cpp.
#[derive(Default, Deserialize)]
struct Models {
    #[serde(default)]
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    owned_by: Option<String>,
    max_model_len: Option<u64>,
    meta: Option<Meta>,
}

/// llama.cpp's particulars of a model.
#[derive(Deserialize)]
struct Meta {
    /// Context of one slot, in tokens.
    n_ctx: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Version {
    version: Option<String>,
}

/// `/props` of llama.cpp.
#[derive(Default, Deserialize)]
struct Props {
    total_slots: Option<u64>,
    build_info: Option<String>,
}

fn facts(answers: &Answers) -> EngineFacts {
    let models: Models = json(answers.models.as_deref());
    let version: Version = json(answers.version.as_deref());
    let props: Props = json(answers.props.as_deref());
    let scrape = prometheus::parse(answers.metrics.as_deref().unwrap_or_default());

    let owner = models.data.iter().find_map(|model| model.owned_by.as_deref());
    // An owner may be anyone, such as the organisation that trained the model: only known engines count.
    let owner = owner.map(|owner| Engine::from(owner.to_owned())).filter(|engine| !matches!(engine, Engine::Other(_)));
    EngineFacts {
        name: engine::recognise(&scrape).or(owner),
        version: version.version.or(props.build_info),
        max_model_len: models.data.iter().find_map(|model| model.max_model_len.or_else(|| model.meta.as_ref()?.n_ctx)),
        models: models.data.into_iter().map(|model| model.id).collect(),
        max_num_seqs: props.total_slots,
        cache_config: engine::cache_config(&scrape),
    }
}

/// The body read as `T`. One that is not what it should be says nothing, like one that is not there.
fn json<T: Default + serde::de::DeserializeOwned>(body: Option<&str>) -> T {
    body.and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VLLM_MODELS: &str = include_str!("../../../fixtures/gpumon/vllm-0.11.2-models.json");
    const VLLM_VERSION: &str = include_str!("../../../fixtures/gpumon/vllm-0.11.2-version.json");
    const VLLM_METRICS: &str = include_str!("../../../fixtures/prometheus/vllm-0.11.2-idle.txt");
    const LLAMA_MODELS: &str = include_str!("../../../fixtures/gpumon/llamacpp-b10434-models.json");
    const LLAMA_PROPS: &str = include_str!("../../../fixtures/gpumon/llamacpp-b10434-props.json");
    const LLAMA_METRICS: &str = include_str!("../../../fixtures/prometheus/llamacpp-b10434.txt");

    #[test]
    fn vllm_as_captured() {
        let mut facts = facts(&Answers {
            models: Some(VLLM_MODELS.to_owned()),
            version: Some(VLLM_VERSION.to_owned()),
            props: None,
            metrics: Some(VLLM_METRICS.to_owned()),
        });
        let cache_config = std::mem::take(&mut facts.cache_config);
        let expected = EngineFacts {
            name: Some(Engine::Vllm),
            version: Some("0.11.2.post2".to_owned()),
            models: vec!["smollm2-135m".to_owned()],
            max_model_len: Some(2048),
            ..EngineFacts::default()
        };
        assert_eq!(facts, expected);
        assert_eq!(cache_config["num_gpu_blocks"], "728");
    }

    #[test]
    fn llamacpp_as_captured() {
        let expected = EngineFacts {
            name: Some(Engine::LlamaCpp),
            version: Some("b1-7e4c0a9".to_owned()),
            models: vec!["smollm2-135m".to_owned()],
            max_model_len: Some(2048),
            max_num_seqs: Some(8),
            ..EngineFacts::default()
        };
        let mut answers = Answers {
            models: Some(LLAMA_MODELS.to_owned()),
            props: Some(LLAMA_PROPS.to_owned()),
            ..Answers::default()
        };
        assert_eq!(facts(&answers), expected, "without --metrics");
        answers.metrics = Some(LLAMA_METRICS.to_owned());
        assert_eq!(facts(&answers), expected);
    }

    /// Constructed from documentation, not captured: SGLang's model card names itself as owner and has no `/version`.
    #[test]
    fn sglang_is_recognised_by_its_model_card() {
        let card = r#"{"object":"list","data":[{"id":"m","object":"model","owned_by":"sglang","max_model_len":8192}]}"#;
        let facts = facts(&Answers { models: Some(card.to_owned()), ..Answers::default() });
        assert_eq!((facts.name, facts.max_model_len), (Some(Engine::Sglang), Some(8192)));
    }

    #[test]
    fn nothing_learnt_is_nothing_said() {
        assert_eq!(facts(&Answers::default()), EngineFacts::default());
        let odd = Some("<html>not found</html>".to_owned());
        let answers = Answers { models: odd.clone(), version: odd.clone(), props: odd.clone(), metrics: odd };
        assert_eq!(facts(&answers), EngineFacts::default());
    }
}
