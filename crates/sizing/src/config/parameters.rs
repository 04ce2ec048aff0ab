//! How many parameters a `config.json` describes, in closed form, for the families whose form is known.
//!
//! Norms, biases and convolutions are left out or counted roughly: together they are below a thousandth. The exact bytes
//! are in the checkpoint's own headers, see [`crate::weights`].

use super::attention::{Caches, hidden_size, query_heads};
use super::error::ConfigError;
use super::hf_fields::Fields;
use crate::model::{Holds, ParameterCount, StateShape};

/// Families whose layers are other than here: MLPs without a gate, embeddings for every layer, towers counted elsewhere.
const OTHER: [&str; 16] = [
    "gemma3n_text",
    "gpt2",
    "gpt_neo",
    "gptj",
    "gpt_bigcode",
    "bloom",
    "opt",
    "mpt",
    "falcon",
    "whisper",
    "phi",
    "starcoder2",
    "nemotron_h",
    "mamba",
    "falcon_mamba",
    "mamba2",
];

/// Names of the number of routed experts.
pub(super) const EXPERTS: [&str; 4] = ["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"];

/// Names of the number of experts that every token goes through.
const SHARED_EXPERTS: [&str; 3] = ["n_shared_experts", "num_shared_experts", "moe_num_shared_experts"];

pub(super) fn count(fields: &Fields<'_>, layers: &[Caches]) -> Result<Option<ParameterCount>, ConfigError> {
    let per_layer_embeddings = fields.number(&["hidden_size_per_layer_input"])?.unwrap_or(0) > 0;
    let irregular = fields.value("block_configs").is_some() || per_layer_embeddings;
    if irregular || OTHER.contains(&fields.model_type()) {
        return Ok(None);
    }
    let Some(hidden) = hidden_size(fields)? else {
        return Ok(None);
    };
    let tied = fields.flag("tie_word_embeddings").unwrap_or(false);
    let vocabulary = fields.needed(&["vocab_size", "padded_vocab_size"])?;
    let embedding = vocabulary * hidden * if tied { 1 } else { 2 };
    let mut total = embedding + hidden;
    let mut attending = 0_u64;
    for (index, caches) in layers.iter().enumerate() {
        let mut own = 2 * hidden;
        for (_, holds) in caches {
            let Some(parameters) = attention(fields, holds, hidden)? else {
                return Ok(None);
            };
            own += parameters;
            attending = attending.saturating_add(parameters);
        }
        // A layer that shares another's cache still projects queries and outputs.
        let Some(mlp) = mlp(fields, hidden, index as u64)? else {
            return Ok(None);
        };
        total = total.saturating_add(own + mlp);
    }
    Ok(Some(ParameterCount { total, embedding, attention: attending }))
}

fn attention(fields: &Fields<'_>, holds: &Holds, hidden: u64) -> Result<Option<u64>, ConfigError> {
    Ok(match *holds {
        Holds::Heads(own) => {
            let query = query_heads(fields)? * own.head_dim;
            let gate = fields.flag("attn_output_gate") == Some(true) || fields.model_type() == "qwen3_next";
            let projected = if gate { 2 * query } else { query };
            let normed = if fields.model_type().starts_with("qwen3") { 2 * own.head_dim } else { 0 };
            Some(hidden * (projected + own.kv_heads * own.pair() + query) + normed)
        }
        Holds::Latent { .. } => {
            let (query, rank) = (query_heads(fields)?, fields.needed(&["kv_lora_rank"])?);
            let rope = fields.needed(&["qk_rope_head_dim"])?;
            let (nope, value) = (fields.needed(&["qk_nope_head_dim"])?, fields.needed(&["v_head_dim"])?);
            let width = query * (nope + rope);
            let queries = match fields.number(&["q_lora_rank"])? {
                Some(low) => hidden * low + low * width,
                None => hidden * width,
            };
            Some(queries + hidden * (rank + rope) + rank * query * (nope + value) + query * value * hidden)
        }
        Holds::Index { .. } => {
            let (heads, dim) = (fields.number(&["index_n_heads"])?, fields.number(&["index_head_dim"])?);
            let low = fields.number(&["q_lora_rank"])?;
            let of = |heads: u64, dim: u64, low: u64| heads * dim * low + hidden * (dim + heads);
            heads.zip(dim).zip(low).map(|((heads, dim), low)| of(heads, dim, low))
        }
        Holds::State { shape: StateShape::Gdn { key_heads, value_heads, key_dim, value_dim, .. }, .. } => {
            let values = value_heads * value_dim;
            Some(hidden * (2 * key_heads * key_dim + 2 * values + 2 * value_heads) + values * hidden)
        }
        Holds::State { .. } => None,
    })
}

fn mlp(fields: &Fields<'_>, hidden: u64, layer: u64) -> Result<Option<u64>, ConfigError> {
    let gated = |width: u64| 3 * hidden * width;
    let experts = fields.number(&EXPERTS)?.filter(|n| *n > 1);
    let dense_first = fields.number(&["first_k_dense_replace", "num_dense_layers"])?.unwrap_or(0);
    let every = fields.number(&["decoder_sparse_step", "interleave_moe_layer_step"])?.unwrap_or(1).max(1);
    let sparse = layer >= dense_first && (layer + 1).is_multiple_of(every);
    // Llama 4 names the width of its dense layers apart; each of its mixtures has one more expert for every token.
    let llama4 = fields.model_type().starts_with("llama4");
    let dense_names: &[&'static str] =
        if llama4 { &["intermediate_size_mlp", "intermediate_size"] } else { &["intermediate_size"] };
    let dense = fields.number(dense_names)?;
    let Some(experts) = experts.filter(|_| sparse) else {
        return Ok(dense.map(gated));
    };
    let width = match fields.number(&["moe_intermediate_size"])? {
        Some(width) => Some(width),
        None if llama4 => fields.number(&["intermediate_size"])?,
        None => dense,
    };
    let Some(width) = width else {
        return Ok(None);
    };
    // Gemma 4 runs a dense MLP beside its experts.
    let beside = if fields.flag("enable_moe_block") == Some(true) { dense.map_or(0, gated) } else { 0 };
    let shared = match fields.number(&["shared_expert_intermediate_size"])? {
        Some(shared) => gated(shared) + hidden,
        None if llama4 => gated(width),
        None => gated(width) * fields.number(&SHARED_EXPERTS)?.unwrap_or(0),
    };
    Ok(Some(gated(width) * experts + shared + beside + hidden * experts))
}
