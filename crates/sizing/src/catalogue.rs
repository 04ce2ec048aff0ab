//! Facts that come with the crate: models and GPUs, each with its source and date.
//!
//! The files are `catalogue/{models,gpus}.toml`; prices are in [`crate::prices`]. What was not found is absent, never 0 and never guessed.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::weights::WeightFormat;
use crate::{GpuSpec, ModelSpec};

static MODELS: LazyLock<Vec<ModelSpec>> = LazyLock::new(|| {
    let file: ModelFile =
        toml::from_str(include_str!("../catalogue/models.toml")).expect("the embedded models are read by a test");
    file.model
});

static GPUS: LazyLock<Vec<GpuSpec>> = LazyLock::new(|| {
    let file: GpuFile =
        toml::from_str(include_str!("../catalogue/gpus.toml")).expect("the embedded GPUs are read by a test");
    file.gpu
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    model: Vec<ModelSpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GpuFile {
    gpu: Vec<GpuSpec>,
}

/// All models.
pub fn models() -> &'static [ModelSpec] {
    &MODELS
}

/// All GPUs, smallest memory first.
pub fn gpus() -> &'static [GpuSpec] {
    &GPUS
}

/// The model of this name: as on Hugging Face, without its owner, or a usual short name; case does not matter.
///
/// # Errors
/// [`UnknownName`] when no model is called so.
pub fn model(name: &str) -> Result<&'static ModelSpec, UnknownName> {
    let found = models().iter().find(|model| model.is_called(name));
    found.ok_or_else(|| {
        let names = models().iter().map(|model| &model.name);
        UnknownName { what: "model", name: name.to_owned(), nearest: nearest(name, names) }
    })
}

/// The GPU of this name: short, or as a driver gives it; case does not matter.
///
/// # Errors
/// [`UnknownName`] when no GPU is called so.
pub fn gpu(name: &str) -> Result<&'static GpuSpec, UnknownName> {
    let found = gpus().iter().find(|gpu| gpu.is_called(name));
    found.ok_or_else(|| {
        let names = gpus().iter().map(|gpu| &gpu.name);
        UnknownName { what: "GPU", name: name.to_owned(), nearest: nearest(name, names) }
    })
}

/// A model by the name of a quantised or renamed checkpoint of it, as people type it, and the format that the name tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checkpoint {
    /// The model with its shape.
    pub model: &'static ModelSpec,
    /// The format of the weights, where the name ends in one.
    pub weights: Option<WeightFormat>,
    /// Whether the name is another than the catalogue's, so that the shape stands in for it.
    pub is_stand_in: bool,
}

/// Ends of checkpoint names and the formats that they stand for.
const SUFFIXES: [(&str, WeightFormat); 13] = [
    ("-fp8-dynamic", WeightFormat::Fp8),
    ("-fp8-block", WeightFormat::Fp8),
    ("-fp8", WeightFormat::Fp8),
    ("-awq-int4", WeightFormat::Awq),
    ("-awq", WeightFormat::Awq),
    ("-gptq-int4", WeightFormat::Awq),
    ("-gptq", WeightFormat::Awq),
    ("-quantized.w4a16", WeightFormat::Awq),
    ("-quantized.w8a8", WeightFormat::Int8),
    ("-bnb-4bit", WeightFormat::Bnb4),
    ("-nvfp4", WeightFormat::Nvfp4),
    ("-fp4", WeightFormat::Nvfp4),
    ("-mxfp4", WeightFormat::Mxfp4),
];

/// Finds the model of a checkpoint's name: as [`model`] does, else without the format at its end and `Meta-` at its beginning.
///
/// # Errors
/// [`UnknownName`] with the nearest names when no model is called so.
pub fn checkpoint(name: &str) -> Result<Checkpoint, UnknownName> {
    let own = |model: &'static ModelSpec, weights| {
        let short = |full: &str| full.rsplit('/').next().unwrap_or(full).to_lowercase();
        Checkpoint { model, weights, is_stand_in: short(&model.name) != short(name) }
    };
    if let Ok(model) = model(name) {
        return Ok(own(model, None));
    }
    let lower = name.to_lowercase();
    let ending = SUFFIXES.iter().find_map(|(end, format)| Some((lower.strip_suffix(end)?, Some(*format))));
    let (base, weights) = ending.unwrap_or((&lower, None));
    let short = base.rsplit('/').next().unwrap_or(base);
    let candidates = [base, short, short.strip_prefix("meta-").unwrap_or(short)];
    let found = candidates.into_iter().find_map(|base| model(base).ok());
    found.map_or_else(|| model(name).map(|found| own(found, None)), |found| Ok(own(found, weights)))
}

/// A name that is not in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {what} named `{name}` in the catalogue\nhint: {}", hint(.what, .nearest))]
pub struct UnknownName {
    /// `model` or `GPU`.
    pub what: &'static str,
    /// The name.
    pub name: String,
    /// Up to five names that are nearest to it, the nearest first.
    pub nearest: Vec<String>,
}

fn hint(what: &str, nearest: &[String]) -> String {
    let list = if what == "GPU" { "`plimsoll gpus`" } else { "`plimsoll models`" };
    let nearest = nearest.join(", ");
    format!("the nearest are {nearest}; {list} lists all")
}

/// The names that share most pairs of neighbouring letters with this one (Dice's coefficient).
fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n String>) -> Vec<String> {
    const NEAREST_MAX: usize = 5;
    let pairs = |text: &str| -> Vec<[char; 2]> {
        let letters: Vec<char> = text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
        letters.windows(2).map(|pair| [pair[0], pair[1]]).collect()
    };
    let own = pairs(name);
    let likeness = |other: &String| {
        let mut left = pairs(other);
        let all = (own.len() + left.len()).max(1) as f64;
        let shared = own.iter().filter(|pair| {
            let at = left.iter().position(|other| other == *pair);
            at.map(|at| left.swap_remove(at)).is_some()
        });
        2.0 * shared.count() as f64 / all
    };
    let mut scored: Vec<(f64, &String)> = names.map(|other| (likeness(other), other)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(NEAREST_MAX).map(|(_, name)| name.clone()).collect()
}
