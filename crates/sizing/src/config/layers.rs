//! What every layer of a `config.json` keeps, family by family, told apart by the fields that they have.

use serde_json::{Map, Value};

use super::ConfigError;
use super::exceptions::{by_index, by_window};
use super::fields::Fields;
use super::states::{Cache, convolution, delta, linear, mamba};
use crate::Tokens;
use crate::model::{Heads, Holds, LayerGroup, LayerKind, Shape};

/// The caches of one layer: none, one, or two side by side.
pub(super) type Caches = Vec<Cache>;

/// Refuses what is known not to be reproduced.
pub(super) fn refuse(
    outer: &Map<String, Value>,
    own: &Map<String, Value>,
    model_type: &str,
) -> Result<(), ConfigError> {
    let reason = match model_type {
        "deepseek_v4" => "its layers share packed pages of several sizes",
        "minimax_m3" | "minimax_m3_vl" => "its block-sparse index has a cache of its own",
        "recurrent_gemma" | "rwkv" | "xlstm" | "zaya" => "vLLM does not serve it",
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

/// Number of layers.
pub(super) fn count(fields: &Fields<'_>) -> Result<usize, ConfigError> {
    let names = ["num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"];
    let layers = fields.needed(&names)?;
    match usize::try_from(layers) {
        Ok(layers) if layers <= 4096 => Ok(layers),
        _ => Err(ConfigError::NotUnderstood { field: "num_hidden_layers".to_owned(), value: layers.to_string() }),
    }
}

/// Query heads.
pub(super) fn query_heads(fields: &Fields<'_>) -> Result<u64, ConfigError> {
    fields.needed(&["num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"])
}

pub(super) fn hidden_size(fields: &Fields<'_>) -> Result<Option<u64>, ConfigError> {
    fields.number(&["hidden_size", "n_embd", "d_model", "dim"])
}

/// KV heads of an ordinary layer.
fn heads(fields: &Fields<'_>) -> Result<Heads, ConfigError> {
    let query = query_heads(fields)?;
    let new_falcon = fields.flag("new_decoder_architecture") == Some(true);
    let nested = fields.value("attn_config").and_then(|config| config.get("kv_n_heads"));
    let kv_heads = if fields.flag("multi_query") == Some(true) && !new_falcon {
        1
    } else if fields.flag("multi_query_attention") == Some(true) {
        fields.needed(&["multi_query_group_num"])?
    } else if let Some(kv_heads) = nested.and_then(Value::as_u64) {
        kv_heads
    } else {
        let names = ["num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads", "num_attention_groups"];
        fields.number(&names)?.unwrap_or(query)
    };
    let key_dim = match fields.number(&["head_dim", "kv_channels", "attention_head_dim"])? {
        Some(key_dim) => key_dim,
        None if fields.model_type() == "minicpm3" => {
            fields.needed(&["qk_nope_head_dim"])? + fields.needed(&["qk_rope_head_dim"])?
        }
        None => match hidden_size(fields)? {
            Some(hidden) if query > 0 => hidden / query,
            _ => fields.needed(&["head_dim"])?,
        },
    };
    let own_value = matches!(fields.model_type(), "mimo_v2_flash" | "mimo_v2");
    let value_dim = if own_value { fields.number(&["v_head_dim"])? } else { None };
    Ok(Heads { kv_heads, head_dim: key_dim, value_dim: value_dim.filter(|value| *value != key_dim) })
}

/// A full-attention layer, whose heads may differ from those of window layers (Gemma 4).
pub(super) fn full(fields: &Fields<'_>) -> Result<Cache, ConfigError> {
    let mut own = heads(fields)?;
    if fields.model_type().starts_with("gemma4") {
        own.head_dim = fields.number(&["global_head_dim"])?.unwrap_or(512);
        if fields.flag("attention_k_eq_v") != Some(false)
            && let Some(kv_heads) = fields.number(&["num_global_key_value_heads"])?
        {
            own.kv_heads = kv_heads;
        }
    }
    Ok((LayerKind::Full, Holds::Heads(own)))
}

/// A window layer, whose heads may differ from those of full layers (MiMo-V2).
pub(super) fn sliding(fields: &Fields<'_>) -> Result<Cache, ConfigError> {
    let window = fields.needed(&["sliding_window", "sliding_window_size"])?;
    let mut own = heads(fields)?;
    if let Some(kv_heads) = fields.number(&["swa_num_key_value_heads"])? {
        own.kv_heads = kv_heads;
        own.head_dim = fields.number(&["swa_head_dim"])?.unwrap_or(own.head_dim);
        let value = fields.number(&["swa_v_head_dim"])?;
        own.value_dim = value.filter(|value| *value != own.head_dim);
    }
    let window = Tokens::new(window);
    Ok((LayerKind::Sliding { window }, Holds::Heads(own)))
}

pub(super) fn chunked(fields: &Fields<'_>) -> Result<Cache, ConfigError> {
    let chunk = Tokens::new(fields.needed(&["attention_chunk_size"])?);
    Ok((LayerKind::Chunked { chunk }, Holds::Heads(heads(fields)?)))
}

fn encoder_decoder(fields: &Fields<'_>) -> Result<Vec<Caches>, ConfigError> {
    let layers = usize::try_from(fields.needed(&["decoder_layers"])?).unwrap_or(0).min(4096);
    let kv_heads = fields.needed(&["decoder_attention_heads"])?;
    let own = Heads::new(kv_heads, fields.needed(&["d_model"])? / kv_heads.max(1));
    let encoder_tokens = Tokens::new(fields.needed(&["max_source_positions"])?);
    let both = vec![(LayerKind::Full, Holds::Heads(own)), (LayerKind::Cross { encoder_tokens }, Holds::Heads(own))];
    Ok(vec![both; layers])
}

/// Latent attention (MLA), with an indexer (DSA) or beside Kimi delta attention.
fn latent(fields: &Fields<'_>) -> Result<Option<Vec<Caches>>, ConfigError> {
    let Some(rank) = fields.number(&["kv_lora_rank"])? else {
        return Ok(None);
    };
    if fields.model_type() == "minicpm3" {
        return Ok(None);
    }
    let sparse = fields.number(&["index_topk"])?.is_some();
    let attention =
        (LayerKind::Full, Holds::Latent { latent_dim: rank + fields.needed(&["qk_rope_head_dim"])?, sparse });
    let layers = count(fields)?;
    if let Some(config) = fields.value("linear_attn_config") {
        return kimi(config, attention, layers).map(Some);
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
fn kimi(config: &Value, attention: Cache, layers: usize) -> Result<Vec<Caches>, ConfigError> {
    let number = |name: &'static str| {
        config
            .get(name)
            .and_then(Value::as_u64)
            .filter(|n| *n < 1 << 21)
            .ok_or_else(|| ConfigError::Missing { field: name, model_type: "kimi_linear".to_owned() })
    };
    let states = delta(number("num_heads")?, number("head_dim")?, number("short_conv_kernel_size")?);
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
    let attends = |group: &LayerGroup| !matches!(group.holds, Holds::State { .. });
    let attention_heads = if groups.iter().any(attends) { query_heads(fields)? } else { 0 };
    Ok(Shape {
        attention_heads,
        vocabulary: fields.needed(&["vocab_size", "padded_vocab_size"])?,
        layers: groups,
        order,
        names_chunk: fields.value("attention_chunk_size").is_some(),
        largest_item: None,
    })
}
