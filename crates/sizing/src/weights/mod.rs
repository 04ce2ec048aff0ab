//! Bytes of weights: exactly, from a checkpoint's own headers, or from parameters and a format.
//!
//! A header is all that is read of a file: [`safetensors`] and [`gguf`] take its first bytes and give every tensor's type
//! and size. Files of one model are added up with [`Headers::add`]. Without headers, [`WeightFormat`] says how many bytes a
//! quantised parameter takes with its scales; embeddings, norms and the output layer usually stay in 16 bits.

pub mod gguf;
pub mod safetensors;

mod format;

use std::collections::BTreeMap;

use serde::Serialize;

pub use format::{UnknownFormat, WeightFormat};

use crate::Bytes;

/// What the headers of a model's files hold, by type of tensor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Headers {
    /// Bytes of every type, such as `BF16`, `F8_E4M3`, `Q4_K`.
    pub by_type: BTreeMap<String, Bytes>,
    /// Number of tensors.
    pub tensors: u64,
    /// Number of elements; of packed types the elements that stand for them in the file.
    pub elements: u64,
}

impl Headers {
    /// Bytes of all tensors.
    pub fn bytes(&self) -> Bytes {
        self.by_type.values().copied().sum()
    }

    /// Adds another file of the same model.
    pub fn add(&mut self, other: &Self) {
        for (name, bytes) in &other.by_type {
            let own = self.by_type.entry(name.clone()).or_default();
            *own = *own + *bytes;
        }
        self.tensors = self.tensors.saturating_add(other.tensors);
        self.elements = self.elements.saturating_add(other.elements);
    }

    fn count(&mut self, name: &str, elements: u64, bytes: Bytes) {
        let own = self.by_type.entry(name.to_owned()).or_default();
        *own = *own + bytes;
        self.tensors += 1;
        self.elements = self.elements.saturating_add(elements);
    }
}

/// Why the first bytes of a file are no header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The header is longer than what was given.
    #[error("the header needs {needed} B at least, {given} were given\nhint: read more of the file")]
    Short {
        /// Bytes that it needs, as far as is known yet.
        needed: u64,
        /// Bytes that were given.
        given: u64,
    },
    /// Not a file of this kind.
    #[error("not a {kind} file: {reason}\nhint: give the file as it was downloaded")]
    Other {
        /// The kind.
        kind: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor type whose size is not known.
    #[error("the size of tensor type {name} is not known\nhint: name the weights by --weights-gib")]
    UnknownType {
        /// Its name or number.
        name: String,
    },
}
