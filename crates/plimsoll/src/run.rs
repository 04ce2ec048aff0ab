//! `plimsoll all` and `plimsoll bench`: measure, then report what was measured.

use analysis::{LevelSummary, Summary};
use anyhow::bail;
use bench::{Bench, Folder, Outcome, Settings, StopHandle, redact};
use records::EndReason;
use report::Language;
use simserver::{SimConfig, SimServer};

use crate::{
    args::{AllArgs, BenchArgs, LoadArgs, OutputArgs, settings_of_all},
    dry_run,
    exit::{self, Exit, WithExit as _},
    interrupt::Interrupt,
    legacy, output, overhead,
    program::program_name,
    progress::{Progress, log},
    report::Documents,
    sim,
};

/// Address of a simulated server that is not started.
const NOWHERE: &str = "http://127.0.0.1:8000";

/// The whole pipeline, against the simulated server where no other is named.
pub(crate) fn all(args: &AllArgs) -> anyhow::Result<Exit> {
    let request = Request::new(&args.url, &args.load, &args.output, args.output.lang.written());
    let (settings, folder) = request.settings(|| settings_of_all(args))?;
    let server = settings.target.simulated_profile.as_deref().filter(|_| !args.load.dry_run).map(start).transpose()?;
    let url = server.as_ref().map(SimServer::url);
    request.carry_out(settings, folder.as_ref(), url)
}

/// The measuring part alone: records and summary, no documents.
pub(crate) fn bench(args: &BenchArgs) -> anyhow::Result<Exit> {
    let request = Request::new(&args.url, &args.load, &args.output, &[]);
    let (settings, folder) = request.settings(|| args.load.settings(&args.url))?;
    if settings.target.simulated_profile.is_some() {
        let name = program_name();
        let message = format!("the run loaded the simulated server\nhint: resume it with {name} all --resume");
        return Err(exit::error(Exit::Usage, message));
    }
    request.carry_out(settings, folder.as_ref(), None)
}

/// The simulated server, which answers as long as it is held.
fn start(profile: &str) -> anyhow::Result<SimServer> {
    let server = SimServer::start(SimConfig::new(sim::profile(profile)?)).exit(Exit::Usage)?;
    log(&format!("simulated server with profile {profile} at {}", server.url()));
    Ok(server)
}

/// A measurement as the command line asks for it.
struct Request<'a> {
    urls: &'a [String],
    load: &'a LoadArgs,
    output: &'a OutputArgs,
    documents: &'a [Language],
}

impl<'a> Request<'a> {
    fn new(urls: &'a [String], load: &'a LoadArgs, output: &'a OutputArgs, documents: &'a [Language]) -> Self {
        Self { urls, load, output, documents }
    }

    /// The settings of the folder that is to be resumed, else those of the flags.
    fn settings(
        &self,
        of_flags: impl FnOnce() -> anyhow::Result<Settings>,
    ) -> anyhow::Result<(Settings, Option<Folder>)> {
        let Some(path) = &self.load.resume else {
            let mut settings = of_flags()?;
            settings.output = self.output.settings();
            settings.judgement = self.output.judge.judgement(settings.judgement);
            return Ok((settings, None));
        };
        let folder = Folder::open(path)?;
        let mut settings = legacy::settings(&folder)?;
        if let Some((url, replicas)) = self.urls.split_first() {
            settings.target.url.clone_from(url);
            settings.target.simulated_profile = None;
            if !replicas.is_empty() {
                settings.target.replicas = replicas.to_vec();
            }
        }
        Ok((settings, Some(folder)))
    }

    /// Measures, at `simulated` where that is the server's address, and reports.
    fn carry_out(
        &self,
        mut settings: Settings,
        folder: Option<&Folder>,
        simulated: Option<String>,
    ) -> anyhow::Result<Exit> {
        if settings.target.simulated_profile.is_some() {
            settings.target.url = simulated.unwrap_or_else(|| NOWHERE.to_owned());
        }
        if self.load.dry_run {
            return dry_run::run(settings, self.load.secrets()?, self.output.json);
        }
        let stop = StopHandle::default();
        let on_interrupt = stop.clone();
        let _interrupt = Interrupt::install_with(move || on_interrupt.stop())?;
        let results = folder.and_then(|folder| folder.path().parent()).unwrap_or(&settings.output.results);
        let note = overhead::note(results).or_else(|| overhead::note(results.parent()?));
        let bench = Bench::new(settings)
            .with_secrets(self.load.secrets()?)
            .with_stop(stop)
            .with_command_line(redact::command_line(std::env::args().skip(1)))
            .with_note(note);
        let mut progress = Progress::default();
        let mut show = |event: bench::Event<'_>| progress.observe(&event);
        let outcome = match folder {
            Some(folder) => bench.resume(folder, &mut show)?,
            None => bench.run(&mut show)?,
        };
        self.report(&outcome)
    }

    fn report(&self, outcome: &Outcome) -> anyhow::Result<Exit> {
        let folder = outcome.folder.path().display();
        if let EndReason::Failed { message } = &outcome.end {
            bail!(
                "{message}\nhint: what had been measured is in {folder}; when the cause is gone (a full disk?), finish it with --resume {folder}, or report it as it is with {} report {folder}",
                program_name()
            );
        }
        if let Folder::Run(dir) = &outcome.folder {
            self.output.ask.keep(dir);
        }
        let documents = Documents::write(&outcome.folder, self.documents, &self.output.judge)?;
        output::emit(self.output.json, &documents, |documents| documents.console(self.output.lang))?;
        let hint = format!("hint: what had been measured is in {folder}; finish it with --resume {folder}");
        Ok(match &outcome.end {
            EndReason::Completed => worst(&documents.summaries()),
            EndReason::ServerLost { message } => {
                log(&format!("error: the server was lost: {message}\n{hint}"));
                Exit::Server
            }
            _ => {
                log(&format!("interrupted\n{hint}"));
                Exit::Interrupted
            }
        })
    }
}

/// The code of the first run whose figures are not valid or whose objectives were met nowhere.
fn worst(summaries: &[&Summary]) -> Exit {
    summaries.iter().map(|summary| code(summary)).find(|code| *code != Exit::Ok).unwrap_or(Exit::Ok)
}

fn code(summary: &Summary) -> Exit {
    let is_invalid = |level: &LevelSummary| !level.invalid.is_empty();
    let goodput = summary.goodput.as_ref();
    if summary.levels.iter().any(is_invalid) {
        Exit::Invalid
    } else if goodput.is_some_and(|goodput| goodput.capacity.held_at.is_none()) {
        // Objectives that not even the smallest level met.
        Exit::NotMet
    } else {
        Exit::Ok
    }
}
