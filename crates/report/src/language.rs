//! The two languages and their catalogues.
//!
//! A catalogue is a TOML file embedded at build time: tables of keys, each a sentence or a word with `{named}` places.
//! Metric names (TTFT, TPOT, ITL, E2EL), flags, file names and the server's own messages are not translated. Korean has
//! one plural form and its particles follow fixed nouns in the catalogue, so a flat map is all the grammar needed.

use std::collections::BTreeMap;

use analysis::{LevelFigure, Metric, Statistic, Unit};
use serde::Deserialize;

use crate::ReportError;

/// Language of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    En,
    /// Korean.
    Ko,
}

impl Language {
    /// Every language there is.
    pub const ALL: [Self; 2] = [Self::En, Self::Ko];

    /// BCP 47 tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ko => "ko",
        }
    }

    /// `report.md` in English, `report.ko.md` in Korean.
    pub(crate) fn file(self, stem: &str, extension: &str) -> String {
        match self {
            Self::En => format!("{stem}.{extension}"),
            Self::Ko => format!("{stem}.ko.{extension}"),
        }
    }

    /// Path of a chart within the run folder.
    pub(crate) fn chart_file(self, name: &str) -> String {
        self.file(&format!("charts/{name}"), "svg")
    }

    fn catalogue(self) -> &'static str {
        match self {
            Self::En => include_str!("../catalogue/en.toml"),
            Self::Ko => include_str!("../catalogue/ko.toml"),
        }
    }
}

/// A name that stands at the head of a column.
fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The words of one language.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) language: Language,
    /// What stands for `{confidence}` in every text.
    confidence: String,
    tables: BTreeMap<String, Table>,
}

#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Table(BTreeMap<String, String>);

impl Words {
    pub(crate) fn load(language: Language) -> Result<Self, ReportError> {
        let tables = toml::from_str(language.catalogue())
            .map_err(|source| ReportError::Catalogue { language: language.tag(), source })?;
        Ok(Self { language, confidence: "95%".into(), tables })
    }

    /// The same words for intervals of another confidence.
    pub(crate) fn with_confidence(mut self, level: Option<f64>) -> Self {
        if let Some(level) = level {
            let percent = format!("{:.1}", 100.0 * level);
            self.confidence = format!("{}%", percent.trim_end_matches(".0"));
        }
        self
    }

    /// The text of `table.key`. A missing key shows as `⟦table.key⟧` rather than costing the user the report; the tests
    /// see to it that there is none.
    pub(crate) fn get(&self, key: &str) -> String {
        key.split_once('.')
            .and_then(|(table, key)| self.tables.get(table)?.0.get(key))
            .map_or_else(|| format!("⟦{key}⟧"), |text| text.replace("{confidence}", &self.confidence))
    }

    /// Returns the name of a metric.
    pub(crate) fn metric(&self, metric: Metric) -> String {
        self.get(&format!("metric.{metric}"))
    }

    /// Returns the head of a column of this figure, with its unit.
    pub(crate) fn figure(&self, figure: LevelFigure) -> String {
        let metric = self.metric(figure.metric);
        match (figure.row().unit, figure.statistic) {
            (Unit::Ms, Statistic::Mean) => self.say("figure.mean", &[("metric", &metric)]),
            (Unit::Ms, other) => self.say("figure.percentile", &[("metric", &metric), ("statistic", other.id())]),
            _ => capitalised(&metric),
        }
    }

    /// The text of `table.key` with its `{named}` places filled. Values are not searched for places again.
    pub(crate) fn say(&self, key: &str, values: &[(&str, &str)]) -> String {
        let text = self.get(key);
        let mut filled = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let Some((name, tail)) = after.split_once('}') else {
                filled.push('{');
                rest = after;
                continue;
            };
            match values.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => filled.push_str(value),
                None => filled.extend(["⟦", name, "⟧"]),
            }
            rest = tail;
        }
        filled.push_str(rest);
        filled
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    /// The text of every source file but this one, which asks for no words.
    #[expect(clippy::disallowed_methods, reason = "the test reads the crate's sources, the crate itself reads no file")]
    fn sources(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut texts = Vec::new();
        for path in entries {
            if path.is_dir() {
                texts.extend(sources(&path));
            } else if !path.ends_with("language.rs") {
                texts.push(std::fs::read_to_string(path).unwrap());
            }
        }
        texts
    }

    fn entries(language: Language) -> BTreeMap<String, String> {
        Words::load(language)
            .unwrap()
            .tables
            .into_iter()
            .flat_map(|(table, keys)| keys.0.into_iter().map(move |(key, text)| (format!("{table}.{key}"), text)))
            .collect()
    }

    fn places(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)).collect()
    }

    #[test]
    fn both_catalogues_have_the_same_keys_with_the_same_places() {
        let (english, korean) = (entries(Language::En), entries(Language::Ko));
        assert_eq!(english.keys().collect::<Vec<_>>(), korean.keys().collect::<Vec<_>>());
        for (key, text) in &english {
            assert_eq!(places(text), places(&korean[key]), "places of {key}");
            assert!(!text.trim().is_empty() && !korean[key].trim().is_empty(), "{key}");
        }
    }

    #[test]
    fn every_key_is_used_and_every_key_asked_for_exists() {
        let of_this_file = ["figure.mean", "figure.percentile"].map(str::to_owned);
        let of_metrics = Metric::all().map(|metric| format!("metric.{metric}"));
        let of_settings = analysis::recorded_settings().map(|id| format!("setup.{id}"));
        let mut asked: BTreeSet<String> = of_metrics.chain(of_this_file).chain(of_settings).collect();
        for source in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
            for piece in source.split('"').skip(1).step_by(2) {
                let is_key = piece.split_once('.').is_some_and(|(table, key)| {
                    [table, key].iter().all(|part| {
                        !part.is_empty()
                            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
                    })
                });
                if is_key {
                    asked.insert(piece.to_owned());
                }
            }
        }
        let known: BTreeSet<String> = entries(Language::En).into_keys().collect();
        let unused: Vec<_> = known.difference(&asked).collect();
        assert!(unused.is_empty(), "never asked for: {unused:?}");
        // Other text with a point in it, such as "0.5" or a file's name, is in no table.
        let tables = Words::load(Language::En).unwrap().tables;
        let in_table = |key: &str| key.split_once('.').is_some_and(|(table, _)| tables.contains_key(table));
        let unknown: Vec<_> = asked.difference(&known).filter(|key| in_table(key) && *key != "runs.csv").collect();
        assert!(unknown.is_empty(), "asked for but not there: {unknown:?}");
    }

    #[test]
    fn values_are_not_searched_for_places() {
        let words = Words {
            language: Language::En,
            confidence: String::new(),
            tables: BTreeMap::from([("a".into(), Table(BTreeMap::from([("b".into(), "{x} of {y}, {z}".into())])))]),
        };
        assert_eq!(words.say("a.b", &[("x", "{y}"), ("y", "2")]), "{y} of 2, ⟦z⟧");
        assert_eq!(words.get("a.c"), "⟦a.c⟧");
    }
}
