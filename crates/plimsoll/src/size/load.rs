//! `plimsoll size`: what a server prints, where its memory is known, and the planner's answer for a load.

use analysis::SizingSection;
use serde::Serialize;
use sizing::{
    Blocks, Bytes, Engine, EngineFlags, ModelSpec, Tokens, catalogue,
    planner::{self, FleetPlan, Question, Target},
};

use super::{
    LoadArgs,
    setup::{KvFigures, Memory},
};
use crate::{
    exit::{self, Exit, WithExit as _},
    output::{self, CONSOLE_WIDTH},
    plan::{find, usual_target},
};

/// What the command says. `docs/schema.md` lists the keys.
#[derive(Debug, Serialize)]
struct Sized {
    model: String,
    engine: String,
    #[serde(flatten)]
    start_up: Option<StartUp>,
    sizing: SizingSection,
    /// The same answer as `plimsoll plan` gives.
    plan: FleetPlan,
}

/// What a server with so much memory prints.
#[derive(Debug, Serialize)]
struct StartUp {
    available_kv_gib: f64,
    max_model_len: u64,
    printed: String,
    #[serde(flatten)]
    figures: KvFigures,
}

pub(crate) fn run(args: &LoadArgs) -> anyhow::Result<Exit> {
    let sized = size(args)?;
    output::emit(args.json, &sized, |sized| text(sized, args))?;
    Ok(Exit::Ok)
}

fn size(args: &LoadArgs) -> anyhow::Result<Sized> {
    let found = find(&args.model)?;
    let engine = Engine::vllm(&args.vllm).exit(Exit::Usage)?;
    let osl = (args.context / 4).max(1);
    let isl = args.context.saturating_sub(osl).max(1);
    let usual = usual_target(&found);
    let target = Target { weights: usual.weights, kv: usual.kv, ..Target::concurrency(args.concurrency, isl, osl) };
    let gpu = args.gpu.as_deref().map(catalogue::gpu).transpose().exit(Exit::Usage)?;
    let mut question = Question { engine, served: &found.served, ..Question::of(found.model, &target) };
    question.gpus.retain(|other| gpu.is_none_or(|gpu| gpu.name == other.name));
    let plan = planner::plan(&question).exit(Exit::Usage)?;
    let mut sizing = analysis::sizing_section_of(plan.clone()).ok_or_else(|| {
        exit::error(Exit::Usage, "cannot size this model for that load\nhint: give another --context")
    })?;
    sizing.options.retain(|option| gpu.is_none_or(|gpu| gpu.name == option.gpu));
    Ok(Sized {
        model: found.model.name.clone(),
        engine: engine.to_string(),
        start_up: printed(args, engine, found.model)?,
        sizing,
        plan,
    })
}

/// What a server with the memory that was given prints; for the reference's model its own memory stands in.
fn printed(args: &LoadArgs, engine: Engine, model: &ModelSpec) -> anyhow::Result<Option<StartUp>> {
    let of_reference = model.name == sizing::reference::MODEL && args.gpu.is_none();
    let Some(gib) = args.available_kv_gib.or_else(|| of_reference.then_some(sizing::reference::AVAILABLE_KV_GIB))
    else {
        return Ok(None);
    };
    let flags = EngineFlags {
        max_num_batched_tokens: args.max_num_batched_tokens.into(),
        ..EngineFlags::new(args.max_model_len)
    };
    let plan = |memory| engine.kv_cache(model, &flags, memory).exit(Exit::Usage);
    let (figures, nominal) = KvFigures::new(Memory::printed(gib), plan)?;
    Ok(Some(StartUp {
        available_kv_gib: gib,
        max_model_len: args.max_model_len,
        printed: nominal.to_string(),
        figures,
    }))
}

fn text(sized: &Sized, args: &LoadArgs) -> String {
    let language = args.lang.spoken();
    let table = ::report::sizing_console(&sized.sizing, language, CONSOLE_WIDTH);
    let plan = ::report::plan_console(&sized.plan, language, CONSOLE_WIDTH);
    let printed = sized.start_up.as_ref().map(|printed| format!("{}\n\n", printed_text(sized, printed)));
    format!("{}{table}\n{plan}", printed.unwrap_or_default())
}

fn printed_text(sized: &Sized, printed: &StartUp) -> String {
    format!(
        "{} on {} with {:.2} GiB for the KV cache will print\n\n  {}\n\n({} of {}; a request of {} holds up to {})",
        sized.model,
        sized.engine,
        printed.available_kv_gib,
        printed.printed.replace('\n', "\n  "),
        Blocks::new(printed.figures.gpu_blocks),
        Bytes::new(printed.figures.bytes_per_block),
        Tokens::new(printed.max_model_len),
        Blocks::new(printed.figures.blocks_per_request),
    )
}
