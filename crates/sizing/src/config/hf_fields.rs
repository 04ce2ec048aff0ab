//! Typed look-ups in a `config.json`, with the defaults of its model type where a field is left out.
//!
//! The defaults are `catalogue/config_defaults.toml`. One that was taken is noted, so that nobody has to guess.

use std::cell::RefCell;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::error::ConfigError;

static DEFAULTS: LazyLock<toml::Table> = LazyLock::new(|| {
    include_str!("../../catalogue/config_defaults.toml").parse().expect("the embedded defaults are read by a test")
});

/// Largest number that a dimension may be, so that products of three stay below 2^63.
const LARGEST: u64 = 1 << 21;

/// The fields of one level of a `config.json`.
pub(super) struct Fields<'a> {
    own: &'a Map<String, Value>,
    model_type: &'a str,
    served_type: &'a str,
    assumed: RefCell<Vec<String>>,
}

impl<'a> Fields<'a> {
    /// `served_type` is the type that the whole config states, `model_type` that of the level of `own`.
    pub(super) fn new(own: &'a Map<String, Value>, model_type: &'a str, served_type: &'a str) -> Self {
        Self { own, model_type, served_type, assumed: RefCell::default() }
    }

    pub(super) const fn model_type(&self) -> &'a str {
        self.model_type
    }

    pub(super) const fn served_type(&self) -> &'a str {
        self.served_type
    }

    pub(super) const fn own(&self) -> &'a Map<String, Value> {
        self.own
    }

    /// Notes something that was taken for granted.
    pub(super) fn assume(&self, what: impl Into<String>) {
        let what = what.into();
        let mut assumed = self.assumed.borrow_mut();
        if !assumed.contains(&what) {
            assumed.push(what);
        }
    }

    pub(super) fn into_assumptions(self) -> Vec<String> {
        self.assumed.into_inner()
    }

    /// The field, unless it is left out or null.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.own.get(name).filter(|value| !value.is_null())
    }

    /// The first of these names that the config has as a number; an explicit null ends the search, a field that no name has
    /// is the model type's default.
    pub(super) fn number(&self, names: &[&'static str]) -> Result<Option<u64>, ConfigError> {
        for &name in names {
            match self.own.get(name) {
                None => {}
                Some(Value::Null) => return Ok(None),
                Some(value) => return dimension(name, one_of_alike(value)).map(Some),
            }
        }
        Ok(names.iter().find_map(|name| {
            let value = self.default(name)?.as_integer()?;
            let value = u64::try_from(value).ok()?;
            self.assume(format!("{name} = {value}, the default of model type {}", self.model_type));
            Some(value)
        }))
    }

    /// The same for a field that has to be there.
    pub(super) fn needed(&self, names: &[&'static str]) -> Result<u64, ConfigError> {
        self.number(names)?.ok_or_else(|| ConfigError::Missing {
            field: names.first().copied().unwrap_or_default(),
            model_type: self.model_type.to_owned(),
        })
    }

    /// A yes-or-no field, with the default of the model type.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.own.get(name) {
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => None,
            None => self.default(name)?.as_bool(),
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.value(name)?.as_str()
    }

    /// A list of numbers.
    pub(super) fn numbers(&self, name: &'static str) -> Result<Option<Vec<u64>>, ConfigError> {
        let Some(list) = self.value(name).and_then(Value::as_array) else {
            return Ok(None);
        };
        let numbers = list.iter().map(|value| dimension(name, value));
        numbers.collect::<Result<_, _>>().map(Some)
    }

    /// A list of names, unless it is left out or empty.
    pub(super) fn names(&self, name: &'static str) -> Result<Option<Vec<&'a str>>, ConfigError> {
        let Some(list) = self.value(name).and_then(Value::as_array) else {
            return Ok(None);
        };
        let names = list.iter().map(|value| {
            value
                .as_str()
                .ok_or_else(|| ConfigError::NotUnderstood { field: name.to_owned(), value: value.to_string() })
        });
        let names: Vec<_> = names.collect::<Result<_, _>>()?;
        Ok((!names.is_empty()).then_some(names))
    }

    fn default(&self, name: &str) -> Option<&'static toml::Value> {
        DEFAULTS.get(self.model_type)?.get(name)
    }
}

/// Whether the defaults of a model type are known.
pub(super) fn knows(model_type: &str) -> bool {
    DEFAULTS.contains_key(model_type)
}

/// The number of a list that repeats one for every layer.
fn one_of_alike(value: &Value) -> &Value {
    match value.as_array().and_then(|list| list.split_first()) {
        Some((first, others)) if others.iter().all(|other| other == first) => first,
        _ => value,
    }
}

fn dimension(field: &str, value: &Value) -> Result<u64, ConfigError> {
    let number = value.as_u64().or_else(|| {
        let float = value.as_f64()?;
        (float.fract() == 0.0 && float >= 0.0).then(|| float.to_string().parse().ok())?
    });
    number
        .filter(|number| *number <= LARGEST || field.contains("max_position"))
        .ok_or_else(|| ConfigError::NotUnderstood { field: field.to_owned(), value: value.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_defaults_are_tables_of_numbers_and_flags() {
        assert!(DEFAULTS.len() > 150);
        for (model_type, fields) in DEFAULTS.iter() {
            let fields = fields.as_table().unwrap();
            assert!(fields.values().all(|value| value.is_integer() || value.is_bool()), "{model_type}");
        }
        assert!(knows("gemma3_text") && !knows("in-house"));
    }
}
