//! Attention layers of a `config.json`: how many, which heads, which window or chunk.

use serde_json::Value;

use super::error::ConfigError;
use super::hf_fields::Fields;
use super::recurrent::Cache;
use crate::Tokens;
use crate::model::{Heads, Holds, LayerKind};

/// The caches of one layer: none, one, or two side by side.
pub(super) type Caches = Vec<Cache>;

/// Number of layers.
pub(super) fn count(fields: &Fields<'_>) -> Result<usize, ConfigError> {
    let names = ["num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"];
    // LongCat counts its pairs of attention layers apart.
    let layers = match fields.number(&["num_layers"])? {
        Some(layers) if fields.model_type().starts_with("longcat") => layers,
        _ => fields.needed(&names)?,
    };
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
pub(super) fn heads(fields: &Fields<'_>) -> Result<Heads, ConfigError> {
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
        // Its `head_dim` is that of the rotary part alone.
        _ if fields.model_type() == "minicpm3" => {
            fields.needed(&["qk_nope_head_dim"])? + fields.needed(&["qk_rope_head_dim"])?
        }
        Some(key_dim) => key_dim,
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
