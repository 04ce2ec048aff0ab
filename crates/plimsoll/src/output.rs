//! What goes to stdout: one JSON document, or text for people.

use std::io::{self, Write as _};

use anyhow::Context as _;
use serde::Serialize;

/// Width of console tables where the terminal's is not known.
pub(crate) const CONSOLE_WIDTH: usize = 100;

/// Prints `document` as JSON when asked to, else what `text` makes of it.
pub fn emit<T: Serialize>(json: bool, document: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
    let text = if json { serde_json::to_string_pretty(document)? } else { text(document) };
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush()) {
        // Whoever reads has seen enough: `… | head` is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("write to stdout"),
    }
}
