//! Characters that would let a text from outside act on the reader's terminal or eyes.
//!
//! Model names and error messages come from servers. Escaping for HTML and Markdown does not touch control characters
//! (terminal escapes) and bidirectional overrides ("Trojan Source", Boucher and Anderson 2021), so every finished
//! document passes through here once.

use tera::escape_html;

/// The text with control characters (except line feeds) and bidirectional controls replaced by U+FFFD.
pub(crate) fn sanitised(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => c,
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// The same on one line, for places where a line feed would end a row.
pub(crate) fn one_line(text: &str) -> String {
    sanitised(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Text for HTML and XML, in content and in quoted attributes, escaped as the template engine does it.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = Vec::with_capacity(text.len());
    // Writing to memory does not fail; were it to, an empty title is better than an unescaped one.
    match escape_html(text, &mut escaped) {
        Ok(()) => String::from_utf8_lossy(&escaped).into_owned(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_bidirectional_overrides_do_not_survive() {
        assert_eq!(sanitised("a\u{1b}[31mred\u{202e}b\nc"), "a\u{fffd}[31mred\u{fffd}b\nc");
        assert_eq!(one_line("a\r\n b\u{7}"), "a b\u{fffd}");
    }
}
