//! Facts that come with the crate: models, GPUs and prices, each with its source and date.
//!
//! The files are `catalogue/{models,gpus,prices}.toml`. What was not found is absent, never 0 and never guessed.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::{GpuSpec, ModelSpec, Prices};

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

static PRICES: LazyLock<Prices> = LazyLock::new(|| {
    Prices::from_toml(include_str!("../catalogue/prices.toml")).expect("the embedded prices are read by a test")
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

/// The prices that come with the crate.
pub fn prices() -> &'static Prices {
    &PRICES
}

/// The model of this name: as on Hugging Face, without its owner, or a usual short name; case does not matter.
///
/// # Errors
/// [`UnknownName`] when no model is called so.
pub fn model(name: &str) -> Result<&'static ModelSpec, UnknownName> {
    let found = models().iter().find(|model| model.is_called(name));
    found.ok_or_else(|| UnknownName { what: "model", name: name.to_owned() })
}

/// The GPU of this name: short, or as a driver gives it; case does not matter.
///
/// # Errors
/// [`UnknownName`] when no GPU is called so.
pub fn gpu(name: &str) -> Result<&'static GpuSpec, UnknownName> {
    let found = gpus().iter().find(|gpu| gpu.is_called(name));
    found.ok_or_else(|| UnknownName { what: "GPU", name: name.to_owned() })
}

/// A name that is not in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {what} named `{name}` in the catalogue\nhint: describe it yourself, or look for its usual name")]
pub struct UnknownName {
    /// `model` or `GPU`.
    pub what: &'static str,
    /// The name.
    pub name: String,
}
