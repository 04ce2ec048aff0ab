//! Settings of a run folder, also of one from before the manifest contained them: those are read from its command line.

use std::iter;

use bench::{BenchError, Folder, Settings};
use clap::{Parser, Subcommand};
use records::Manifest;

use crate::args::{AllArgs, BenchArgs, settings_of_all};

/// Beginning of the note by which old runs said that their search was over.
const SEARCH_OVER: &str = "the levels were chosen by a search for the capacity";

/// A recorded command line.
#[derive(Debug, Parser)]
struct Recorded {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    All(AllArgs),
    Bench(BenchArgs),
}

/// The settings that the folder was measured with.
///
/// # Errors
/// [`BenchError`] when the folder or its settings cannot be read.
pub(crate) fn settings(folder: &Folder) -> anyhow::Result<Settings> {
    if let Some(settings) = folder.settings()? {
        return Ok(settings);
    }
    let manifest = folder.manifest()?;
    let unknown = |reason: String| BenchError::SettingsUnknown { path: folder.path().to_owned(), reason };
    let words = iter::once("plimsoll").chain(manifest.argv.iter().map(String::as_str));
    let recorded = Recorded::try_parse_from(words).map_err(|e| unknown(e.to_string()))?;
    let mut settings = match recorded.command {
        Command::All(args) => settings_of_all(&args)?,
        Command::Bench(args) => args.load.settings(&args.url)?,
    };
    let Manifest { target, judgement, notes, .. } = manifest;
    target.url().clone_into(&mut settings.target.url);
    settings.target.simulated_profile = target.simulated_profile().map(str::to_owned);
    settings.judgement = judgement;
    if notes.iter().any(|note| note.starts_with(SEARCH_OVER)) {
        settings.search = None;
    }
    Ok(settings)
}
