//! Recorded traffic: when requests came and how long they were, in the formats of Mooncake and of Azure.
//!
//! Mooncake (JSON Lines: `timestamp` in milliseconds, `input_length`, `output_length`; Qin et al. 2024) and the Azure LLM
//! inference traces (CSV: `TIMESTAMP,ContextTokens,GeneratedTokens`; Patel et al. 2024). Only times and lengths are
//! replayed: prompts are made of words, and `hash_ids`, which say what prompts had in common, are not followed.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;

use crate::{PlanError, arrival::Arrivals};

/// One recorded request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceRequest {
    /// Since the first one.
    pub at: Duration,
    /// Tokens of the prompt.
    pub input_tokens: u32,
    /// Tokens of the answer.
    pub output_tokens: u32,
}

/// Recorded requests in the order of their arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// What it is called in records: the file's name.
    pub name: String,
    /// At least one.
    pub requests: Arc<[TraceRequest]>,
}

#[derive(Deserialize)]
struct Mooncake {
    timestamp: f64,
    input_length: u32,
    output_length: u32,
}

impl Trace {
    /// Reads `text`; its form is recognised by its beginning. `speed` 2 replays in half the time.
    ///
    /// # Errors
    /// [`PlanError::BadTrace`] with the line that cannot be used.
    pub fn parse(name: &str, text: &str, speed: f64) -> Result<Self, PlanError> {
        let bad = |reason: String| PlanError::BadTrace { name: name.to_owned(), reason };
        if !(speed.is_finite() && speed > 0.0) {
            return Err(bad("its speed is not above zero".to_owned()));
        }
        let text = text.trim_start_matches('\u{feff}').trim();
        let mut rows = if text.starts_with('{') { mooncake(text) } else { azure(text) }.map_err(bad)?;
        rows.retain(|row| row.output_tokens > 0);
        rows.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let first = rows.first().ok_or_else(|| bad("it holds no request".to_owned()))?.seconds;
        let request = |row: &Row| TraceRequest {
            at: Duration::try_from_secs_f64((row.seconds - first) / speed).unwrap_or(Duration::MAX),
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
        };
        Ok(Self { name: name.to_owned(), requests: rows.iter().map(request).collect() })
    }

    /// When its requests came.
    pub fn arrivals(&self) -> Arrivals {
        Arrivals::Recorded(self.requests.iter().map(|request| request.at).collect())
    }
}

struct Row {
    seconds: f64,
    input_tokens: u32,
    output_tokens: u32,
}

fn mooncake(text: &str) -> Result<Vec<Row>, String> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let line: Mooncake = serde_json::from_str(line).map_err(|e| format!("line {number}: {e}"))?;
            Ok(Row {
                seconds: line.timestamp / 1e3,
                input_tokens: line.input_length,
                output_tokens: line.output_length,
            })
        })
        .collect()
}

fn azure(text: &str) -> Result<Vec<Row>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns = reader.headers().map_err(|e| e.to_string())?.clone();
    let column = |name: &str| {
        let found = columns.iter().position(|c| c.trim().eq_ignore_ascii_case(name));
        found.ok_or_else(|| format!("its first line names no column {name}"))
    };
    let (time, input, output) = (column("TIMESTAMP")?, column("ContextTokens")?, column("GeneratedTokens")?);
    (2..)
        .zip(reader.records())
        .map(|(number, record)| {
            let record = record.map_err(|e| e.to_string())?;
            let field = |at: usize| record.get(at).unwrap_or_default().trim();
            let count = |at| field(at).parse().map_err(|e| format!("line {number}: {:?}: {e}", field(at)));
            let seconds = seconds(field(time));
            Ok(Row {
                seconds: seconds.ok_or_else(|| format!("line {number}: {:?} is no time", field(time)))?,
                input_tokens: count(input)?,
                output_tokens: count(output)?,
            })
        })
        .collect()
}

/// Seconds since 1970 of `2023-11-16 18:15:46.6805900`, with or without `+00:00`.
fn seconds(text: &str) -> Option<f64> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let time = time.trim_end_matches('Z').split('+').next()?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (time.next()?.parse::<u32>().ok()?, time.next()?.parse::<u32>().ok()?);
    let second: f64 = time.next()?.parse().ok()?;
    let within_day = f64::from(hour * 3600 + minute * 60) + second;
    Some(days(year, month, day) as f64 * 86_400.0 + within_day)
}

/// Days since 1970-01-01 of the Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, speed: f64) -> Vec<(u128, u32, u32)> {
        let trace = Trace::parse("t", text, speed).unwrap();
        let row = |r: &TraceRequest| (r.at.as_millis(), r.input_tokens, r.output_tokens);
        trace.requests.iter().map(row).collect()
    }

    #[test]
    fn both_formats_are_read() {
        // The first lines of the published conversation trace of Mooncake, hash_ids shortened.
        let mooncake = "{\"timestamp\": 27482, \"input_length\": 6955, \"output_length\": 52, \"hash_ids\": [46, 47]}\n\
                        {\"timestamp\": 30535, \"input_length\": 6472, \"output_length\": 26, \"hash_ids\": [46]}\n";
        assert_eq!(read(mooncake, 1.0), [(0, 6955, 52), (3053, 6472, 26)]);
        assert_eq!(read(mooncake, 2.0)[1].0, 1526);
        // The form of AzureLLMInferenceTrace_conv.csv, across midnight and a leap day, out of order, with an empty answer.
        let azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
                     2024-02-29 00:00:01.5000000,396,109\n\
                     2024-02-28 23:59:59.2500000,374,44\n\
                     2024-03-01 00:00:00.0000000+00:00,10,5\n\
                     2024-03-01 00:00:00.0000000,10,0\n";
        assert_eq!(read(azure, 1.0), [(0, 374, 44), (2_250, 396, 109), (86_400_750, 10, 5)]);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (text, reason) in [
            ("{\"timestamp\": 1}", "line 1"),
            ("a,b\n1,2", "no column TIMESTAMP"),
            ("TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,1,2", "line 2"),
            ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "no request"),
        ] {
            let error = Trace::parse("t", text, 1.0).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
        assert!(Trace::parse("t", "{\"timestamp\":1,\"input_length\":1,\"output_length\":1}", 0.0).is_err());
    }
}
