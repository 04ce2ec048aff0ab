//! `--target`, `--slo` and `--measured` as they are typed.

use std::time::Duration;

use records::Metric;
use sizing::{
    fleet::Day,
    planner::{Demand, Slo, Target},
    weights::WeightFormat,
};

use crate::judge;

/// What runs were measured on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct System {
    pub(super) gpu: Option<String>,
    pub(super) tensor_parallel: Option<u32>,
    pub(super) weights: Option<WeightFormat>,
}

/// `key=value` pairs, each key once and known.
struct Pairs<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Pairs<'a> {
    fn read(words: impl Iterator<Item = &'a str>, known: &[&str]) -> Result<Self, String> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for word in words.map(str::trim).filter(|word| !word.is_empty()) {
            let (key, value) =
                word.split_once('=').ok_or_else(|| format!("`{word}` has no equals sign: write KEY=VALUE"))?;
            let (key, value) = (key.trim(), value.trim());
            if !known.contains(&key) {
                return Err(format!("`{key}` is none of {}", known.join(", ")));
            }
            if pairs.iter().any(|(other, _)| *other == key) {
                return Err(format!("`{key}` is there twice"));
            }
            pairs.push((key, value));
        }
        Ok(Self(pairs))
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        let pair = self.0.iter().find(|(other, _)| *other == key);
        pair.map(|(_, value)| *value)
    }

    fn parsed<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, String> {
        self.get(key)
            .map(|value| value.parse().map_err(|_| format!("`{key}={value}` is no number that fits")))
            .transpose()
    }

    fn positive(&self, key: &str) -> Result<Option<f64>, String> {
        self.get(key).map(|value| positive(value).map_err(|problem| format!("{key}: {problem}"))).transpose()
    }
}

/// A finite number above 0.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    number.filter(|number| number.is_finite() && *number > 0.0).ok_or_else(|| format!("`{text}` is no positive number"))
}

/// A finite number of at least 0.
pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    number
        .filter(|number| number.is_finite() && *number >= 0.0)
        .ok_or_else(|| format!("`{text}` is no number of at least 0"))
}

/// Tokens of an output where only the context is given: a quarter of it.
const OUTPUT_SHARE: u64 = 4;

/// `concurrency=50 context=4096 dtype=bf16`.
pub(super) fn target(text: &str) -> Result<Target, String> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    let pairs = Pairs::read(
        words,
        &[
            "concurrency",
            "rate",
            "peak",
            "context",
            "isl",
            "osl",
            "longest",
            "dtype",
            "kv",
            "success",
            "spare",
            "growth",
        ],
    )?;
    let (isl, osl, longest) = lengths(&pairs)?;
    let weights = match pairs.get("dtype") {
        None | Some("any") => None,
        Some(name) => Some(name.parse::<WeightFormat>().map_err(|_| {
            format!("the weight format `{name}` is not known: bf16, fp8, int8, awq, bnb4, nvfp4, mxfp4 or any")
        })?),
    };
    // Who asks for unquantised weights does not want a quantised cache either, unless it is said.
    let kv = match (pairs.get("kv"), weights) {
        (Some("any"), _) => None,
        (Some(name), _) => {
            Some(name.parse().map_err(|_| format!("the KV cache type `{name}` is not known: auto, fp8 or any"))?)
        }
        (None, Some(WeightFormat::Bits16)) => Some(sizing::KvDtype::Bits16),
        (None, _) => None,
    };
    let target = Target {
        demand: demand(&pairs)?,
        longest,
        success: pairs.positive("success")?.map_or(0.95, |percent| percent / 100.0),
        spare: pairs.parsed("spare")?.unwrap_or(0),
        growth: pairs.positive("growth")?.unwrap_or(1.0),
        weights,
        kv,
        ..Target::concurrency(1, isl, osl)
    };
    target.problem().map_or(Ok(target), |problem| Err(problem.to_owned()))
}

fn demand(pairs: &Pairs<'_>) -> Result<Demand, String> {
    match (pairs.parsed("concurrency")?, pairs.positive("rate")?) {
        (Some(_), Some(_)) => Err("concurrency and rate exclude each other".to_owned()),
        (Some(_), None) if pairs.get("peak").is_some() => {
            Err("peak goes with rate: a fixed concurrency has no hours".to_owned())
        }
        (Some(requests), None) => Ok(Demand::Concurrency(requests)),
        (None, Some(rate)) => Ok(Demand::Rate(match pairs.positive("peak")? {
            Some(peak) if !(1.0..=20.0).contains(&peak) => {
                return Err(format!("`peak={peak}`: the busiest hour has 1 to 20 times the mean"));
            }
            Some(peak) => Day::wave(rate, peak),
            None => Day::flat(rate),
        })),
        (None, None) => Err("there is no load: write concurrency=N or rate=REQUESTS_PER_SECOND".to_owned()),
    }
}

/// The longest request / the mean one, where only means are given: outputs of chat services have a 95th percentile near twice
/// their mean.
const LONGEST_TO_MEAN: u64 = 2;

/// Prompt, output and the longest request: a context is the longest, means leave room for longer ones.
fn lengths(pairs: &Pairs<'_>) -> Result<(u64, u64, u64), String> {
    let context: Option<u64> = pairs.parsed("context")?;
    let longest: Option<u64> = pairs.parsed("longest")?;
    let (isl, osl) = match (context, pairs.parsed("isl")?, pairs.parsed("osl")?) {
        (None, Some(isl), Some(osl)) => (isl, osl),
        (Some(context), None, None) if context >= 2 => {
            let osl = (context / OUTPUT_SHARE).max(1);
            (context - osl, osl)
        }
        (Some(context), Some(isl), None) if isl < context => (isl, context - isl),
        (Some(context), None, Some(osl)) if osl < context => (context - osl, osl),
        (Some(context), Some(isl), Some(osl)) if context >= u64::saturating_add(isl, osl) => (isl, osl),
        _ => return Err("the lengths are not clear: write context=TOKENS, or isl=TOKENS and osl=TOKENS".to_owned()),
    };
    let mean = u64::saturating_add(isl, osl);
    Ok((isl, osl, longest.or(context).unwrap_or_else(|| mean.saturating_mul(LONGEST_TO_MEAN))))
}

/// `gpu=RTX 3090,tp=1,dtype=bnb4`.
pub(super) fn system(text: &str) -> Result<System, String> {
    let pairs = Pairs::read(text.split(','), &["gpu", "tp", "dtype"])?;
    let weights =
        pairs.get("dtype").map(|name| name.parse().map_err(|_| format!("the weight format `{name}` is not known")));
    Ok(System {
        gpu: pairs.get("gpu").map(str::to_owned),
        tensor_parallel: pairs.parsed("tp")?,
        weights: weights.transpose()?,
    })
}

/// `ttft:500 tpot:50 e2el:8000`, in milliseconds, as `--goodput` is written.
pub(super) fn slo(text: &str) -> Result<Slo, String> {
    let limits = judge::limits(text)?;
    let planned = [Metric::Ttft, Metric::Tpot, Metric::E2el];
    if let Some((other, _)) = limits.iter().find(|(metric, _)| !planned.contains(metric)) {
        return Err(format!("`{other}` cannot be planned for: only ttft, tpot and e2el can"));
    }
    let [ttft_s, tpot_s, e2el_s] =
        planned.map(|metric| limits.get(metric).map(|ns| Duration::from_nanos(ns).as_secs_f64()));
    Ok(Slo { ttft_s, tpot_s, e2el_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_the_longest_request_and_bf16_is_unquantised() {
        let target = target("concurrency=50 context=4096 dtype=bf16").unwrap();
        assert_eq!(target, Target::concurrency(50, 3072, 1024).unquantised());
    }

    #[test]
    fn a_rate_has_a_day_and_lengths_as_they_come() {
        let target = target("rate=4,peak=2,isl=1000,osl=200,spare=1,growth=1.5,success=99").unwrap();
        let Demand::Rate(day) = &target.demand else {
            panic!("{target:?}");
        };
        assert!((day.peak() - 8.0).abs() < 1e-4 && (day.mean() - 4.0).abs() < 1e-9);
        assert_eq!((target.isl, target.osl, target.longest), (1000, 200, 2400));
        assert_eq!((target.spare, target.growth, target.success), (1, 1.5, 0.99));
        assert_eq!((target.weights, target.kv), (None, None));
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        for bad in [
            "",
            "context=4096",
            "concurrency=50",
            "concurrency=0 context=4096",
            "concurrency=50 rate=2 context=4096",
            "concurrency=50 peak=2 context=4096",
            "concurrency=50 context=4096 dtype=q5",
            "concurrency=50 context=4096 isl=9000",
            "concurrency=50 context=4096 speed=2",
            "concurrency=50 concurrency=5 context=4096",
            "rate=-1 isl=1 osl=1",
            "concurrency=50 context=4096 success=100",
        ] {
            assert!(target(bad).is_err(), "{bad}");
        }
        for bad in ["", "ttft", "itl:5", "ttfo:5", "ttft:0", "ttft:1 ttft:2"] {
            assert!(slo(bad).is_err(), "{bad}");
        }
        assert_eq!(slo("tpot:50").unwrap().tpot_s, Some(0.05));
        let system = system("gpu=RTX 3090,tp=2,dtype=bnb4").unwrap();
        assert_eq!(system.gpu.as_deref(), Some("RTX 3090"));
        assert_eq!((system.tensor_parallel, system.weights), (Some(2), Some(WeightFormat::Bnb4)));
    }
}
