//! Reading figures out of a line: what follows a phrase, as a number, a name or a quoted name.

/// A line without colour codes and rank prefix.
#[derive(Clone, Copy)]
pub(super) struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// What follows a phrase.
    pub(super) fn after(self, phrase: &str) -> Option<Self> {
        let at = self.0.find(phrase)?;
        self.0.get(at + phrase.len()..).map(Self)
    }

    pub(super) fn has(self, phrase: &str) -> bool {
        self.0.contains(phrase)
    }

    /// The number at the front, with commas between thousands; what stands before it is passed over if it is blank or one
    /// of `=:( `.
    pub(super) fn number(self) -> Option<f64> {
        let text = self.0.trim_start_matches([' ', '=', ':', '(', '\'', '"']);
        let digits = |c: char| c.is_ascii_digit() || matches!(c, ',' | '.');
        let sign = usize::from(text.starts_with('-'));
        let end = text[sign..].find(|c| !digits(c)).map_or(text.len(), |end| end + sign);
        let number = text[..end].trim_end_matches(['.', ',']).replace(',', "");
        number.parse().ok()
    }

    /// The same as a count.
    pub(super) fn count(self) -> Option<u64> {
        let number = self.number()?;
        (number >= 0.0 && number.fract() == 0.0).then(|| format!("{number:.0}").parse().ok())?
    }

    /// The name at the front, quoted or up to a blank, comma or bracket; `None` for Python's `None`.
    pub(super) fn name(self) -> Option<&'a str> {
        let text = self.0.trim_start_matches([' ', '=', ':']);
        let quoted = text.strip_prefix(['\'', '"']);
        let name = match quoted {
            Some(quoted) => quoted.split(['\'', '"']).next()?,
            None => text.split([',', ' ', ')', '}', ']']).next()?,
        };
        (!name.is_empty() && name != "None").then_some(name)
    }

    /// `True` or `False` at the front.
    pub(super) fn flag(self) -> Option<bool> {
        match self.name()?.to_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    pub(super) const fn text(self) -> &'a str {
        self.0
    }
}

/// The line without colour codes.
pub(super) fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        let code = &rest[at + 1..];
        let end = code.find(|c: char| c.is_ascii_alphabetic()).map_or(code.len(), |end| end + 1);
        rest = code.get(end..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

/// The rank that a prefix such as `(Worker_TP0_EP0 pid=123)` or `(VllmWorker rank=0 pid=7)` names, and the rest.
pub(super) fn rank(line: &str) -> (&str, &str) {
    let (mut rank, mut rest) = ("", line.trim_start());
    while let Some(inner) = rest.strip_prefix('(') {
        let Some((inside, after)) = inner.split_once(')') else {
            break;
        };
        let Some(name) = inside.split(" pid=").next().filter(|_| inside.contains("pid=")) else {
            break;
        };
        rank = name;
        rest = after.trim_start();
    }
    (rank, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_ranks_are_passed_over() {
        let line = "\u{1b}[1;36m(Worker_TP3_EP3 pid=77)\u{1b}[0;0m INFO 11-24 GPU KV cache size: 256,976 tokens";
        let line = plain(line);
        let (name, rest) = rank(&line);
        assert_eq!(name, "Worker_TP3_EP3");
        let tokens = Scan::new(rest).after("GPU KV cache size:").and_then(Scan::count);
        assert_eq!(tokens, Some(256_976));
        assert_eq!(rank("(no rank) INFO"), ("", "(no rank) INFO"));
    }

    #[test]
    fn numbers_end_where_they_end() {
        let number = |text| Scan::new(text).number();
        assert_eq!(number(" -1.44 GiB"), Some(-1.44));
        assert_eq!(number("8.62x"), Some(8.62));
        assert_eq!(number("=0.9500. The"), Some(0.95));
        assert_eq!(number("13.1, and"), Some(13.1));
        assert_eq!(number("none"), None);
        assert_eq!(Scan::new("1e3").count(), Some(1));
    }
}
