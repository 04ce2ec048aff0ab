//! `cargo xtask size explain server.log`: predicted against printed, term by term.

use std::{fs, io::Read as _};

use anyhow::Context as _;
use serde::Serialize;
use sizing::{
    Engine, StartLog, catalogue,
    start_log::{Failure, Term, engine_of, explain, flags_of},
};

use super::args::{ExplainArgs, ModelArgs};
use super::setup::Model;
use crate::{
    exit::{self, Exit, WithExit as _},
    output,
};

/// What the command says. `docs/sizing.md` lists the keys.
#[derive(Debug, Serialize)]
struct Explained {
    model: Option<String>,
    engine: Option<String>,
    /// Whether the version was read from line numbers.
    engine_by_line: bool,
    terms: Vec<Term>,
    failures: Vec<Failure>,
    /// Why there are no terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
    log: StartLog,
}

pub(super) fn run(args: &ExplainArgs) -> anyhow::Result<Exit> {
    let log = StartLog::read(&text_of(args)?);
    if log.is_empty() {
        return Err(exit::error(
            Exit::Usage,
            format!(
                "no start-up line of vLLM in {}\nhint: give the server's own log, from its start",
                args.log.display()
            ),
        ));
    }
    let explained = explained(args, log)?;
    output::emit(args.json, &explained, text)?;
    Ok(Exit::Ok)
}

fn text_of(args: &ExplainArgs) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    if args.log.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut bytes).context("read stdin")?;
    } else {
        let read = fs::read(&args.log).with_context(|| format!("read {}", args.log.display()));
        bytes = read.exit(Exit::Usage)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn explained(args: &ExplainArgs, log: StartLog) -> anyhow::Result<Explained> {
    let engine = match &args.vllm {
        Some(version) => Some(Engine::vllm(version).exit(Exit::Usage)?),
        None => engine_of(&log),
    };
    let model = model_of(args, &log)?;
    let gpu = args.gpu.as_deref().map(catalogue::gpu).transpose().exit(Exit::Usage)?;
    let missing = match (&engine, &model) {
        (None, _) => Some("the log names no version that is known\nhint: give --vllm".to_owned()),
        (_, None) => {
            let named = log.model.as_deref().unwrap_or("none");
            Some(format!("the model of the log ({named}) is not in the catalogue\nhint: give --config or --model"))
        }
        _ => None,
    };
    let terms = match (&engine, &model) {
        (Some(engine), Some(model)) => {
            let draft = model.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.draft_layers);
            let flags = flags_of(&log, draft.max(1));
            explain(&log, engine, &model.shape, &flags, model.weights, gpu)
        }
        _ => Vec::new(),
    };
    Ok(Explained {
        model: model.map(|model| model.name).or_else(|| log.model.clone()),
        engine: engine.map(|engine| engine.to_string()),
        engine_by_line: args.vllm.is_none() && log.version.is_none(),
        terms,
        failures: log.failures.clone(),
        missing,
        log,
    })
}

/// The model as given, else the first of the log's names that the catalogue knows.
fn model_of(args: &ExplainArgs, log: &StartLog) -> anyhow::Result<Option<Model>> {
    let model = |config: Option<std::path::PathBuf>, model: Option<String>| {
        Model::from_args(&ModelArgs { config, model, weights_gib: None })
    };
    if args.config.is_some() || args.model.is_some() {
        return model(args.config.clone(), args.model.clone()).map(Some);
    }
    let mut names = log.served_names.iter().chain(&log.model);
    match names.find(|name| catalogue::model(name).is_ok()) {
        Some(name) => model(None, Some(name.clone())).map(Some),
        None => Ok(None),
    }
}

fn text(explained: &Explained) -> String {
    let named = |name: &Option<String>| name.clone().unwrap_or_else(|| "unknown".to_owned());
    let by_line = if explained.engine_by_line { " (by its line numbers)" } else { "" };
    let mut lines = vec![format!("{} on {}{by_line}", named(&explained.model), named(&explained.engine))];
    lines.extend(explained.missing.clone());
    for term in &explained.terms {
        let verdict = match term.agrees {
            Some(true) => "as predicted",
            Some(false) => "NOT as predicted",
            None => "not checked",
        };
        let printed = term.printed.map_or_else(|| "-".to_owned(), |figure| figure_of(figure, term.unit));
        let predicted = term.predicted.map_or_else(String::new, |[low, high]| {
            format!(", predicted {} to {}", figure_of(low, term.unit), figure_of(high, term.unit))
        });
        lines.push(format!("{}: printed {printed}{predicted}: {verdict}\n    {}", term.what, term.reason));
    }
    lines.extend(explained.failures.iter().map(|failure| format!("did not start: {failure:?}")));
    lines.join("\n")
}

fn figure_of(figure: f64, unit: &str) -> String {
    match unit {
        "tokens" | "blocks" => format!("{figure:.0} {unit}"),
        "x" => format!("{figure:.2}x"),
        unit => format!("{figure:.2} {unit}"),
    }
}
