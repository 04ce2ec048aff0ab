//! From run folders to systems that calibrate a plan: what was measured, on what, with which weights.

use std::path::PathBuf;

use analysis::{LevelSummary, Summary};
use records::{RunData, RunDir};
use sizing::{
    GpuSpec, ModelSpec, catalogue,
    performance::{EngineFamily, Load, Observation, Performance, System},
    planner::Measured,
    weights::WeightFormat,
};

use super::target;
use crate::exit::{Exit, WithExit as _};

/// A run, as far as a plan needs it.
#[derive(Debug)]
pub(super) struct Read {
    name: String,
    pub(super) model: String,
    /// Version of vLLM, if it was vLLM.
    pub(super) vllm_version: Option<String>,
    engine: EngineFamily,
    gpu: Option<&'static GpuSpec>,
    tensor_parallel: u32,
    weights: Option<WeightFormat>,
    levels: Vec<Observation>,
    simulated: bool,
}

/// Reads the runs. What they do not say of their system is taken from `said`, what they say of their model from `model`.
pub(super) fn read(
    folders: &[PathBuf],
    said: Option<&target::System>,
    model: Option<&str>,
) -> anyhow::Result<Vec<Read>> {
    let said = said.cloned().unwrap_or_default();
    let named = said
        .gpu
        .as_deref()
        .map(catalogue::gpu)
        .transpose()
        .exit(Exit::Usage)?;
    let read = |folder: &PathBuf| {
        let dir = RunDir::open(folder).exit(Exit::Usage)?;
        let run = RunData::load(&dir).exit(Exit::Usage)?;
        let summary = crate::report::summarise(&run);
        Ok(of_run(&summary, &said, named, model))
    };
    folders.iter().map(read).collect()
}

fn of_run(
    summary: &Summary,
    said: &target::System,
    named: Option<&'static GpuSpec>,
    model: Option<&str>,
) -> Read {
    let run = &summary.run;
    let seen = run.gpus.first().and_then(|name| catalogue::gpu(name).ok());
    let is_vllm = run.engine.as_deref() == Some("vllm");
    let cards = u32::try_from(run.gpus.len().max(1)).unwrap_or(1);
    Read {
        name: run.run_id.clone(),
        model: model.unwrap_or(&run.model).to_owned(),
        vllm_version: run.engine_version.clone().filter(|_| is_vllm),
        engine: family(run.engine.as_deref()),
        gpu: named.or(seen),
        tensor_parallel: said.tensor_parallel.unwrap_or(cards),
        weights: said.weights.or_else(|| run.model.parse().ok()),
        levels: summary.levels.iter().filter_map(observation).collect(),
        simulated: run.simulated_profile.is_some(),
    }
}

fn family(engine: Option<&str>) -> EngineFamily {
    match engine {
        Some("vllm") => EngineFamily::Vllm,
        Some("sglang") => EngineFamily::Sglang,
        Some("llama.cpp") => EngineFamily::LlamaCpp,
        _ => EngineFamily::Other,
    }
}

/// The means of a level whose figures are valid, at the load that was really held.
fn observation(level: &LevelSummary) -> Option<Observation> {
    let usable = level.complete && level.invalid.is_empty();
    let mean = |figure: Option<analysis::Distribution>| figure.map(|figure| figure.mean.value);
    usable.then_some(())?;
    Some(Observation {
        load: Load {
            concurrency: level.in_flight_mean.max(1.0),
            isl: mean(level.prompt_tokens)?,
            osl: mean(level.output_tokens)?,
        },
        ttft_s: mean(level.ttft_ms).map(|ms| ms / 1e3),
        tpot_s: mean(level.tpot_ms).map(|ms| ms / 1e3),
        output_tokens_per_second: level.output_tok_s,
    })
}

/// The systems that can calibrate a plan of this model, and what was assumed or left out, in words.
pub(super) fn measured(
    read: &[Read],
    model: &'static ModelSpec,
) -> (Vec<Measured<'static>>, Vec<String>) {
    let mut measured = Vec::new();
    let mut notes = Vec::new();
    for run in read {
        match calibrate(run, model, &mut notes) {
            Ok(system) => measured.push(system),
            Err(problem) => notes.push(format!("{} calibrates nothing: {problem}", run.name)),
        }
    }
    if measured.is_empty() {
        notes.push(
            "no run calibrates this plan: speeds come from the catalogue and priors by engine and card alone, which is why \
             their intervals are wide"
                .to_owned(),
        );
    }
    (measured, notes)
}

fn calibrate(
    run: &Read,
    model: &'static ModelSpec,
    notes: &mut Vec<String>,
) -> Result<Measured<'static>, String> {
    if !model.is_called(&run.model) {
        return Err(format!(
            "it measured {}, and the plan is for {}",
            run.model, model.name
        ));
    }
    let Some(gpu) = run.gpu else {
        return Err(
            "it does not name its card (say --measured \"gpu=NAME,tp=N,dtype=FORMAT\")".to_owned(),
        );
    };
    let fits = gpu.cuda_visible.as_ref().is_none_or(|visible| {
        let cards = u64::from(run.tensor_parallel);
        model.weights_16_bit() < visible.value.times(cards)
    });
    let weights = match run.weights {
        Some(weights) => weights,
        None if fits => {
            notes.push(format!(
                "{}: its weights are taken to be bf16 (--measured dtype= says otherwise)",
                run.name
            ));
            WeightFormat::Bits16
        }
        None => {
            return Err(format!(
                "bf16 weights do not fit on {} × {}, and it does not name their format (say --measured dtype=)",
                run.tensor_parallel, gpu.name
            ));
        }
    };
    if run.simulated {
        notes.push(format!(
            "{} is a simulated run: what it calibrates is simulated too",
            run.name
        ));
    }
    let system = System {
        model,
        gpu: Some(gpu),
        tensor_parallel: run.tensor_parallel,
        weights,
        kv_element_bytes: 2,
        engine: run.engine,
        kv_cache: None,
        max_num_seqs: None,
    };
    let performance = Performance::calibrated(&system, &run.levels).map_err(|refusal| {
        refusal
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    })?;
    Ok(Measured {
        from: run.name.clone(),
        gpu: Some(gpu),
        tensor_parallel: run.tensor_parallel,
        weights,
        levels: run.levels.len(),
        performance,
    })
}
