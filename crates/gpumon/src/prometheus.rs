//! Parser of the Prometheus text format 0.0.4, which engines and exporters answer on `/metrics`.
//!
//! Follows "Exposition formats" of the Prometheus documentation. It is our own because the published parsers lose what
//! matters here: names with a colon (all of vLLM's and llama.cpp's), and commas or braces within label values. What is
//! read borrows from the text. A line that is not understood is counted and skipped: one odd line must not hide the
//! others. `# HELP` and `# TYPE` are comments to this parser, and so are the extensions of `OpenMetrics`.

use std::borrow::Cow;

/// What a scrape holds, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape<'a> {
    /// Every line that carries a value.
    pub samples: Vec<Sample<'a>>,
    /// Lines that are neither blank, comment nor sample.
    pub bad_lines: usize,
}

/// A value of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Metric name.
    pub name: &'a str,
    /// Labels in the order of the text.
    pub labels: Vec<Label<'a>>,
    /// Value; may be infinite or not a number.
    pub value: f64,
    /// Milliseconds since 1970-01-01T00:00:00Z, where the exporter gives them.
    pub timestamp_ms: Option<i64>,
}

/// A label of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// Label name.
    pub name: &'a str,
    /// Label value with its escapes resolved.
    pub value: Cow<'a, str>,
}

impl<'a> Scrape<'a> {
    /// The samples called exactly `name`.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Sample<'a>> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }
}

impl Sample<'_> {
    /// Value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        let label = self.labels.iter().find(|label| label.name == name)?;
        Some(&label.value)
    }
}

/// Parses a scrape.
pub fn parse(text: &str) -> Scrape<'_> {
    let mut scrape = Scrape::default();
    for line in text.lines() {
        let line = line.trim_matches(BLANK);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match sample(line) {
            Some(sample) => scrape.samples.push(sample),
            None => scrape.bad_lines += 1,
        }
    }
    scrape
}

/// What may stand between tokens.
const BLANK: [char; 2] = [' ', '\t'];

fn sample(line: &str) -> Option<Sample<'_>> {
    let (name, rest) = identifier(line, true)?;
    let (labels, rest) = match rest.trim_start_matches(BLANK).strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None if rest.starts_with(BLANK) => (Vec::new(), rest),
        None => return None,
    };
    let mut fields = rest.split(BLANK).filter(|field| !field.is_empty());
    let value = fields.next()?.parse().ok()?;
    let timestamp_ms = fields.next().map(str::parse).transpose().ok()?;
    if fields.next().is_some() {
        return None;
    }
    Some(Sample { name, labels, value, timestamp_ms })
}

/// Splits `[a-zA-Z_:][a-zA-Z0-9_:]*` off the front; label names have no colon.
fn identifier(text: &str, colon: bool) -> Option<(&str, &str)> {
    let belongs = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let starts_well = name.starts_with(|c: char| !c.is_ascii_digit());
    starts_well.then_some((name, rest))
}

/// Reads labels from behind the opening brace to behind the closing one.
fn labels(mut rest: &str) -> Option<(Vec<Label<'_>>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(BLANK);
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, behind) = identifier(rest, false)?;
        let behind = behind.trim_start_matches(BLANK).strip_prefix('=')?;
        let inside = behind.trim_start_matches(BLANK).strip_prefix('"')?;
        let (value, behind) = quoted(inside)?;
        labels.push(Label { name, value });
        rest = behind.trim_start_matches(BLANK);
        match rest.strip_prefix(',') {
            Some(behind) => rest = behind,
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
}

/// Reads a label value from behind the opening quote to behind the closing one. The format defines the escapes `\\`,
/// `\"` and `\n`; any other is kept as it stands.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut resolved = String::new();
    let mut plain_from = 0;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let plain = &text[plain_from..at];
                let value = if plain_from == 0 { Cow::Borrowed(plain) } else { Cow::Owned(resolved + plain) };
                return Some((value, &text[at + 1..]));
            }
            '\\' => {
                resolved.push_str(&text[plain_from..at]);
                let (escaped_at, escaped) = chars.next()?;
                match escaped {
                    'n' => resolved.push('\n'),
                    '"' | '\\' => resolved.push(escaped),
                    other => resolved.extend(['\\', other]),
                }
                plain_from = escaped_at + escaped.len_utf8();
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests;
