//! From run folders to systems that calibrate a plan: what was measured, on what, with which weights.

use std::path::PathBuf;

use analysis::{Served, Summary, observations};
use records::{RunData, RunDir};
use sizing::{
    Bytes, GpuSpec, ModelSpec, catalogue,
    performance::{EngineFamily, Observation, Performance, System},
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
    kv_element_bytes: u32,
    kv_cache: Option<Bytes>,
    max_num_seqs: Option<u32>,
    levels: Vec<Observation>,
    /// Concurrency of the levels that calibrate nothing.
    left_out: Vec<u32>,
    simulated: bool,
}

/// Reads the runs. What they do not say of their system is taken from `said`, what they say of their model from `model`.
pub(super) fn read(
    folders: &[PathBuf],
    said: Option<&target::System>,
    model: Option<&str>,
) -> anyhow::Result<Vec<Read>> {
    let said = said.cloned().unwrap_or_default();
    let named = said.gpu.as_deref().map(catalogue::gpu).transpose().exit(Exit::Usage)?;
    let read = |folder: &PathBuf| {
        let dir = RunDir::open(folder).exit(Exit::Usage)?;
        let run = RunData::load(&dir).exit(Exit::Usage)?;
        let summary = crate::summary::summarise(&run);
        Ok(of_run(&run, &summary, &said, named, model))
    };
    folders.iter().map(read).collect()
}

fn of_run(
    run: &RunData,
    summary: &Summary,
    said: &target::System,
    named: Option<&'static GpuSpec>,
    model: Option<&str>,
) -> Read {
    let facts = &summary.run;
    let served = Served::of(facts, &run.manifest.engine, summary.capacity.as_ref());
    let system = served.system();
    let seen = facts.gpus.first().and_then(|name| catalogue::gpu(name).ok());
    let (levels, left_out) = observations(run, &summary.levels);
    Read {
        name: facts.run_id.clone(),
        model: model.unwrap_or(&facts.model).to_owned(),
        vllm_version: (facts.engine_version.clone()).filter(|_| system.engine == EngineFamily::Vllm),
        engine: system.engine,
        gpu: named.or(seen),
        tensor_parallel: said.tensor_parallel.unwrap_or(system.tensor_parallel),
        weights: said.weights.or_else(|| facts.model.parse().ok()),
        kv_element_bytes: system.kv_element_bytes,
        kv_cache: system.kv_cache,
        max_num_seqs: system.max_num_seqs,
        levels: levels.iter().map(|level| level.observation).collect(),
        left_out: left_out.iter().map(|level| level.concurrency).collect(),
        simulated: facts.simulated_profile.is_some(),
    }
}

/// The systems that can calibrate a plan of this model, and what was assumed or left out, in words.
pub(super) fn measured(read: &[Read], model: &'static ModelSpec) -> (Vec<Measured<'static>>, Vec<String>) {
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

fn calibrate(run: &Read, model: &'static ModelSpec, notes: &mut Vec<String>) -> Result<Measured<'static>, String> {
    if !model.is_called(&run.model) {
        return Err(format!("it measured {}, and the plan is for {}", run.model, model.name));
    }
    let Some(gpu) = run.gpu else {
        return Err("it does not name its card (say --measured \"gpu=NAME,tp=N,dtype=FORMAT\")".to_owned());
    };
    let weights = weights(run, model, gpu, notes)?;
    if run.simulated {
        notes.push(format!("{} is a simulated run: what it calibrates is simulated too", run.name));
    }
    if !run.left_out.is_empty() {
        let levels: Vec<String> = run.left_out.iter().map(u32::to_string).collect();
        notes.push(format!(
            "{}: the levels at {} requests calibrate nothing; its report says why",
            run.name,
            levels.join(", ")
        ));
    }
    let system = System {
        model,
        gpu: Some(gpu),
        tensor_parallel: run.tensor_parallel,
        weights,
        kv_element_bytes: run.kv_element_bytes,
        engine: run.engine,
        kv_cache: run.kv_cache,
        max_num_seqs: run.max_num_seqs,
    };
    let performance = Performance::calibrated(&system, &run.levels)
        .map_err(|refusal| refusal.to_string().lines().next().unwrap_or_default().to_owned())?;
    Ok(Measured {
        from: run.name.clone(),
        gpu: Some(gpu),
        tensor_parallel: run.tensor_parallel,
        weights,
        levels: run.levels.len(),
        performance,
    })
}

/// The format of the weights that the run was measured with: what was said, or 16 bits where they fit.
fn weights(run: &Read, model: &ModelSpec, gpu: &GpuSpec, notes: &mut Vec<String>) -> Result<WeightFormat, String> {
    if let Some(weights) = run.weights {
        return Ok(weights);
    }
    if model.weights_16_bit() >= gpu.visible().high.times(u64::from(run.tensor_parallel)) {
        return Err(format!(
            "bf16 weights do not fit on {} × {}, and it does not name their format (say --measured dtype=)",
            run.tensor_parallel, gpu.name
        ));
    }
    notes.push(format!("{}: its weights are taken to be bf16 (--measured dtype= says otherwise)", run.name));
    Ok(WeightFormat::Bits16)
}
