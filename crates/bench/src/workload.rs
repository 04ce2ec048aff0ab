//! From settings to what is asked of the server: API, prompts and lengths.

use std::{fs, num::NonZeroU32, path::Path};

use loadgen::{
    Work,
    workload::{Calibration, Conversations, Dataset, Lengths, Synthetic, Trace, Workload},
};

use crate::{
    BenchError,
    settings::{Arrivals, ConversationSettings, Endpoint, Prompts, Settings, StopSettings, WorkSettings},
};

/// Output tokens where nothing else is said.
const OSL_DEFAULT: u32 = 100;

impl Prompts {
    /// Lengths of prompts and answers; no prompt length where the prompts have their own.
    fn lengths(&self) -> (Option<Lengths>, Lengths) {
        let spread = |mean, stddev| Lengths { mean, stddev };
        match self {
            Self::Translation | Self::Dataset { .. } => (None, Lengths::exactly(OSL_DEFAULT)),
            Self::Chat => (Some(spread(512, 256.0)), spread(256, 128.0)),
            Self::Rag => (Some(spread(4096, 1024.0)), spread(256, 128.0)),
            Self::Code => (Some(spread(2048, 1024.0)), spread(512, 256.0)),
        }
    }
}

impl From<Endpoint> for loadgen::Endpoint {
    fn from(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Chat => Self::Chat,
            Endpoint::Completions => Self::Completions,
            Endpoint::Responses => Self::Responses,
            Endpoint::Embeddings => Self::Embeddings,
        }
    }
}

/// The work, and the mean output length.
pub(crate) fn work(settings: &Settings) -> Result<(Work, NonZeroU32), BenchError> {
    let asked = &settings.work;
    let (isl, osl) = asked.prompts.lengths();
    let osl = asked.osl.map_or(osl, Lengths::exactly);
    let mean = NonZeroU32::new(osl.mean)
        .ok_or_else(|| BenchError::setting("work.osl", "it is 0", "ask for 1 output token at least"))?;
    let work = Work {
        endpoint: asked.endpoint.into(),
        stream: asked.streaming,
        workload: workload(settings, isl)?,
        osl_stddev: spread("work.osl_stddev", asked.osl_stddev.unwrap_or(osl.stddev))?,
        retries: asked.retries,
        conversations: asked.conversations.as_ref().map(conversations).transpose()?,
        stop_when: settings.stop.as_ref().map(stop_when),
    };
    Ok((work, mean))
}

/// The stop rule as records contain it.
fn stop_when(StopSettings { rule, requests_min }: &StopSettings) -> String {
    match requests_min {
        Some(requests) => format!("{rule} from {requests} requests on"),
        None => rule.to_string(),
    }
}

fn conversations(asked: &ConversationSettings) -> Result<Conversations, BenchError> {
    let turns_stddev = spread("work.conversations.turns_stddev", asked.turns_stddev)?;
    let think_stddev = spread("work.conversations.think_ms_stddev", asked.think_ms_stddev)?;
    Ok(Conversations {
        turns: Lengths { mean: asked.turns, stddev: turns_stddev },
        think_ms: Lengths { mean: asked.think_ms, stddev: think_stddev },
    })
}

fn workload(settings: &Settings, isl: Option<Lengths>) -> Result<Workload, BenchError> {
    let asked: &WorkSettings = &settings.work;
    let shared_prefix = asked.shared_prefix_tokens;
    let synthetic = |isl, recorded| {
        Workload::Synthetic(Synthetic { isl, shared_prefix, calibration: Calibration::default(), recorded })
    };
    if let Some(trace) = trace(&settings.load.arrivals)? {
        return Ok(synthetic(Lengths::exactly(1), Some(trace)));
    }
    if let Prompts::Dataset { file } = &asked.prompts {
        let (name, text) = read(file)?;
        return Ok(Workload::Dataset(Dataset::parse(&name, &text)?));
    }
    let Some(isl) = asked.isl.map(Lengths::exactly).or(isl) else {
        if asked.isl_stddev.is_some() || shared_prefix > 0 {
            return Err(BenchError::setting(
                "work.isl",
                "a spread (--isl-stddev) or a shared prefix (--shared-prefix-tokens) needs prompts of a given length",
                "give the length with --isl",
            ));
        }
        return Ok(Workload::Translation);
    };
    if shared_prefix >= isl.mean {
        return Err(BenchError::setting(
            "work.shared_prefix_tokens",
            format!("it leaves nothing of a prompt of {} tokens", isl.mean),
            "make --shared-prefix-tokens smaller than --isl",
        ));
    }
    let stddev = spread("work.isl_stddev", asked.isl_stddev.unwrap_or(isl.stddev))?;
    Ok(synthetic(Lengths { stddev, ..isl }, None))
}

/// The recorded traffic that is to be replayed.
pub(crate) fn trace(arrivals: &Arrivals) -> Result<Option<Trace>, BenchError> {
    let Arrivals::Trace { file, speed, .. } = arrivals else {
        return Ok(None);
    };
    let (name, text) = read(file)?;
    Ok(Some(Trace::parse(&name, &text, *speed)?))
}

/// A file's name and text.
fn read(file: &Path) -> Result<(String, String), BenchError> {
    let text = fs::read_to_string(file).map_err(|reason| BenchError::File { path: file.to_owned(), reason })?;
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    Ok((name.into_owned(), text))
}

fn spread(setting: &'static str, stddev: f64) -> Result<f64, BenchError> {
    if stddev.is_finite() && stddev >= 0.0 {
        return Ok(stddev);
    }
    Err(BenchError::setting(setting, format!("{stddev} is no standard deviation"), "give 0 or more"))
}

/// How words became tokens in a run that goes on.
pub(crate) fn calibration(plan: &records::Plan) -> Option<Calibration> {
    let figure = |name: &str| plan.workload_options.get(name)?.as_f64();
    Some(Calibration { per_word: figure("tokens_per_word")?, overhead: figure("overhead_tokens")? })
}
