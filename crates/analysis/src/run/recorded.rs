//! Settings of a run that its report shows and that a comparison treats as a condition.
//!
//! A setting that is in the run's plan has a place of its own in summary and report. Any other needs one row here, and its
//! name under `setup` in the report's catalogues.

use std::collections::BTreeMap;

use records::Manifest;
use serde_json::Value;

/// Id of a setting, and its JSON pointer in the manifest's `settings`.
const RECORDED: [(&str, &str); 1] = [("http2", "/connection/http2")];

/// Ids of these settings: the keys of [`crate::RunFacts::settings`].
pub fn recorded_settings() -> impl Iterator<Item = &'static str> {
    RECORDED.into_iter().map(|(id, _)| id)
}

/// The settings of the run that are set, by their ids; none for a run whose manifest contains no settings.
pub(super) fn recorded(manifest: &Manifest) -> BTreeMap<String, String> {
    let Some(settings) = &manifest.settings else {
        return BTreeMap::new();
    };
    let row = |(id, pointer): (&str, &str)| {
        let value = match settings.pointer(pointer)? {
            Value::Null | Value::Bool(false) => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((id.to_owned(), value))
    };
    RECORDED.into_iter().filter_map(row).collect()
}
