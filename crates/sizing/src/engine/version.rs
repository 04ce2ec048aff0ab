//! Version numbers of an engine, as far as they decide on arithmetic.

use std::fmt;
use std::str::FromStr;

/// The first three numbers of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u16,
    minor: u16,
    patch: u16,
}

impl Version {
    pub(crate) const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// The first two numbers.
    pub(crate) const fn without_patch(self) -> (u16, u16) {
        (self.major, self.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = EngineError;

    /// Reads `0.11.2`, `v0.11.2`, `0.11.2.post2`, `0.11.2rc1+build`: three numbers, then anything that is no digit.
    fn from_str(text: &str) -> Result<Self, EngineError> {
        let unreadable = || EngineError::Unreadable { text: text.to_owned() };
        let trimmed = text.trim();
        let mut rest = trimmed.strip_prefix('v').unwrap_or(trimmed);
        let mut numbers = [0_u16; 3];
        for (place, number) in numbers.iter_mut().enumerate() {
            if place > 0 {
                rest = rest.strip_prefix('.').ok_or_else(unreadable)?;
            }
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            *number = rest[..digits].parse().map_err(|_| unreadable())?;
            rest = &rest[digits..];
        }
        let [major, minor, patch] = numbers;
        Ok(Self::new(major, minor, patch))
    }
}

/// Why no arithmetic is known for an engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The string holds no version.
    #[error("`{text}` is not a version\nhint: give three numbers, such as 0.11.2")]
    Unreadable {
        /// The string.
        text: String,
    },
    /// The version's arithmetic is not known.
    #[error("the KV cache arithmetic of vLLM {version} is not known\nhint: known are {first} to {last}")]
    Unsupported {
        /// The version.
        version: Version,
        /// Oldest known.
        first: Version,
        /// Newest known.
        last: Version,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strings that real servers gave: `/version` of a vLLM CPU build, release notes, start-up logs.
    #[test]
    fn version_strings_of_real_servers_parse() {
        for (text, expected) in [
            ("0.11.2.post2", "0.11.2"),
            ("0.11.2rc1+rhai0", "0.11.2"),
            ("0.9.2rc2.dev1802", "0.9.2"),
            ("v0.10.1.1", "0.10.1"),
            (" 0.9.1\n", "0.9.1"),
        ] {
            let version: Version = text.parse().unwrap();
            assert_eq!(version.to_string(), expected);
        }
    }

    #[test]
    fn other_strings_are_refused() {
        for text in ["", "main", "0.11", "0.11.x", "b1-7e4c0a9", "0.99999.1", "0..1"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
