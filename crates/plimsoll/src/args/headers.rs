//! Headers as they are typed, `Name: value`. Their values are secrets and in no message.

use crate::exit::{self, Exit};

/// Names and values of the headers that a flag gives.
pub(super) fn headers(flag: &str, given: &[String]) -> anyhow::Result<Vec<(String, String)>> {
    let pair = |header: &String| {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            exit::error(
                Exit::Usage,
                format!("cannot parse {flag}: there is no colon\nhint: write it as \"Name: value\""),
            )
        })?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    given.iter().map(pair).collect()
}

/// Their names.
pub(super) fn names(given: &[String]) -> Vec<String> {
    given.iter().filter_map(|header| Some(header.split_once(':')?.0.trim().to_owned())).collect()
}
