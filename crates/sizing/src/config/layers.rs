//! What every layer of a `config.json` keeps, family by family, told apart by the fields that they have.

use serde_json::{Map, Value};

use super::attention::{Caches, chunked, count, full, hidden_size, query_heads, sliding};
use super::error::ConfigError;
use super::hf_fields::Fields;
use super::layer_patterns::{by_index, by_window};
use super::parameters::EXPERTS;
use super::recurrent::{Cache, convolution, delta, is_attention_free, linear, mamba};
use crate::Tokens;
use crate::model::{Heads, Holds, LayerGroup, LayerKind, Shape};

/// Refuses what is known not to be reproduced.
pub(super) fn refuse(
    outer: &Map<String, Value>,
    own: &Map<String, Value>,
    model_type: &str,
) -> Result<(), ConfigError> {
    let reason = match model_type {
        "deepseek_v4" => "its layers share packed pages of several sizes",
        "minimax_m3" | "minimax_m3_vl" => "its block-sparse index has a cache of its own",
        "recurrent_gemma" | "rwkv" | "xlstm" => "vLLM does not serve it",
        "zaya" => "what its layers keep is not known",
        "diffusion_gemma" | "diffusion_gemma_text" => "it writes blocks of tokens by diffusion",
        "glm5_next" | "qwen4_exp" => "its indexers and states have several shapes",
        _ if own.contains_key("cross_attention_layers") => "its cross attention keeps image tokens of varying number",
        _ if is_encoder_decoder(outer) && !outer.contains_key("max_source_positions") => {
            "it is an encoder-decoder whose encoder length is not stated"
        }
        _ => return Ok(()),
    };
    Err(ConfigError::Unsupported { model_type: model_type.to_owned(), reason })
}

fn is_encoder_decoder(config: &Map<String, Value>) -> bool {
    config.get("is_encoder_decoder").and_then(Value::as_bool) == Some(true)
}

/// The caches of every layer, in order.
pub(super) fn per_layer(fields: &Fields<'_>) -> Result<Vec<Caches>, ConfigError> {
    let mut layers = if fields.model_type() == "whisper" || is_encoder_decoder(fields.own()) {
        encoder_decoder(fields)?
    } else if let Some(layers) = latent(fields)? {
        layers
    } else if let Some(layers) = by_pattern(fields)? {
        layers
    } else if let Some(layers) = by_index(fields)? {
        layers
    } else {
        by_window(fields)?
    };
    let shared = fields.number(&["num_kv_shared_layers"])?.unwrap_or(0);
    let own = usize::try_from(shared).map_or(0, |shared| layers.len().saturating_sub(shared));
    for sharing in layers.iter_mut().skip(own) {
        sharing.clear();
    }
    Ok(layers)
}

fn encoder_decoder(fields: &Fields<'_>) -> Result<Vec<Caches>, ConfigError> {
    let layers = usize::try_from(fields.needed(&["decoder_layers"])?).unwrap_or(0).min(4096);
    let kv_heads = fields.needed(&["decoder_attention_heads"])?;
    let own = Heads::new(kv_heads, fields.needed(&["d_model"])? / kv_heads.max(1));
    let encoder_tokens = Tokens::new(fields.needed(&["max_source_positions"])?);
    let both = vec![(LayerKind::Full, Holds::Heads(own)), (LayerKind::Cross { encoder_tokens }, Holds::Heads(own))];
    Ok(vec![both; layers])
}

/// Types whose latent vectors vLLM keeps as they are (`is_deepseek_mla` of its `model_arch_config_convertor.py`) and whose layers
/// are understood here.
const LATENT: [&str; 12] = [
    "axk1",
    "deepseek_v2",
    "deepseek_v3",
    "deepseek_v32",
    "deepseek_mtp",
    "glm4_moe_lite",
    "glm_moe_dsa",
    "kimi_k2",
    "kimi_linear",
    "longcat_flash",
    "pangu_ultra_moe",
    "unnamed",
];

/// Latent attention (MLA), with an indexer (DSA) or beside Kimi delta attention.
fn latent(fields: &Fields<'_>) -> Result<Option<Vec<Caches>>, ConfigError> {
    let Some(rank) = fields.number(&["kv_lora_rank"])? else {
        return Ok(None);
    };
    match fields.model_type() {
        "minicpm3" => return Ok(None),
        known if LATENT.contains(&known) => {}
        other => {
            return Err(ConfigError::Unsupported {
                model_type: other.to_owned(),
                reason: "it is not known whether vLLM keeps its latent vectors or the heads made of them",
            });
        }
    }
    let sparse = fields.number(&["index_topk"])?.is_some();
    let attention =
        (LayerKind::Full, Holds::Latent { latent_dim: rank + fields.needed(&["qk_rope_head_dim"])?, sparse });
    let layers = count(fields)?;
    if let Some(config) = fields.value("linear_attn_config") {
        return kimi(config, attention, layers, fields.served_type() == "kimi_k3").map(Some);
    }
    let dim = fields.number(&["index_head_dim"])?.unwrap_or(128);
    let indexer = (
        LayerKind::Full,
        Holds::Index {
            // fp8, with a float32 scale for every 128 elements.
            bytes_per_token: dim + dim / 128 * 4,
        },
    );
    let index_types = fields.names("indexer_types")?;
    let of_layer = |layer: usize| {
        let borrows = index_types.as_ref().and_then(|types| types.get(layer)) == Some(&"shared");
        let mut caches = vec![attention];
        if fields.model_type().starts_with("longcat") {
            caches.push(attention);
        }
        if sparse && !borrows {
            caches.push(indexer);
        }
        caches
    };
    Ok(Some((0..layers).map(of_layer).collect()))
}

/// Kimi Linear: which layers are which is counted from 1.
fn kimi(config: &Value, attention: Cache, layers: usize, checkpointed: bool) -> Result<Vec<Caches>, ConfigError> {
    let number = |name: &'static str| {
        config
            .get(name)
            .and_then(Value::as_u64)
            .filter(|n| *n < 1 << 21)
            .ok_or_else(|| ConfigError::Missing { field: name, model_type: "kimi_linear".to_owned() })
    };
    let states = delta(number("num_heads")?, number("head_dim")?, number("short_conv_kernel_size")?, checkpointed);
    let list = config.get("full_attn_layers").and_then(Value::as_array);
    let full = list.ok_or(ConfigError::Missing { field: "full_attn_layers", model_type: "kimi_linear".to_owned() })?;
    let is_full = |layer: usize| full.iter().any(|at| at.as_u64() == Some(layer as u64 + 1));
    Ok((0..layers).map(|layer| vec![if is_full(layer) { attention } else { states }]).collect())
}

/// Models that write the type of every layer down.
fn by_pattern(fields: &Fields<'_>) -> Result<Option<Vec<Caches>>, ConfigError> {
    if let Some(pattern) = fields.text("hybrid_override_pattern") {
        let of_letter = |letter: char| match letter {
            'M' => Ok(vec![mamba(fields)?]),
            '*' => Ok(vec![full(fields)?]),
            '-' | 'E' => Ok(Vec::new()),
            other => Err(ConfigError::UnknownLayerType { name: other.to_string() }),
        };
        return pattern.chars().map(of_letter).collect::<Result<_, _>>().map(Some);
    }
    if let Some(types) = fields.numbers("attn_type_list")? {
        let of_type = |kind: &u64| match kind {
            0 => Ok(vec![linear(fields)?]),
            1 => Ok(vec![full(fields)?]),
            other => Err(ConfigError::UnknownLayerType { name: other.to_string() }),
        };
        return types.iter().map(of_type).collect::<Result<_, _>>().map(Some);
    }
    if let Some(windows) = fields.numbers("hybrid_layer_pattern")? {
        let of_layer = |window: &u64| Ok(vec![if *window == 1 { sliding(fields)? } else { full(fields)? }]);
        return windows.iter().map(of_layer).collect::<Result<_, _>>().map(Some);
    }
    let names = match fields.names("layer_types")? {
        Some(names) => Some(names),
        None => fields.names("layers_block_type")?,
    };
    let Some(names) = names else {
        return Ok(None);
    };
    if fields.model_type() == "falcon_h1" {
        return Ok(None);
    }
    names.iter().map(|name| by_name(fields, name)).collect::<Result<_, _>>().map(Some)
}

fn by_name(fields: &Fields<'_>, name: &str) -> Result<Caches, ConfigError> {
    Ok(match name {
        "full_attention" | "attention" | "full" | "global_attention" | "hybrid_full_attention" => {
            vec![full(fields)?]
        }
        "sliding_attention" | "sliding_window" | "local_attention" => vec![sliding(fields)?],
        "chunked_attention" => vec![chunked(fields)?],
        "linear_attention" => vec![linear(fields)?],
        "mamba" | "mamba2" => vec![mamba(fields)?],
        // Zamba 2: a shared attention block, twice as wide as the model, beside the state.
        "hybrid" if fields.model_type() == "zamba2" => {
            let query = query_heads(fields)?;
            let width = hidden_size(fields)?.unwrap_or(0) * 2;
            let wide = Heads::new(query, fields.number(&["attention_head_dim"])?.unwrap_or(width / query.max(1)));
            vec![mamba(fields)?, (LayerKind::Full, Holds::Heads(wide))]
        }
        "conv" | "short_conv" => vec![convolution(fields)?],
        "mlp" | "moe" | "dense" | "-" => Vec::new(),
        other => {
            return Err(ConfigError::UnknownLayerType { name: other.to_owned() });
        }
    })
}

/// Whether any of the fields that count experts says more than one.
fn has_experts(fields: &Fields<'_>) -> Result<bool, ConfigError> {
    Ok(fields.number(&EXPERTS)?.is_some_and(|experts| experts > 1))
}

/// Like layers together, and their order.
pub(super) fn shape(layers: &[Caches], fields: &Fields<'_>) -> Result<Shape, ConfigError> {
    let mut groups: Vec<LayerGroup> = Vec::new();
    let mut order = Vec::with_capacity(layers.len());
    for caches in layers {
        let mut mask = 0_u64;
        for &(kind, holds) in caches {
            let same = |group: &LayerGroup| group.kind == kind && group.holds == holds;
            let found = groups.iter().position(same).unwrap_or_else(|| {
                groups.push(LayerGroup { kind, holds, count: 0 });
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(found) {
                group.count += 1;
            }
            mask |= 1 << found.min(63);
        }
        order.push(mask);
    }
    let attention_heads = if is_attention_free(fields) { 0 } else { query_heads(fields)? };
    Ok(Shape {
        attention_heads,
        vocabulary: fields.needed(&["vocab_size", "padded_vocab_size"])?,
        layers: groups,
        order,
        experts: has_experts(fields)?,
        names_chunk: fields.value("attention_chunk_size").is_some(),
        largest_item: None,
    })
}
