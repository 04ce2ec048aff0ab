//! From settings to a checked plan of the load.

use std::{num::NonZeroU32, time::Duration};

use loadgen::{LengthControl, Level, LoadPlan, LoadSpec, Threads, Timeouts};
use records::EngineFacts;

use crate::{
    BenchError,
    access::{Credentials, Secrets},
    host, levels,
    settings::{Endpoint, Settings, WorkSettings},
    workload,
};

/// A connection on a healthy network takes far less; a full accept queue takes longer than a second (one SYN again).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests that are cancelled have their connections dropped, so that nothing takes long to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Warm-up requests ask for a tenth of the output: `docs/decisions.md`.
const WARMUP_SHARE: u32 = 10;

const RESPONSES_EOS: &str =
    "the responses API has no way to ignore the end-of-sequence token: outputs may be shorter than asked";
const ENGINE_UNKNOWN: &str = "the engine was not recognised, so it was not told to ignore the end-of-sequence token: outputs may be shorter than asked (--ignore-eos tells it)";

/// The plan of these levels, and sentences about what could not be planned as asked.
///
/// # Errors
/// A setting that cannot be used, a file that cannot be read, or a plan that is refused.
pub(crate) fn build(
    settings: &Settings,
    levels: Vec<Level>,
    secrets: &Secrets,
    engine: &EngineFacts,
) -> Result<(LoadPlan, Vec<String>), BenchError> {
    let credentials = Credentials::for_server(&settings.connection, secrets)?;
    let (length_control, note) = length_control(&settings.work, engine);
    let named = settings.target.model.as_deref().or(engine.models.first().map(String::as_str));
    let model = named.ok_or(BenchError::NoModel)?;
    let target = |url: &str| credentials.target(url, model, &settings.connection);
    let seed = settings.load.seed.unwrap_or_else(host::unix_ns);
    let (work, osl) = workload::work(settings)?;
    let total = Duration::from_secs(settings.connection.request_timeout_s);
    let spec = LoadSpec {
        target: target(&settings.target.url)?,
        replicas: settings.target.replicas.iter().map(|url| target(url)).collect::<Result<_, _>>()?,
        levels: levels::in_order(levels, settings.series.level_order, seed),
        work,
        osl,
        warmup_osl: NonZeroU32::new(osl.get() / WARMUP_SHARE).unwrap_or(NonZeroU32::MIN),
        length_control,
        extra_body: settings.work.extra_body.clone(),
        seed,
        timeouts: Timeouts { connect: CONNECT_TIMEOUT.min(total), first_byte: total, between_tokens: total, total },
        drain: DRAIN_TIMEOUT,
        threads: Threads::Auto,
    };
    Ok((LoadPlan::new(spec)?, note.map(str::to_owned).into_iter().collect()))
}

fn length_control(work: &WorkSettings, engine: &EngineFacts) -> (LengthControl, Option<&'static str>) {
    let known = LengthControl::for_engine(engine.name.as_ref());
    match (work.ignore_eos, known) {
        _ if work.endpoint == Endpoint::Embeddings => (known, None),
        (asked, _) if work.endpoint == Endpoint::Responses => (known, (asked != Some(false)).then_some(RESPONSES_EOS)),
        (Some(false), _) => (LengthControl::MaxTokensOnly, None),
        (Some(true), LengthControl::MaxTokensOnly) => (LengthControl::IgnoreEos, None),
        (None, LengthControl::MaxTokensOnly) => (known, Some(ENGINE_UNKNOWN)),
        (_, known) => (known, None),
    }
}
