//! What an engine says of itself, over real sockets.

use gpumon::{
    Access,
    describe::{DescribeError, engine_facts},
};
use records::{Engine, EngineFacts};

use crate::loopback::{LLAMA, Loopback, Pages, VLLM_LOAD, nobody};

const VLLM_MODELS: &str = include_str!("../../../../fixtures/gpumon/vllm-0.11.2-models.json");
const VLLM_VERSION: &str = include_str!("../../../../fixtures/gpumon/vllm-0.11.2-version.json");
const LLAMA_MODELS: &str = include_str!("../../../../fixtures/gpumon/llamacpp-b10434-models.json");
const LLAMA_PROPS: &str = include_str!("../../../../fixtures/gpumon/llamacpp-b10434-props.json");

#[test]
fn vllm_has_no_props_and_that_is_fine() {
    let server = Loopback::start(
        Pages::default()
            .with("/v1/models", 200, VLLM_MODELS)
            .with("/version", 200, VLLM_VERSION)
            .with("/metrics", 200, VLLM_LOAD),
    );
    let facts = engine_facts(server.url(), &Access::default()).unwrap();
    assert_eq!(facts.name, Some(Engine::Vllm));
    assert_eq!(facts.version.as_deref(), Some("0.11.2.post2"));
    assert_eq!(facts.models, ["smollm2-135m"]);
    assert_eq!(facts.max_model_len, Some(2048));
    assert_eq!(facts.max_num_seqs, None);
    assert_eq!(facts.cache_config["num_gpu_blocks"], "728");
}

#[test]
fn llamacpp_has_no_version_and_that_is_fine() {
    let server = Loopback::start(
        Pages::default()
            .with("/v1/models", 200, LLAMA_MODELS)
            .with("/props", 200, LLAMA_PROPS)
            .with("/metrics", 200, LLAMA),
    );
    let facts = engine_facts(server.url(), &Access::default()).unwrap();
    assert_eq!(facts.name, Some(Engine::LlamaCpp));
    assert_eq!(facts.version.as_deref(), Some("b1-7e4c0a9"));
    assert_eq!(facts.max_num_seqs, Some(8));
}

#[test]
fn a_server_without_any_of_the_endpoints_has_no_facts() {
    let server = Loopback::start(Pages::default());
    let facts = engine_facts(server.url(), &Access::default());
    assert_eq!(facts, Ok(EngineFacts::default()));
}

#[test]
fn nothing_there_is_an_error_with_a_hint() {
    let access = Access::default().with_bearer_key("sk-secret").unwrap();
    let error = engine_facts(&nobody(), &access).unwrap_err();
    assert!(matches!(error, DescribeError::Unreachable { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.starts_with(&format!("nothing answers at {}: ", nobody())), "{message}");
    assert!(message.contains("\nhint: "), "{message}");
    assert!(!message.contains("secret"), "{message}");
}

#[test]
fn a_refused_key_is_an_error_that_does_not_show_it() {
    let server = Loopback::start(Pages::default().with("/v1/models", 401, "no sk-secret here"));
    let access = Access::default().with_bearer_key("sk-secret").unwrap();
    let error = engine_facts(server.url(), &access).unwrap_err();
    assert!(matches!(error, DescribeError::Refused { status: 401, .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn every_request_carries_key_and_headers() {
    let server = Loopback::start(Pages::default());
    let access =
        Access::default().with_bearer_key("sk-1").and_then(|access| access.with_header("X-Team", "ops")).unwrap();
    engine_facts(server.url(), &access).unwrap();
    let heads: Vec<_> = server.seen.try_iter().collect();
    let paths: Vec<_> = heads.iter().map(|head| head[0].as_str()).collect();
    assert_eq!(
        paths,
        ["GET /v1/models HTTP/1.1", "GET /version HTTP/1.1", "GET /props HTTP/1.1", "GET /metrics HTTP/1.1"]
    );
    for head in heads {
        let lower: Vec<_> = head.iter().map(|line| line.to_lowercase()).collect();
        assert!(lower.contains(&"authorization: bearer sk-1".to_owned()), "{head:?}");
        assert!(lower.contains(&"x-team: ops".to_owned()), "{head:?}");
    }
}
