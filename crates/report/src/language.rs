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
        Ok(Self { language, confidence: "95 %".into(), tables })
    }

    /// The same words for intervals of another confidence.
    pub(crate) fn with_confidence(mut self, level: Option<f64>) -> Self {
        if let Some(level) = level {
            let percent = format!("{:.1}", 100.0 * level);
            self.confidence = format!("{} %", percent.trim_end_matches(".0"));
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
            _ => metric,
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
    use std::collections::BTreeSet;

    use super::*;

    /// Every source file that may ask for words.
    const SOURCES: &[&str] = &[
        include_str!("view/mod.rs"),
        include_str!("view/results.rs"),
        include_str!("view/operation.rs"),
        include_str!("view/sizing.rs"),
        include_str!("view/option.rs"),
        include_str!("view/cost.rs"),
        include_str!("view/level_table.rs"),
        include_str!("view/limited.rs"),
        include_str!("view/promise.rs"),
        include_str!("view/conclusion.rs"),
        include_str!("view/evidence.rs"),
        include_str!("view/method.rs"),
        include_str!("prose/mod.rs"),
        include_str!("prose/finding.rs"),
        include_str!("prose/finding/of_levels.rs"),
        include_str!("prose/finding/resources.rs"),
        include_str!("prose/finding/sample.rs"),
        include_str!("prose/goodput.rs"),
        include_str!("prose/failure.rs"),
        include_str!("prose/performance.rs"),
        include_str!("view/performance.rs"),
        include_str!("chart/prediction.rs"),
        include_str!("prose/sizing.rs"),
        include_str!("prose/verdict.rs"),
        include_str!("prose/reading.rs"),
        include_str!("prose/deviation.rs"),
        include_str!("chart/mod.rs"),
        include_str!("chart/throughput.rs"),
        include_str!("chart/latency.rs"),
        include_str!("chart/frontier.rs"),
        include_str!("chart/timeline.rs"),
        include_str!("chart/distribution.rs"),
        include_str!("chart/capacity.rs"),
        include_str!("chart/gpu.rs"),
        include_str!("console.rs"),
        include_str!("console/sizing.rs"),
        include_str!("console/comparison.rs"),
        include_str!("console/over_runs.rs"),
        include_str!("view/over_runs.rs"),
        include_str!("view/stages.rs"),
        include_str!("view/turns.rs"),
        include_str!("console/plan.rs"),
        include_str!("view/plan.rs"),
        include_str!("prose/plan.rs"),
        include_str!("chart/plan_memory.rs"),
        include_str!("chart/plan_frontier.rs"),
    ];

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
        let mut asked: BTreeSet<String> = Metric::all().map(|metric| format!("metric.{metric}")).collect();
        for source in SOURCES {
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
        let files = ["report.md", "report.html", "levels.csv", "manifest.json"];
        let unknown: Vec<_> = asked.difference(&known).filter(|key| !files.contains(&key.as_str())).collect();
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
