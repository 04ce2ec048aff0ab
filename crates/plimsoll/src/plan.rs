//! From flags to a checked plan. The defaults of the measurement are here and nowhere else.

use std::{num::NonZeroU32, time::Duration};

use loadgen::{LengthControl, LoadPlan, LoadSpec, Threads, Timeouts};
use records::EngineFacts;

use crate::{
    access::Secrets,
    cli::{EndpointType, LoadArgs},
    exit::{self, Exit, WithExit as _},
    host,
    levels::{Defaults, in_order, levels},
    workload,
};

/// A connection on a healthy network takes far less; a full accept queue takes longer than a second (one SYN again).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests that are cancelled have their connections dropped, so that nothing takes long to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Said of a server that cannot be told.
const RESPONSES_EOS: &str =
    "the responses API has no way to ignore the end-of-sequence token: outputs may be shorter than asked";
/// Warm-up requests ask for a tenth of the output: `docs/decisions.md`.
const WARMUP_SHARE: u32 = 10;

/// The plan, and sentences about what could not be planned as asked.
pub(crate) fn build(
    url: &str,
    load: &LoadArgs,
    secrets: &Secrets,
    defaults: Defaults,
    engine: &EngineFacts,
) -> anyhow::Result<(LoadPlan, Vec<String>)> {
    let (length_control, notes) = length_control(load, engine);
    let model = model(load, engine)?;
    let replicas = load.replicas.iter().map(|url| secrets.target(url, model, load));
    let seed = load.seed.unwrap_or_else(host::unix_ns);
    let levels = in_order(levels(load, defaults)?, load.series.level_order, seed);
    let (work, osl) = workload::work(load)?;
    let total = Duration::from_secs(load.request_timeout_seconds);
    let spec = LoadSpec {
        target: secrets.target(url, model, load)?,
        replicas: replicas.collect::<anyhow::Result<_>>()?,
        levels,
        work,
        osl,
        warmup_osl: NonZeroU32::new(osl.get() / WARMUP_SHARE).unwrap_or(NonZeroU32::MIN),
        length_control,
        extra_body: extra_body(load)?,
        seed,
        timeouts: Timeouts { connect: CONNECT_TIMEOUT.min(total), first_byte: total, between_tokens: total, total },
        drain: DRAIN_TIMEOUT,
        threads: Threads::Auto,
    };
    Ok((LoadPlan::new(spec).exit(Exit::Usage)?, notes))
}

fn model<'a>(load: &'a LoadArgs, engine: &'a EngineFacts) -> anyhow::Result<&'a str> {
    load.model.as_deref().or(engine.models.first().map(String::as_str)).ok_or_else(|| {
        exit::error(
            Exit::Usage,
            "choose a model: the server does not list any under /v1/models\nhint: name it with --model",
        )
    })
}

fn length_control(load: &LoadArgs, engine: &EngineFacts) -> (LengthControl, Vec<String>) {
    let known = LengthControl::for_engine(engine.name.as_ref());
    match (load.ignore_eos, known) {
        _ if load.endpoint_type == EndpointType::Embeddings => (known, Vec::new()),
        (asked, _) if load.endpoint_type == EndpointType::Responses => {
            let told = asked != Some(false);
            (known, told.then(|| RESPONSES_EOS.to_owned()).into_iter().collect())
        }
        (Some(false), _) => (LengthControl::MaxTokensOnly, Vec::new()),
        (Some(true), LengthControl::MaxTokensOnly) => (LengthControl::IgnoreEos, Vec::new()),
        (None, LengthControl::MaxTokensOnly) => (known, vec![
            "the engine was not recognised, so it was not told to ignore the end-of-sequence token: outputs may be shorter than asked (--ignore-eos tells it)".into(),
        ]),
        (_, known) => (known, Vec::new()),
    }
}

fn extra_body(load: &LoadArgs) -> anyhow::Result<serde_json::Map<String, serde_json::Value>> {
    let Some(json) = &load.extra_body else {
        return Ok(serde_json::Map::new());
    };
    serde_json::from_str(json).map_err(|e| {
        exit::error(
            Exit::Usage,
            format!("understand --extra-body: {e}\nhint: give a JSON object, such as '{{\"top_k\": 1}}'"),
        )
    })
}
