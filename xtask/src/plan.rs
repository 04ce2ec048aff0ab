//! From flags to a checked plan. The defaults of the measurement are here and nowhere else.

use std::{num::NonZeroU32, time::Duration};

use gpumon::{Access, BaseUrl};
use loadgen::{LengthControl, LoadPlan, LoadSpec, Secret, Target, Threads, Timeouts};
use records::EngineFacts;

use crate::{
    cli::LoadArgs,
    exit::{self, Exit, WithExit as _},
    host,
    levels::{Defaults, levels},
    workload,
};

/// A connection on a healthy network takes far less; a full accept queue takes longer than a second (one SYN again).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests that are cancelled have their connections dropped, so that nothing takes long to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Warm-up requests ask for a tenth of the output: `docs/decisions.md`.
const WARMUP_SHARE: u32 = 10;

/// The bearer key of the environment and the headers of the command line.
pub(crate) struct Secrets {
    key: Option<String>,
    headers: Vec<(String, String)>,
}

impl Secrets {
    pub(crate) fn gather(load: &LoadArgs) -> anyhow::Result<Self> {
        let key = std::env::var("OPENAI_API_KEY")
            .ok()
            .filter(|key| !key.is_empty());
        let headers = load.header.iter().map(|header| {
            let (name, value) = header.split_once(':').ok_or_else(|| {
                exit::error(
                    Exit::Usage,
                    "understand --header: there is no colon\nhint: write it as \"Name: value\"",
                )
            })?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        });
        Ok(Self {
            key,
            headers: headers.collect::<anyhow::Result<_>>()?,
        })
    }

    /// For telemetry.
    pub(crate) fn access(&self) -> anyhow::Result<Access> {
        let mut access = Access::default();
        if let Some(key) = &self.key {
            access = access.with_bearer_key(key).exit(Exit::Usage)?;
        }
        for (name, value) in &self.headers {
            access = access.with_header(name, value).exit(Exit::Usage)?;
        }
        Ok(access)
    }
}

/// The base URL for telemetry.
pub(crate) fn base_url(url: &str) -> anyhow::Result<BaseUrl> {
    BaseUrl::parse(url).exit(Exit::Usage)
}

/// The plan, and sentences about what could not be planned as asked.
pub(crate) fn build(
    url: &str,
    load: &LoadArgs,
    secrets: &Secrets,
    defaults: Defaults,
    engine: &EngineFacts,
) -> anyhow::Result<(LoadPlan, Vec<String>)> {
    let (length_control, notes) = length_control(load, engine);
    let target = Target::new(
        url,
        model(load, engine)?,
        secrets.key.as_deref().map(Secret::new),
        &secrets.headers,
    )
    .exit(Exit::Usage)?;
    let levels = levels(load, defaults)?;
    let (work, osl) = workload::work(load)?;
    let total = Duration::from_secs(load.request_timeout_seconds);
    let spec = LoadSpec {
        target,
        levels,
        work,
        osl,
        warmup_osl: NonZeroU32::new(osl.get() / WARMUP_SHARE).unwrap_or(NonZeroU32::MIN),
        length_control,
        extra_body: extra_body(load)?,
        seed: load.seed.unwrap_or_else(host::unix_ns),
        timeouts: Timeouts {
            connect: CONNECT_TIMEOUT.min(total),
            first_byte: total,
            between_tokens: total,
            total,
        },
        drain: DRAIN_TIMEOUT,
        threads: Threads::Auto,
    };
    Ok((LoadPlan::new(spec).exit(Exit::Usage)?, notes))
}

fn model<'a>(load: &'a LoadArgs, engine: &'a EngineFacts) -> anyhow::Result<&'a str> {
    load.model.as_deref().or(engine.models.first().map(String::as_str)).ok_or_else(|| {
        exit::error(Exit::Usage, "choose a model: the server does not list any under /v1/models\nhint: name it with --model")
    })
}

fn length_control(load: &LoadArgs, engine: &EngineFacts) -> (LengthControl, Vec<String>) {
    let known = LengthControl::for_engine(engine.name.as_deref());
    match (load.ignore_eos, known) {
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
            format!(
                "understand --extra-body: {e}\nhint: give a JSON object, such as '{{\"top_k\": 1}}'"
            ),
        )
    })
}
