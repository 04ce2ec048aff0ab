//! Why a `config.json` is refused.

/// Why a `config.json` is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not JSON, or not an object.
    #[error("not a config.json: {reason}\nhint: give the config.json that lies beside the weights")]
    NotJson {
        /// What the reader says.
        reason: String,
    },
    /// A needed field is left out and has no known default.
    #[error(
        "the config has no `{field}`, and no default of it is known for model type `{model_type}`\nhint: add the field"
    )]
    Missing {
        /// The field.
        field: &'static str,
        /// The model type.
        model_type: String,
    },
    /// A field has a value that is not understood.
    #[error("`{field}` is {value}, which is not understood\nhint: correct it, or describe the layers in a catalogue")]
    NotUnderstood {
        /// The field.
        field: String,
        /// Its value.
        value: String,
    },
    /// A field that could change the cache is not known.
    #[error(
        "the field `{field}` is not known and its name speaks of what layers keep\nhint: remove it if it does not matter \
         for the cache, or describe the layers in a catalogue"
    )]
    UnknownField {
        /// The field.
        field: String,
    },
    /// A layer type is not known.
    #[error(
        "the layer type `{name}` is not known\nhint: known are full_attention, sliding_attention, chunked_attention, \
         linear_attention, mamba, conv and layers without a cache"
    )]
    UnknownLayerType {
        /// The type.
        name: String,
    },
    /// The architecture's cache is not reproduced.
    #[error("the cache of model type `{model_type}` is not reproduced: {reason}")]
    Unsupported {
        /// The type.
        model_type: String,
        /// What is special about it.
        reason: &'static str,
    },
}
