//! A model from the `config.json` of its checkpoint on Hugging Face.
//!
//! [`Checkpoint::from_json`] finds the language model (multimodal configs nest it), gives every layer its cache, and counts
//! parameters where the family's form is known. A field that is left out is the model type's default, and noted as such
//! ([`Checkpoint::assumptions`]); a layer type, or a field whose name speaks of the cache, that is not understood is an
//! error that names it. It follows the classes of `transformers` and what vLLM's model files make of them.
//!
//! ```
//! let config = r#"{ "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 4096,
//!     "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
//!     "head_dim": 128, "vocab_size": 151936, "tie_word_embeddings": false, "sliding_window": null }"#;
//! let checkpoint = sizing::Checkpoint::from_json(config)?;
//! assert_eq!(checkpoint.shape.layers[0].count, 36);
//! assert_eq!(checkpoint.parameters.expect("a dense model").total, 8_190_735_360);
//! # Ok::<(), sizing::config::ConfigError>(())
//! ```

mod attention;
mod error;
mod field_audit;
mod hf_fields;
mod layer_patterns;
mod layers;
mod parameters;
mod recurrent;

use serde_json::{Map, Value};

pub use crate::model::ParameterCount;
pub use error::ConfigError;

use crate::engine::Declared;
use crate::model::Shape;
use crate::weights::{UnknownFormat, WeightFormat};
use crate::{Bytes, KvDtype, ModelSpec, Sourced, Tokens};
use hf_fields::Fields;

/// What a `config.json` says about memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Type of the language model.
    pub model_type: String,
    /// Its layers.
    pub shape: Shape,
    /// Its parameters; absent where the family's closed form is not known.
    pub parameters: Option<ParameterCount>,
    /// Longest sequence that it was made for: vLLM's `max_model_len` unless set.
    pub max_position: Option<Tokens>,
    /// KV cache that a quantised checkpoint declares.
    pub kv_dtype: Option<KvDtype>,
    /// Name of the quantisation, such as `fp8`, `awq`, `modelopt`.
    pub quantisation: Option<String>,
    /// Whether quantisation leaves attention in 16 bits.
    pub attention_kept: bool,
    /// Layers of its multi-token-prediction module; 0 without one.
    pub draft_layers: u64,
    /// What was left out of the config and taken for granted.
    pub assumptions: Vec<String>,
}

impl Checkpoint {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// [`ConfigError`] when it is not one, lacks a needed field, or holds something that could change the cache and is not
    /// understood.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let value: Value = serde_json::from_str(text)
            .or_else(|error| serde_json::from_str(&finite(text)).map_err(|_| error))
            .map_err(|error| ConfigError::NotJson { reason: error.to_string() })?;
        let outer =
            value.as_object().ok_or_else(|| ConfigError::NotJson { reason: "it is not an object".to_owned() })?;
        let (own, model_type) = language_model(outer)?;
        layers::refuse(outer, own, &model_type)?;
        field_audit::check(own)?;
        let served_type = outer.get("model_type").and_then(Value::as_str).unwrap_or(&model_type);
        let fields = Fields::new(own, &model_type, served_type);
        let per_layer = layers::per_layer(&fields)?;
        let mut shape = layers::shape(&per_layer, &fields)?;
        shape.largest_item = largest_item(outer);
        let parameters = parameters::count(&fields, &per_layer)?;
        let max_position = ["max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"];
        let quantisation = quantisation(outer, own);
        Ok(Self {
            parameters,
            max_position: fields.number(&max_position)?.map(Tokens::new),
            kv_dtype: quantisation.and_then(declared_kv_dtype),
            attention_kept: quantisation.is_some_and(|config| keeps_attention(config, shape.order.len())),
            quantisation: quantisation.map(quantisation_name),
            draft_layers: draft_layers(&fields)?,
            assumptions: fields.into_assumptions(),
            shape,
            model_type,
        })
    }

    /// Bytes of its weights, by the closed form of its parameters and its format.
    ///
    /// # Errors
    /// [`WeightsUnknown`] when the closed form of the family or the bytes of the format are not known.
    pub fn weights(&self) -> Result<Bytes, WeightsUnknown> {
        let no_form = || WeightsUnknown::Form { model_type: self.model_type.clone() };
        let parameters = self.parameters.ok_or_else(no_form)?;
        let format = match &self.quantisation {
            Some(name) => name.parse::<WeightFormat>()?,
            None => WeightFormat::Bits16,
        };
        Ok(format.model(parameters, self.attention_kept))
    }

    /// What it declares beside its shape.
    pub const fn declared(&self) -> Declared {
        Declared { max_position: self.max_position, kv_dtype: self.kv_dtype, draft_layers: self.draft_layers }
    }

    /// The same as an entry of a catalogue, when its parameters are known.
    pub fn into_spec(self, name: &str, source: &str, date: &str) -> Option<ModelSpec> {
        let parameters = self.parameters?.total;
        Some(ModelSpec {
            name: name.to_owned(),
            aliases: Vec::new(),
            parameters: Sourced::new(parameters, source, date),
            shape: Sourced::new(self.shape, source, date),
            work: None,
        })
    }
}

/// Why the bytes of a checkpoint's weights are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsUnknown {
    /// The closed form of the family's parameters is not known.
    #[error(
        "the number of parameters of model type `{model_type}` has no known closed form\nhint: give the folder with its \
         safetensors files, or its weights in GiB"
    )]
    Form {
        /// The type.
        model_type: String,
    },
    /// The bytes of a parameter in its format are not known.
    #[error(transparent)]
    Format(#[from] UnknownFormat),
}

/// Python writes `Infinity` and `NaN`, which JSON does not know; no field that is read has them.
fn finite(text: &str) -> String {
    let quoted = text.split('"').enumerate();
    let outside = quoted.map(|(part, text)| match part % 2 {
        0 => text.replace("-Infinity", "null").replace("Infinity", "null").replace("NaN", "null"),
        _ => text.to_owned(),
    });
    outside.collect::<Vec<_>>().join("\"")
}

/// Where multimodal configs keep their language model.
const NESTED: [&str; 5] = ["text_config", "llm_config", "language_config", "thinker_config", "text_model_config"];

/// The fields of the language model, and its type.
fn language_model(outer: &Map<String, Value>) -> Result<(&Map<String, Value>, String), ConfigError> {
    let mut level = outer;
    let mut model_type = outer.get("model_type").and_then(Value::as_str);
    while let Some(inner) = NESTED.iter().find_map(|name| level.get(*name)?.as_object()) {
        if inner.is_empty() {
            break;
        }
        level = inner;
        let nested = format!("{}_text", model_type.unwrap_or_default());
        let own = level.get("model_type").and_then(Value::as_str);
        if own.is_none() && hf_fields::knows(&nested) {
            return Ok((level, nested));
        }
        model_type = own.or(model_type);
    }
    match model_type {
        Some(model_type) => Ok((level, model_type.to_owned())),
        None if level.contains_key("n_layers") => Ok((level, "mistral".to_owned())),
        // Without a type there are no defaults: every field has to be there.
        None if level.contains_key("num_hidden_layers") => Ok((level, "unnamed".to_owned())),
        None => Err(ConfigError::Missing { field: "model_type", model_type: "any".to_owned() }),
    }
}

/// Tokens of the largest multimodal item, for models that see an item in one step: a video of 32 frames in Gemma 4.
fn largest_item(outer: &Map<String, Value>) -> Option<Tokens> {
    let model_type = outer.get("model_type")?.as_str()?;
    let sees = outer.get("vision_config").is_some_and(|config| !config.is_null());
    (model_type.starts_with("gemma4") && (sees || outer.contains_key("vision_soft_tokens_per_image")))
        .then_some(Tokens::new(2496))
}

fn draft_layers(fields: &Fields<'_>) -> Result<u64, ConfigError> {
    let names = ["mtp_num_hidden_layers", "num_nextn_predict_layers", "num_mtp_layers"];
    Ok(fields.number(&names)?.unwrap_or(0))
}

fn quantisation<'a>(outer: &'a Map<String, Value>, own: &'a Map<String, Value>) -> Option<&'a Map<String, Value>> {
    let of = |map: &'a Map<String, Value>| map.get("quantization_config")?.as_object();
    of(outer).or_else(|| of(own))
}

/// Whether the layers that a quantised checkpoint leaves alone are those of attention: by a pattern, or one by one.
fn keeps_attention(config: &Map<String, Value>, layers: usize) -> bool {
    let inner = config.get("quantization").and_then(Value::as_object);
    let lists = ["modules_to_not_convert", "ignore", "exclude_modules"];
    let find = |name: &&str| config.get(*name).or_else(|| inner?.get(*name))?.as_array();
    let Some(list) = lists.iter().find_map(find) else {
        return false;
    };
    let names = list.iter().filter_map(Value::as_str).filter(|name| name.contains("attn") && !name.contains("vis"));
    let (patterns, single): (Vec<&str>, Vec<&str>) =
        names.partition(|name| name.contains('*') || name.starts_with("re:") || !name.contains("layers."));
    !patterns.is_empty() || layers > 0 && single.len() >= layers
}

fn quantisation_name(config: &Map<String, Value>) -> String {
    let method = config.get("quant_method").and_then(Value::as_str).unwrap_or("unknown");
    if let Some(format) = compressed_format(config) {
        return format!("{method} {format}");
    }
    let inner = config.get("quantization").and_then(Value::as_object);
    let algorithm = config.get("quant_algo").or_else(|| inner?.get("quant_algo"));
    match algorithm.and_then(Value::as_str) {
        Some(algorithm) => format!("{method} {algorithm}"),
        None => method.to_owned(),
    }
}

/// The format of compressed-tensors' weights, where all of its groups have the same.
fn compressed_format(config: &Map<String, Value>) -> Option<&'static str> {
    let groups = config.get("config_groups")?.as_object()?;
    let format = |group: &Value| {
        let weights = group.get("weights")?;
        let floating = weights.get("type").and_then(Value::as_str) == Some("float");
        match (weights.get("num_bits")?.as_u64()?, floating) {
            (8, true) => Some("fp8"),
            (8, false) => Some("int8"),
            (4, true) => Some("nvfp4"),
            (4, false) => Some("int4"),
            _ => None,
        }
    };
    let mut formats = groups.values().map(format);
    let first = formats.next()??;
    formats.all(|other| other == Some(first)).then_some(first)
}

/// The KV cache that NVIDIA's `ModelOpt` and compressed-tensors checkpoints declare.
fn declared_kv_dtype(config: &Map<String, Value>) -> Option<KvDtype> {
    let inner = config.get("quantization").and_then(Value::as_object);
    let find = |name: &str| {
        let inner = inner.and_then(|inner| inner.get(name));
        inner.or_else(|| config.get(name)).filter(|value| !value.is_null())
    };
    if let Some(name) = find("kv_cache_quant_algo").and_then(Value::as_str) {
        return name.to_lowercase().parse().ok();
    }
    let scheme = find("kv_cache_scheme")?;
    match (scheme.get("num_bits")?.as_u64()?, scheme.get("type")?.as_str()?) {
        (8, "float") => Some(KvDtype::Fp8),
        (4, "float") => Some(KvDtype::Nvfp4),
        _ => None,
    }
}
