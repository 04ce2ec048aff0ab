//! From flags to what is asked of the server: API, prompts and lengths.

use std::{fs, num::NonZeroU32, path::Path};

use anyhow::Context as _;
use loadgen::{
    Endpoint, Work,
    workload::{Calibration, Dataset, Lengths, Synthetic, Trace, Workload},
};

use crate::{
    cli::{EndpointType, LoadArgs, WorkloadKind},
    exit::{self, Exit, WithExit as _},
};

/// Lengths of a kind of work.
struct Profile {
    isl: Option<Lengths>,
    osl: Lengths,
}

impl WorkloadKind {
    fn profile(self) -> Profile {
        let spread = |mean, stddev| Lengths { mean, stddev };
        match self {
            Self::Translation => Profile { isl: None, osl: Lengths::exactly(100) },
            Self::Chat => Profile { isl: Some(spread(512, 256.0)), osl: spread(256, 128.0) },
            Self::Rag => Profile { isl: Some(spread(4096, 1024.0)), osl: spread(256, 128.0) },
            Self::Code => Profile { isl: Some(spread(2048, 1024.0)), osl: spread(512, 256.0) },
        }
    }
}

/// What is asked, and the mean output length.
pub(crate) fn work(load: &LoadArgs) -> anyhow::Result<(Work, NonZeroU32)> {
    let profile = load.workload.profile();
    let osl = load.osl.map_or(profile.osl, Lengths::exactly);
    let work = Work {
        endpoint: match load.endpoint_type {
            EndpointType::Chat => Endpoint::Chat,
            EndpointType::Completions => Endpoint::Completions,
            EndpointType::Responses => Endpoint::Responses,
            EndpointType::Embeddings => Endpoint::Embeddings,
        },
        stream: load.streaming,
        workload: workload(load, &profile)?,
        osl_stddev: spread(load.osl_stddev, osl.stddev, "--osl-stddev")?,
        retries: load.session.retries,
        conversations: load.session.conversations()?,
        stop_when: stop_when(load),
    };
    Ok((work, NonZeroU32::new(osl.mean).context("--osl is at least 1")?))
}

/// The rule of `--stop-when` as records hold it.
fn stop_when(load: &LoadArgs) -> Option<String> {
    let rule = load.stop.stop_when?;
    Some(match load.stop.stop_min_requests {
        Some(fewest) => format!("{rule} from {fewest} requests on"),
        None => rule.to_string(),
    })
}

fn workload(load: &LoadArgs, profile: &Profile) -> anyhow::Result<Workload> {
    if let Some(trace) = trace(load)? {
        return Ok(Workload::Synthetic(Synthetic {
            isl: Lengths::exactly(1),
            shared_prefix: load.shared_prefix_tokens,
            calibration: Calibration::default(),
            recorded: Some(trace),
        }));
    }
    if let Some(file) = &load.dataset {
        let text =
            fs::read_to_string(file).map_err(|e| exit::error(Exit::Usage, format!("read {}: {e}", file.display())))?;
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
        return Ok(Workload::Dataset(Dataset::parse(&name, &text).exit(Exit::Usage)?));
    }
    let Some(isl) = load.isl.map(Lengths::exactly).or(profile.isl) else {
        if load.isl_stddev.is_some() || load.shared_prefix_tokens > 0 {
            return Err(exit::error(
                Exit::Usage,
                "--isl-stddev and --shared-prefix-tokens belong to prompts of a given length\nhint: say how long with --isl",
            ));
        }
        return Ok(Workload::Translation);
    };
    if load.shared_prefix_tokens >= isl.mean {
        return Err(exit::error(
            Exit::Usage,
            format!(
                "--shared-prefix-tokens leaves nothing of a prompt of {} tokens\nhint: make it shorter than --isl",
                isl.mean
            ),
        ));
    }
    Ok(Workload::Synthetic(Synthetic {
        isl: Lengths { mean: isl.mean, stddev: spread(load.isl_stddev, isl.stddev, "--isl-stddev")? },
        shared_prefix: load.shared_prefix_tokens,
        calibration: Calibration::default(),
        recorded: None,
    }))
}

/// The recorded traffic that is to be replayed.
pub(crate) fn trace(load: &LoadArgs) -> anyhow::Result<Option<Trace>> {
    let Some(file) = &load.trace else {
        return Ok(None);
    };
    let (name, text) = read(file)?;
    Ok(Some(Trace::parse(&name, &text, load.trace_speed).exit(Exit::Usage)?))
}

/// A file's name and text.
fn read(file: &Path) -> anyhow::Result<(String, String)> {
    let text =
        fs::read_to_string(file).map_err(|e| exit::error(Exit::Usage, format!("read {}: {e}", file.display())))?;
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    Ok((name.into_owned(), text))
}

fn spread(asked: Option<f64>, otherwise: f64, flag: &str) -> anyhow::Result<f64> {
    let spread = asked.unwrap_or(otherwise);
    if spread.is_finite() && spread >= 0.0 {
        return Ok(spread);
    }
    Err(exit::error(Exit::Usage, format!("{flag} is not a number of tokens")))
}

/// How words became tokens in a run that goes on.
pub(crate) fn calibration(plan: &records::Plan) -> Option<Calibration> {
    let figure = |name: &str| plan.workload_options.get(name)?.as_f64();
    Some(Calibration { per_word: figure("tokens_per_word")?, overhead: figure("overhead_tokens")? })
}
