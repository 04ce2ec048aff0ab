//! States of a `config.json`: the field names of every family that has them.

use super::error::ConfigError;
use super::hf_fields::Fields;
use crate::model::{Holds, LayerKind, StateDtype, StateShape};

/// What one layer keeps.
pub(super) type Cache = (LayerKind, Holds);

/// The element that the config asks for; families whose engine default is float32 have it.
fn dtype(fields: &Fields<'_>) -> Result<StateDtype, ConfigError> {
    for field in ["mamba_ssm_cache_dtype", "mamba_ssm_dtype"] {
        match fields.text(field) {
            None => {}
            Some("float32") => return Ok(StateDtype::Float32),
            Some("float16" | "bfloat16") => return Ok(StateDtype::Bits16),
            Some("auto") => return Ok(StateDtype::Model),
            Some(other) => {
                return Err(ConfigError::NotUnderstood { field: field.to_owned(), value: other.to_owned() });
            }
        }
    }
    Ok(match fields.model_type() {
        "nemotron_h" => StateDtype::NemotronH,
        _ => StateDtype::Model,
    })
}

fn state(shape: StateShape, dtype: StateDtype) -> Cache {
    (LayerKind::State, Holds::State { shape, dtype })
}

/// Whether the type has states only.
pub(super) fn is_attention_free(fields: &Fields<'_>) -> bool {
    matches!(fields.model_type(), "mamba" | "falcon_mamba" | "mamba2")
}

/// A Mamba layer: Mamba-2 where the config has heads, else Mamba-1.
pub(super) fn mamba(fields: &Fields<'_>) -> Result<Cache, ConfigError> {
    let hidden = fields.number(&["hidden_size", "d_model"])?;
    let expand = fields.number(&["mamba_expand", "expand"])?;
    let expanded = hidden.zip(expand).map(|(hidden, expand)| hidden * expand);
    let pure = is_attention_free(fields);
    let channels = match (fields.number(&["mamba_d_ssm"])?, pure) {
        (Some(channels), _) => Some(channels),
        (None, true) => fields.number(&["intermediate_size"])?.or(expanded),
        (None, false) => expanded,
    };
    let heads = match fields.model_type() {
        "mamba" | "falcon_mamba" | "jamba" => None,
        _ => fields.number(&["mamba_n_heads", "mamba_num_heads", "n_mamba_heads", "num_heads"])?,
    };
    let kernel = fields.needed(&["mamba_d_conv", "conv_kernel"])?;
    let state_dim = fields.needed(&["mamba_d_state", "ssm_state_size", "state_size"])?;
    let missing = || ConfigError::Missing { field: "mamba_expand", model_type: fields.model_type().to_owned() };
    let Some(heads) = heads.filter(|heads| *heads > 0) else {
        let shape = StateShape::Mamba1 { channels: channels.ok_or_else(missing)?, state_dim, kernel };
        return Ok(state(shape, dtype(fields)?));
    };
    let names: &[&'static str] =
        if pure { &["head_dim"] } else { &["mamba_d_head", "mamba_head_dim", "mamba_headdim"] };
    let written = if fields.text("mamba_d_head") == Some("auto") { None } else { fields.number(names)? };
    let shape = StateShape::Mamba2 {
        heads,
        head_channels: match written {
            Some(channels) => channels,
            None => channels.ok_or_else(missing)? / heads,
        },
        state_dim,
        groups: fields.number(&["mamba_n_groups", "n_groups", "mamba_ngroups"])?.unwrap_or(1),
        kernel,
        chunk: fields.number(&["mamba_chunk_size", "chunk_size"])?.unwrap_or(256),
    };
    Ok(state(shape, dtype(fields)?))
}

/// Types whose linear attention is lightning attention.
const LIGHTNING: [&str; 3] = ["minimax", "minimax_text_01", "minimax_m1"];

/// Linear attention: a gated delta net where the config has its heads, a Mamba layer where it has a state size, else lightning
/// attention of a type that is known to have it.
pub(super) fn linear(fields: &Fields<'_>) -> Result<Cache, ConfigError> {
    if let Some(value_heads) = fields.number(&["linear_num_value_heads"])? {
        let shape = StateShape::Gdn {
            key_heads: fields.needed(&["linear_num_key_heads"])?,
            value_heads,
            key_dim: fields.needed(&["linear_key_head_dim"])?,
            value_dim: fields.needed(&["linear_value_head_dim"])?,
            kernel: fields.needed(&["linear_conv_kernel_dim"])?,
        };
        return Ok(state(shape, dtype(fields)?));
    }
    // transformers 5 writes Mamba layers down by this name too.
    if fields.number(&["mamba_d_state", "ssm_state_size"])?.is_some() {
        return mamba(fields);
    }
    if !LIGHTNING.contains(&fields.model_type()) {
        return Err(ConfigError::Unsupported {
            model_type: fields.model_type().to_owned(),
            reason: "the state of its linear attention is of no known kind",
        });
    }
    let heads = fields.needed(&["num_attention_heads"])?;
    let channels = match fields.number(&["head_dim"])? {
        Some(channels) => channels,
        None => fields.needed(&["hidden_size"])? / heads.max(1),
    };
    Ok(state(StateShape::Linear { heads, channels }, dtype(fields)?))
}

/// A short convolution.
pub(super) fn convolution(fields: &Fields<'_>) -> Result<Cache, ConfigError> {
    let shape = StateShape::Conv {
        channels: fields.needed(&["conv_dim", "hidden_size"])?,
        kernel: fields.needed(&["conv_L_cache"])?,
    };
    Ok(state(shape, StateDtype::Model))
}

/// Kimi delta attention; its recurrent state is float32 unless a flag says otherwise.
pub(super) fn delta(heads: u64, channels: u64, kernel: u64, checkpointed: bool) -> Cache {
    let shape = StateShape::Kda { heads, channels, kernel, checkpointed };
    state(shape, StateDtype::Float32)
}
