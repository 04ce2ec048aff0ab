//! Layers of a `config.json` that names only the exceptions: every n-th layer, a list of places, a window for some.

use serde_json::Value;

use super::attention::{Caches, chunked, count, full, hidden_size, query_heads, sliding};
use super::error::ConfigError;
use super::hf_fields::Fields;
use super::recurrent::{Cache, convolution, is_attention_free, linear, mamba};
use crate::model::{Heads, Holds, LayerKind};

/// Models that say which layers are the exceptions.
pub(super) fn by_index(fields: &Fields<'_>) -> Result<Option<Vec<Caches>>, ConfigError> {
    if let Some(blocks) = fields.value("block_configs").and_then(Value::as_array) {
        return by_block(fields, blocks).map(Some);
    }
    let layers = count(fields)?;
    match fields.model_type() {
        _ if is_attention_free(fields) => return Ok(Some(vec![vec![mamba(fields)?]; layers])),
        "falcon_h1" => return Ok(Some(vec![vec![full(fields)?, mamba(fields)?]; layers])),
        _ => {}
    }
    let (is_full, other): (Box<dyn Fn(usize) -> bool>, Cache) =
        if let Some(every) = fields.number(&["full_attention_interval"])?.filter(|n| *n > 0) {
            (Box::new(move |layer| (layer as u64 + 1).is_multiple_of(every)), linear(fields)?)
        } else if let Some(every) = fields.number(&["attn_layer_period"])?.filter(|n| *n > 0) {
            let offset = fields.number(&["attn_layer_offset"])?.unwrap_or(0);
            (Box::new(move |layer| layer as u64 % every == offset), mamba(fields)?)
        } else if let Some(list) = fields.numbers("attn_layer_indices")? {
            (Box::new(move |layer| list.contains(&(layer as u64))), mamba(fields)?)
        } else if let Some(list) = fields.numbers("full_attn_idxs")? {
            (Box::new(move |layer| list.contains(&(layer as u64))), convolution(fields)?)
        } else if matches!(fields.model_type(), "qwen3_next" | "qwen3_5_text" | "qwen3_5_moe_text") {
            fields.assume("one layer in 4 keeps all tokens, the default of its model type");
            (Box::new(|layer| (layer + 1).is_multiple_of(4)), linear(fields)?)
        } else {
            return Ok(None);
        };
    let whole = full(fields)?;
    Ok(Some((0..layers).map(|layer| vec![if is_full(layer) { whole } else { other }]).collect()))
}

/// Models found by search, whose every block has heads of its own or none.
fn by_block(fields: &Fields<'_>, blocks: &[Value]) -> Result<Vec<Caches>, ConfigError> {
    let query = query_heads(fields)?;
    let dim = fields.number(&["head_dim"])?;
    let width = hidden_size(fields)?.unwrap_or(0);
    let of_block = |block: &Value| {
        let attention = block.get("attention").unwrap_or(&Value::Null);
        let on = |name: &str| attention.get(name).and_then(Value::as_bool) == Some(true);
        if on("no_op") || on("replace_with_linear") {
            return Ok(Vec::new());
        }
        let in_group = attention.get("n_heads_in_group").and_then(Value::as_u64);
        let in_group = in_group.filter(|heads| *heads > 0).ok_or_else(|| ConfigError::Missing {
            field: "n_heads_in_group",
            model_type: fields.model_type().to_owned(),
        })?;
        let own = Heads::new(query / in_group, dim.unwrap_or(width / query.max(1)));
        Ok(vec![(LayerKind::Full, Holds::Heads(own))])
    };
    blocks.iter().map(of_block).collect()
}

/// Types whose `sliding_window` is that of every layer.
const ALL_SLIDE: [&str; 5] = ["mistral", "mixtral", "phi3", "starcoder2", "phi4_multimodal"];

/// Attention with a window or chunk in all, some or none of the layers.
pub(super) fn by_window(fields: &Fields<'_>) -> Result<Vec<Caches>, ConfigError> {
    let layers = count(fields)?;
    let whole = full(fields)?;
    let some = |other: Cache, is_full: &dyn Fn(u64) -> bool| {
        let of_layer = |layer: u64| vec![if is_full(layer) { whole } else { other }];
        (0..layers as u64).map(of_layer).collect()
    };
    let model_type = fields.model_type();
    if model_type.starts_with("llama4") {
        if fields.number(&["attention_chunk_size"])?.is_none() {
            return Ok(vec![vec![whole]; layers]);
        }
        let written = fields.numbers("no_rope_layers")?.filter(|list| !list.is_empty());
        return Ok(match written {
            Some(rope) => {
                some(chunked(fields)?, &|layer| usize::try_from(layer).ok().and_then(|at| rope.get(at)) == Some(&0))
            }
            None => some(chunked(fields)?, &|layer| (layer + 1).is_multiple_of(4)),
        });
    }
    let off = fields.flag("use_sliding_window") == Some(false);
    if off || fields.number(&["sliding_window"])?.is_none() {
        return Ok(vec![vec![whole]; layers]);
    }
    if let Some(every) = window_pattern(fields)? {
        return Ok(some(sliding(fields)?, &|layer| (layer + 1).is_multiple_of(every)));
    }
    if fields.flag("use_sliding_window") == Some(true) {
        let full_until = fields.number(&["max_window_layers"])?.unwrap_or(0);
        return Ok(some(sliding(fields)?, &|layer| layer < full_until));
    }
    if !ALL_SLIDE.contains(&model_type) {
        fields.assume("all layers have the window: the config names no pattern of layers");
    }
    Ok(vec![vec![sliding(fields)?]; layers])
}

/// Every how many layers one keeps all tokens; `None` where all have the window.
fn window_pattern(fields: &Fields<'_>) -> Result<Option<u64>, ConfigError> {
    if let Some(letters) = fields.text("sliding_window_pattern") {
        return Ok(Some(letters.len() as u64).filter(|every| *every > 0));
    }
    let names = ["sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers"];
    if let Some(every) = fields.number(&names)?.filter(|every| *every > 0) {
        return Ok(Some(every));
    }
    let every = match fields.model_type() {
        "gemma2" | "gpt_oss" => 2,
        "cohere2" | "exaone4" | "olmo3" | "afmoe" => 4,
        "gemma3n_text" => 5,
        "gemma3_text" => 6,
        other if other.starts_with("gemma4") => 6,
        _ => return Ok(None),
    };
    fields.assume(format!("one layer in {every} keeps all tokens, the default of its model type"));
    Ok(Some(every))
}
