//! Languages of console and documents.

use clap::ValueEnum;
use report::Language;

/// Language of report and console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// English
    En,
    /// Korean
    Ko,
    /// Both; the console is in English
    Both,
}

impl Lang {
    /// The language of the console.
    pub(crate) fn spoken(self) -> Language {
        match self {
            Self::En | Self::Both => Language::En,
            Self::Ko => Language::Ko,
        }
    }

    /// The languages of the documents.
    pub(crate) fn written(self) -> &'static [Language] {
        match self {
            Self::En => &[Language::En],
            Self::Ko => &[Language::Ko],
            Self::Both => &[Language::En, Language::Ko],
        }
    }
}
