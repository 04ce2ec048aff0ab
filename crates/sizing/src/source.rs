//! Where a value of the catalogue comes from.

use serde::{Deserialize, Serialize};

/// A value, where it was found, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it was found.
    pub source: String,
    /// When it was published or read there: `2026-03-10`, or `2026-03` where the day is not known.
    pub date: String,
}

impl<T> Sourced<T> {
    /// A value found at `source`, published or read there on `date`.
    pub fn new(value: T, source: impl Into<String>, date: impl Into<String>) -> Self {
        Self { value, source: source.into(), date: date.into() }
    }

    pub(crate) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Sourced<U> {
        Sourced { value: convert(self.value), source: self.source, date: self.date }
    }
}
