//! Figures as strings: one format in every language (1,234.5), units after a space, "—" for what is not known.
//!
//! Rounding is for reading only; `levels.csv` and the summary carry full precision.

use analysis::{Distribution, Estimate, RequestRate};

use crate::language::Language;

/// Stands for a figure that was not measured or that the sample does not support.
pub(crate) const ABSENT: &str = "—";

/// `value` with `decimals` places and a comma between thousands; [`ABSENT`] for what is no number.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return ABSENT.into();
    }
    let plain = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut text = String::new();
    if value < 0.0 && plain.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) {
        text.push('−');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// A count.
pub(crate) fn count(value: impl Into<u64>) -> String {
    number(value.into() as f64, 0)
}

/// One decimal below 1,000, none from there on: four figures that mean something.
pub(crate) fn figure(value: f64) -> String {
    number(value, usize::from(value.abs() < 999.95))
}

/// A figure that may be absent.
pub(crate) fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| ABSENT.into(), figure)
}

/// `7,089 (6,950–7,230)`.
pub(crate) fn estimate(value: Estimate) -> String {
    let text = figure(value.value);
    match interval(value) {
        Some(interval) => format!("{text} ({interval})"),
        None => text,
    }
}

/// `6,950–7,230`.
pub(crate) fn interval(value: Estimate) -> Option<String> {
    ends(value, figure)
}

/// The ends of an interval; none when rounding leaves nothing of it.
fn ends(value: Estimate, text: impl Fn(f64) -> String) -> Option<String> {
    let (low, high) = (text(value.low?), text(value.high?));
    (low != high).then(|| format!("{low}–{high}"))
}

/// The smallest and the largest of some figures, as one when they read the same.
pub(crate) fn range(values: impl Iterator<Item = f64> + Clone, text: impl Fn(f64) -> String) -> String {
    let Some(low) = values.clone().reduce(f64::min) else {
        return ABSENT.into();
    };
    let (low, high) = (text(low), text(values.fold(low, f64::max)));
    if low == high { low } else { format!("{low}–{high}") }
}

/// Such a range of shares of 0 to 1, in percent.
pub(crate) fn percent_range(shares: impl Iterator<Item = f64> + Clone) -> String {
    format!("{}%", range(shares, |share| number(share * 100.0, 1)))
}

/// The mean of a distribution with its interval.
pub(crate) fn mean(distribution: Option<Distribution>) -> String {
    distribution.map_or_else(|| ABSENT.into(), |d| estimate(d.mean))
}

/// The mean of a distribution alone.
pub(crate) fn mean_only(distribution: Option<Distribution>) -> String {
    maybe(distribution.map(|d| d.mean.value))
}

/// Requests per second that an open loop was to send; `2 → 8` for a ramp.
pub(crate) fn rate_planned(rate: Option<RequestRate>) -> String {
    let Some((from, rate)) = rate.and_then(|rate| Some((rate.planned_per_s?, rate))) else {
        return ABSENT.into();
    };
    match rate.planned_until_per_s {
        Some(to) => format!("{} → {}", per_second(from), per_second(to)),
        None => per_second(from),
    }
}

/// Requests per second that it sent.
pub(crate) fn rate_sent(rate: Option<RequestRate>) -> String {
    let sent = rate.and_then(|rate| rate.sent_per_s);
    sent.map_or_else(|| ABSENT.into(), per_second)
}

/// A rate: three figures from 1 on.
pub(crate) fn per_second(rate: f64) -> String {
    let decimals = match rate {
        r if r < 10.0 => 2,
        r if r < 100.0 => 1,
        _ => 0,
    };
    number(rate, decimals)
}

/// A share of 0 to 1 in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{}%", number(share * 100.0, 1))
}

/// A share with its interval in percent, the unit once.
pub(crate) fn percent_estimate(share: Estimate) -> String {
    let text = percent(share.value);
    match percent_interval(share) {
        Some(interval) => format!("{text} ({interval})"),
        None => text,
    }
}

/// Its interval in percent, without the unit.
pub(crate) fn percent_interval(share: Estimate) -> Option<String> {
    ends(share, |value| number(value * 100.0, 1))
}

/// Requests that fit, in whole ones: half a request is none.
pub(crate) fn held(requests: f64) -> String {
    number(requests.floor(), 0)
}

/// Requests that fit, to a tenth.
pub(crate) fn held_tenths(requests: f64) -> String {
    number(requests, 1)
}

/// A change from `from` to `to` in percent, with its sign.
pub(crate) fn change(from: f64, to: f64) -> String {
    let share = (to - from) / from * 100.0;
    let sign = if share > 0.0 { "+" } else { "" };
    format!("{sign}{}%", number(share, 1))
}

/// Bytes as GiB.
pub(crate) fn gib(bytes: u64) -> String {
    format!("{} GiB", number(bytes as f64 / f64::from(1 << 30), 2))
}

/// Bytes as MiB, a number alone.
pub(crate) fn mib(bytes: u64) -> String {
    number(bytes as f64 / f64::from(1 << 20), 0)
}

/// Decimal gigabytes.
pub(crate) fn gigabytes(gb: f64) -> String {
    let decimals = match gb {
        gb if gb < 1.0 => 2,
        gb => usize::from((gb - gb.round()).abs() > 0.05),
    };
    format!("{} GB", number(gb, decimals))
}

/// US dollars: whole from 100 on, cents below.
pub(crate) fn dollars(usd: f64) -> String {
    format!("${}", number(usd, if usd < 100.0 { 2 } else { 0 }))
}

/// The formats that do differ between languages: Korean writes its own unit of seconds, without a space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    second: &'static str,
}

impl Figures {
    pub(crate) fn of(language: Language) -> Self {
        Self {
            second: match language {
                Language::En => " s",
                Language::Ko => "초",
            },
        }
    }

    /// A time of so many milliseconds as a reader would say it: `440 ms`, `10.5 s`.
    pub(crate) fn time(self, ms: f64) -> String {
        if ms.abs() < 999.5 {
            format!("{} ms", number(ms, usize::from(ms.abs() < 99.95)))
        } else {
            self.seconds(ms / 1000.0)
        }
    }

    /// A time with its interval, the unit once: `7.09 s (6.95–7.23)`.
    pub(crate) fn time_estimate(self, ms: Estimate) -> String {
        let unit = |value: f64| {
            if ms.value.abs() < 999.5 {
                number(value, usize::from(ms.value.abs() < 99.95))
            } else {
                number(value / 1000.0, 2)
            }
        };
        let name = if ms.value.abs() < 999.5 { " ms" } else { self.second };
        match ends(ms, unit) {
            Some(ends) => format!("{}{name} ({ends})", unit(ms.value)),
            None if ms.low.is_none() => self.time(ms.value),
            None => format!("{}{name}", unit(ms.value)),
        }
    }

    /// A limit that someone set: no decimals that nobody wrote.
    pub(crate) fn limit(self, ms: f64) -> String {
        if ms < 1000.0 {
            format!("{} ms", number(ms, usize::from(ms.fract() > 0.0)))
        } else {
            self.whole_seconds(ms / 1000.0)
        }
    }

    /// Seconds as an axis marks them.
    pub(crate) fn whole_seconds(self, s: f64) -> String {
        format!("{}{}", number(s, usize::from(s.fract() > 0.0)), self.second)
    }

    /// Seconds.
    pub(crate) fn seconds(self, s: f64) -> String {
        format!("{}{}", number(s, 1), self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_the_reference_report_read_as_it_prints_them() {
        assert_eq!(figure(84.0), "84.0");
        assert_eq!(figure(1818.2), "1,818");
        assert_eq!(figure(23_398.0), "23,398");
        assert_eq!(count(28_064_u64), "28,064");
        assert_eq!(gib(11_038_359_552), "10.28 GiB");
        assert_eq!(percent(1.0), "100.0%");
        assert_eq!(dollars(30_000.0), "$30,000");
        assert_eq!(gigabytes(1.5), "1.5 GB");
        assert_eq!(gigabytes(0.0944), "0.09 GB");
        assert_eq!(gigabytes(102.0), "102 GB");
    }

    #[test]
    fn edges_of_rounding() {
        assert_eq!(figure(999.94), "999.9");
        assert_eq!(figure(999.96), "1,000");
        assert_eq!(number(-0.04, 1), "0.0");
        assert_eq!(number(-1234.5, 1), "−1,234.5");
        assert_eq!(number(f64::NAN, 1), ABSENT);
        assert_eq!(number(f64::INFINITY, 1), ABSENT);
        assert_eq!(change(55.6, 28.4), "−48.9%");
        assert_eq!(change(28.4, 55.6), "+95.8%");
    }

    #[test]
    fn ranges_have_their_unit_once_and_capacities_are_cut() {
        let hits = [0.246, 0.2, 0.215];
        assert_eq!(percent_range(hits.into_iter()), "20.0–24.6%");
        assert_eq!(percent_range([0.2, 0.2001].into_iter()), "20.0%");
        assert_eq!(range(std::iter::empty(), figure), ABSENT);
        assert_eq!((held(25.59), held_tenths(25.59)), ("25".into(), "25.6".into()));
    }

    #[test]
    fn an_interval_follows_its_figure() {
        let latency = Estimate { value: 7089.0, low: Some(6950.0), high: Some(7230.0) };
        assert_eq!(estimate(latency), "7,089 (6,950–7,230)");
        assert_eq!(Figures::of(Language::En).time_estimate(latency), "7.09 s (6.95–7.23)");
        let narrow = Estimate { low: Some(7088.9), high: Some(7089.2), ..latency };
        assert_eq!(estimate(narrow), "7,089");
        assert_eq!(Figures::of(Language::En).time_estimate(narrow), "7.09 s");
        assert_eq!(Figures::of(Language::En).limit(8000.0), "8 s");
        assert_eq!(Figures::of(Language::En).limit(2500.0), "2.5 s");
        assert_eq!(Figures::of(Language::Ko).time(10_459.0), "10.5초");
        assert_eq!(Figures::of(Language::En).time(439.7), "440 ms");
        assert_eq!(Figures::of(Language::En).time(84.04), "84.0 ms");
    }
}
