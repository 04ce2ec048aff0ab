//! Metrics by name, and one value for each.
//!
//! A metric's id is its name on disk and on the command line. How it is computed and shown is in `analysis::metric`.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{IgnoredAny, MapAccess, Visitor},
    ser::SerializeMap as _,
};

/// A figure of a request or of a level, in the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Time to first token.
    Ttft,
    /// Time to first output that is not reasoning.
    Ttfo,
    /// Time per output token after the first.
    Tpot,
    /// Gaps between tokens, over all requests.
    Itl,
    /// Gaps between chunks, over all requests.
    Icl,
    /// End-to-end latency, from sending.
    E2el,
    /// End-to-end latency, from the moment the plan intended.
    E2elFromIntended,
    /// Output tokens per second of one request.
    PerRequestTokS,
    /// Prompt tokens of one request.
    PromptTokens,
    /// Output tokens of one request.
    OutputTokens,
    /// Output tokens per second of the whole server.
    OutputTokS,
    /// Completed requests per second.
    RequestsPerS,
    /// Share of requests that completed.
    SuccessRate,
    /// Share of requests that met all objectives.
    SloAttainment,
}

/// All metrics with their ids, in the order of [`Metric`].
const METRICS: [(Metric, &str); 14] = [
    (Metric::Ttft, "ttft"),
    (Metric::Ttfo, "ttfo"),
    (Metric::Tpot, "tpot"),
    (Metric::Itl, "itl"),
    (Metric::Icl, "icl"),
    (Metric::E2el, "e2el"),
    (Metric::E2elFromIntended, "e2el_from_intended"),
    (Metric::PerRequestTokS, "per_request_tok_s"),
    (Metric::PromptTokens, "prompt_tokens"),
    (Metric::OutputTokens, "output_tokens"),
    (Metric::OutputTokS, "output_tok_s"),
    (Metric::RequestsPerS, "requests_per_s"),
    (Metric::SuccessRate, "success_rate"),
    (Metric::SloAttainment, "slo_attainment"),
];

impl Metric {
    /// Every metric, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        METRICS.into_iter().map(|(metric, _)| metric)
    }

    /// Returns the name on disk and on the command line.
    pub fn id(self) -> &'static str {
        METRICS[self as usize].1
    }
}

/// The name is that of no metric.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no metric")]
pub struct UnknownMetric(String);

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(id: &str) -> Result<Self, UnknownMetric> {
        let found = METRICS.iter().find(|(_, known)| *known == id);
        found.map(|(metric, _)| *metric).ok_or_else(|| UnknownMetric(id.to_owned()))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// At most one value for each metric. On disk a map from id to value; in a struct, flattened, keys of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerMetric<T>([Option<T>; METRICS.len()]);

impl<T: Copy> Default for PerMetric<T> {
    fn default() -> Self {
        Self([None; METRICS.len()])
    }
}

impl<T: Copy> PerMetric<T> {
    /// Returns the value of `metric`; `None` where it has none.
    pub fn get(&self, metric: Metric) -> Option<T> {
        self.0[metric as usize]
    }

    /// Sets a value and returns the one before.
    pub fn insert(&mut self, metric: Metric, value: T) -> Option<T> {
        self.0[metric as usize].replace(value)
    }

    /// Metrics that have a value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, T)> {
        Metric::all().filter_map(|metric| Some((metric, self.get(metric)?)))
    }

    /// Whether no metric has a value.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl<T: Copy> FromIterator<(Metric, T)> for PerMetric<T> {
    fn from_iter<I: IntoIterator<Item = (Metric, T)>>(values: I) -> Self {
        let mut all = Self::default();
        for (metric, value) in values {
            all.insert(metric, value);
        }
        all
    }
}

/// Keys `<id>_ns`, `<id>_ms` or `<id>`, for `#[serde(flatten, with = "…")]`. Keys of other metrics, which a newer program
/// may have written, are ignored as all unknown fields are.
macro_rules! keys {
    ($($(#[$doc:meta])* $module:ident $suffix:literal;)*) => {$(
        $(#[$doc])*
        pub mod $module {
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            /// Writes one key for each metric that has a value.
            ///
            /// # Errors
            /// Those of the serializer.
            pub fn serialize<T: Copy + Serialize, S: Serializer>(
                values: &super::PerMetric<T>,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                super::write(values, $suffix, serializer)
            }

            /// Reads the keys of metrics.
            ///
            /// # Errors
            /// Those of the deserializer.
            pub fn deserialize<'de, T: Copy + Deserialize<'de>, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<super::PerMetric<T>, D::Error> {
                super::read($suffix, deserializer)
            }
        }
    )*};
}

keys! {
    /// Keys that are ids.
    by_id "";
    /// Keys that end in `_ns`.
    by_id_ns "_ns";
    /// Keys that end in `_ms`.
    by_id_ms "_ms";
}

fn write<T: Copy + Serialize, S: Serializer>(
    values: &PerMetric<T>,
    suffix: &str,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (metric, value) in values.iter() {
        map.serialize_entry(&format!("{metric}{suffix}"), &value)?;
    }
    map.end()
}

fn read<'de, T: Copy + Deserialize<'de>, D: Deserializer<'de>>(
    suffix: &'static str,
    deserializer: D,
) -> Result<PerMetric<T>, D::Error> {
    struct Keys<T>(&'static str, PhantomData<T>);

    impl<'de, T: Copy + Deserialize<'de>> Visitor<'de> for Keys<T> {
        type Value = PerMetric<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map from metrics to values")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PerMetric<T>, A::Error> {
            let mut values = PerMetric::default();
            while let Some(key) = map.next_key::<String>()? {
                match key.strip_suffix(self.0).and_then(|id| id.parse().ok()) {
                    Some(metric) => {
                        values.insert(metric, map.next_value()?);
                    }
                    None => {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
            }
            Ok(values)
        }
    }
    deserializer.deserialize_map(Keys(suffix, PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stand_in_the_order_of_the_metrics_and_are_read_back() {
        for (index, metric) in Metric::all().enumerate() {
            assert_eq!(metric as usize, index);
            assert_eq!(metric.id().parse(), Ok(metric));
        }
        assert!("ttft_ms".parse::<Metric>().is_err());
    }
}
