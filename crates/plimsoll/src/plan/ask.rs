//! `--target` of `all`, `bench` and `report`: the plan of one run, kept in its folder before its report is written.

use clap::Args;
use records::RunDir;
use sizing::planner::{self, Question, Slo, Target};

use super::{engine_of, keep, model_of, runs, target};
use crate::progress;

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct AskArgs {
    /// Also plan what to buy for this load, from this run and the catalogue, as `plimsoll plan --target` does; the report
    /// then has it as a section
    #[arg(long, value_name = "TARGET", value_parser = target::target)]
    target: Option<Target>,
    /// Objectives of that load's mean request in ms, such as "ttft:500 tpot:50 e2el:8000"
    #[arg(long, value_name = "OBJECTIVES", value_parser = target::slo, requires = "target")]
    slo: Option<Slo>,
}

impl AskArgs {
    /// Keeps the plan in the run folder, if one was asked for. What cannot be planned costs no measurement: it is said, and
    /// the report goes on without it.
    pub(crate) fn keep(&self, dir: &RunDir) {
        let Some(target) = &self.target else {
            return;
        };
        let target = Target { slo: self.slo.unwrap_or_default(), ..target.clone() };
        if let Err(error) = planned(dir, &target) {
            progress::log(&format!("no plan for --target: {error:#}"));
        }
    }
}

fn planned(dir: &RunDir, target: &Target) -> anyhow::Result<()> {
    let read = runs::read(&[dir.path().to_owned()], None, None)?;
    let model = model_of(None, &read)?;
    let (measured, notes) = runs::measured(&read, model.model);
    for note in notes {
        progress::log(&note);
    }
    let question =
        Question { engine: engine_of(None, &read)?, measured: &measured, ..Question::of(model.model, target) };
    keep(dir.path(), &planner::plan(&question)?)
}
