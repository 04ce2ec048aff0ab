//! Bad days of a server, on order: what goes wrong, when, and how often.
//!
//! Pure: a rule is read from text, and whether it strikes a request is a function of the seed, the number of the request and the place of
//! the rule, so a run can be had again. What a fault does to sockets and bytes is in `generate`, `connection` and `stream`.
//!
//! A rule reads `NAME[=VALUE][,KEY=VALUE]…[@PROBABILITY]`; see [`Fault`] for the names. Several may strike one request.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::sequence::mix;

/// What goes wrong. `after` counts output tokens of the first choice; `0` is before the first.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// `refuse`: always (probability 1), nobody listens at the address; sometimes, the connection is reset as soon as it is accepted.
    Refuse,
    /// `delay-accept=200ms`: a connection is served only after this time.
    DelayAccept(Duration),
    /// `reset-before-head`: the connection is reset once the request is read.
    ResetBeforeHead,
    /// `reset-after-head[,after=N]`: the connection is reset when the head and N tokens are sent.
    ResetAfterHead {
        /// Tokens before it.
        after: u32,
    },
    /// `status=429[,retry-after=2]`: this status, with or without `Retry-After` (seconds), instead of service.
    Status {
        /// From 400 to 599.
        code: u16,
        /// Seconds.
        retry_after: Option<u32>,
    },
    /// `stall=5s[,after=N]`: nothing is sent for this time, then it goes on.
    Stall {
        /// Tokens before it.
        after: u32,
        /// How long.
        time: Duration,
    },
    /// `cut[,after=N]`: the connection is closed, without reset, in the middle of the body.
    Cut {
        /// Tokens before it.
        after: u32,
    },
    /// `error-in-200[,after=N]`: an error as JSON where the rest of the answer should be, then `[DONE]`.
    ErrorIn200 {
        /// Tokens before it.
        after: u32,
    },
    /// `malformed[,after=N]`: an event whose JSON breaks off, in between.
    Malformed {
        /// Tokens before it.
        after: u32,
    },
    /// `giant=1048576[,after=N]`: the text of one token is padded to so many bytes.
    Giant {
        /// Tokens before it.
        after: u32,
        /// Bytes of text.
        bytes: u32,
    },
    /// `drip=16[,every=20ms]`: so many bytes at a time, with a pause after each.
    Drip {
        /// At a time.
        bytes: u32,
        /// The pause.
        every: Duration,
    },
    /// `no-usage`: no token counts, asked for or not.
    NoUsage,
    /// `duplicate-usage`: the chunk with the token counts comes twice.
    DuplicateUsage,
    /// `wrong-counts=3`: so many completion tokens more, or fewer, than were sent.
    WrongCounts {
        /// What is added.
        by: i32,
    },
    /// `crlf`: lines of the stream end in CR LF.
    Crlf,
    /// `tokens-per-chunk=4`: so many tokens wait for each other and come as one chunk.
    TokensPerChunk(u32),
}

/// A fault and how often it strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultRule {
    /// What goes wrong.
    pub fault: Fault,
    /// Share of requests, or of connections, 0 to 1.
    pub probability: f64,
}

impl From<Fault> for FaultRule {
    /// Strikes always.
    fn from(fault: Fault) -> Self {
        Self { fault, probability: 1.0 }
    }
}

/// Why a text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no fault: {problem}\nhint: NAME[=VALUE][,KEY=VALUE]…[@PROBABILITY], such as stall=5s,after=10@0.1; names: {names}", names = NAMES.join(", "))]
pub struct FaultError {
    text: String,
    problem: String,
}

/// Names of all faults, for the hint; the test of the round trip compares them with [`Fault::name`].
const NAMES: [&str; 16] = [
    "refuse",
    "delay-accept",
    "reset-before-head",
    "reset-after-head",
    "status",
    "stall",
    "cut",
    "error-in-200",
    "malformed",
    "giant",
    "drip",
    "no-usage",
    "duplicate-usage",
    "wrong-counts",
    "crlf",
    "tokens-per-chunk",
];

impl Fault {
    /// Its name in a rule.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::DelayAccept(_) => "delay-accept",
            Self::ResetBeforeHead => "reset-before-head",
            Self::ResetAfterHead { .. } => "reset-after-head",
            Self::Status { .. } => "status",
            Self::Stall { .. } => "stall",
            Self::Cut { .. } => "cut",
            Self::ErrorIn200 { .. } => "error-in-200",
            Self::Malformed { .. } => "malformed",
            Self::Giant { .. } => "giant",
            Self::Drip { .. } => "drip",
            Self::NoUsage => "no-usage",
            Self::DuplicateUsage => "duplicate-usage",
            Self::WrongCounts { .. } => "wrong-counts",
            Self::Crlf => "crlf",
            Self::TokensPerChunk(_) => "tokens-per-chunk",
        }
    }

    /// Whether it befalls a connection, before there is a request.
    pub(crate) fn is_of_connection(&self) -> bool {
        matches!(self, Self::Refuse | Self::DelayAccept(_))
    }
}

impl FromStr for FaultRule {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        parse(text.trim()).map_err(|problem| FaultError { text: text.trim().to_owned(), problem })
    }
}

impl fmt::Display for FaultRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.fault.name())?;
        let ms = Duration::as_millis;
        match self.fault {
            Fault::DelayAccept(time) => write!(f, "={}ms", ms(&time))?,
            Fault::Status { code, retry_after } => {
                write!(f, "={code}")?;
                if let Some(seconds) = retry_after {
                    write!(f, ",retry-after={seconds}")?;
                }
            }
            Fault::Stall { after, time } => write!(f, "={}ms,after={after}", ms(&time))?,
            Fault::Giant { after, bytes } => write!(f, "={bytes},after={after}")?,
            Fault::Drip { bytes, every } => write!(f, "={bytes},every={}ms", ms(&every))?,
            Fault::WrongCounts { by } => write!(f, "={by}")?,
            Fault::TokensPerChunk(tokens) => write!(f, "={tokens}")?,
            Fault::ResetAfterHead { after }
            | Fault::Cut { after }
            | Fault::ErrorIn200 { after }
            | Fault::Malformed { after } => write!(f, ",after={after}")?,
            _ => {}
        }
        write!(f, "@{}", self.probability)
    }
}

/// What is between the name and the probability.
struct Arguments<'a> {
    value: Option<&'a str>,
    keys: Vec<(&'a str, &'a str)>,
}

impl<'a> Arguments<'a> {
    fn value<T>(&mut self, default: Option<T>, read: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        match self.value.take() {
            None => default.ok_or_else(|| "it needs a value".to_owned()),
            Some(text) => read(text).ok_or_else(|| format!("`{text}` makes no sense here")),
        }
    }

    fn key<T>(&mut self, name: &'a str, default: T, read: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        match self.keys.iter().position(|(key, _)| *key == name) {
            None => Ok(default),
            Some(index) => {
                let (_, text) = self.keys.swap_remove(index);
                read(text).ok_or_else(|| format!("`{name}={text}` makes no sense"))
            }
        }
    }

    fn nothing_left(&self) -> Result<(), String> {
        match (self.value, self.keys.first()) {
            (Some(value), _) => Err(format!("it takes no value `{value}`")),
            (None, Some((key, _))) => Err(format!("it takes no `{key}`")),
            (None, None) => Ok(()),
        }
    }
}

fn parse(text: &str) -> Result<FaultRule, String> {
    let (rule, probability) = match text.rsplit_once('@') {
        None => (text, 1.0),
        Some((rule, probability)) => {
            let number = probability.parse().ok();
            let inside = number.filter(|p| (0.0..=1.0).contains(p));
            (rule, inside.ok_or("the probability must lie between 0 and 1")?)
        }
    };
    let mut parts = rule.split(',').map(str::trim);
    let (name, value) = split_pair(parts.next().unwrap_or_default());
    let mut arguments = Arguments {
        value,
        keys: parts
            .map(|part| match split_pair(part) {
                (key, Some(value)) => Ok((key, value)),
                (key, None) => Err(format!("`{key}` needs a value")),
            })
            .collect::<Result<_, _>>()?,
    };
    let fault = fault(name, &mut arguments)?;
    arguments.nothing_left()?;
    Ok(FaultRule { fault, probability })
}

fn fault(name: &str, arguments: &mut Arguments<'_>) -> Result<Fault, String> {
    let positive = |text: &str| text.parse().ok().filter(|&count: &u32| count > 0);
    let after = |arguments: &mut Arguments<'_>, default| arguments.key("after", default, |text| text.parse().ok());
    Ok(match name {
        "refuse" => Fault::Refuse,
        "delay-accept" => Fault::DelayAccept(arguments.value(None, duration)?),
        "reset-before-head" => Fault::ResetBeforeHead,
        "reset-after-head" => Fault::ResetAfterHead { after: after(arguments, 0)? },
        "status" => Fault::Status {
            code: arguments.value(None, |text| text.parse().ok().filter(|code| (400..600).contains(code)))?,
            retry_after: arguments.key("retry-after", None, |text| text.parse().ok().map(Some))?,
        },
        "stall" => Fault::Stall { time: arguments.value(None, duration)?, after: after(arguments, 1)? },
        "cut" => Fault::Cut { after: after(arguments, 1)? },
        "error-in-200" => Fault::ErrorIn200 { after: after(arguments, 0)? },
        "malformed" => Fault::Malformed { after: after(arguments, 1)? },
        "giant" => Fault::Giant {
            bytes: arguments.value(Some(1 << 20), |text| positive(text).filter(|&bytes| bytes <= 64 << 20))?,
            after: after(arguments, 1)?,
        },
        "drip" => Fault::Drip {
            bytes: arguments.value(Some(16), positive)?,
            every: arguments.key("every", Duration::from_millis(20), duration)?,
        },
        "no-usage" => Fault::NoUsage,
        "duplicate-usage" => Fault::DuplicateUsage,
        "wrong-counts" => {
            Fault::WrongCounts { by: arguments.value(Some(1), |text| text.parse().ok().filter(|&by| by != 0))? }
        }
        "crlf" => Fault::Crlf,
        "tokens-per-chunk" => Fault::TokensPerChunk(arguments.value(Some(4), positive)?),
        _ => return Err("there is none of that name".to_owned()),
    })
}

fn split_pair(text: &str) -> (&str, Option<&str>) {
    match text.split_once('=') {
        Some((key, value)) => (key.trim(), Some(value.trim())),
        None => (text.trim(), None),
    }
}

/// `200ms`, `1.5s`; a bare number is seconds.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds: f64 = number.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds * unit).ok()
}

/// All the rules of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultPlan {
    rules: Vec<FaultRule>,
    seed: u64,
}

impl FaultPlan {
    pub(crate) fn new(rules: Vec<FaultRule>, seed: u64) -> Self {
        Self { rules, seed }
    }

    pub(crate) fn rules(&self) -> &[FaultRule] {
        &self.rules
    }

    /// Whether nobody is to listen at all.
    pub(crate) fn refuses_always(&self) -> bool {
        self.rules.iter().any(|rule| rule.fault == Fault::Refuse && rule.probability >= 1.0)
    }

    /// Faults of connection number `number`.
    pub(crate) fn of_connection(&self, number: u64) -> Vec<Fault> {
        self.struck(&self.rules, number, true)
    }

    /// Faults of request number `number`, those that it asks for by itself included.
    pub(crate) fn of_request(&self, number: u64, asked: &[FaultRule]) -> Vec<Fault> {
        if self.rules.is_empty() && asked.is_empty() {
            return Vec::new();
        }
        let mut struck = self.struck(&self.rules, number, false);
        struck.extend(self.struck(asked, number, false));
        struck
    }

    fn struck(&self, rules: &[FaultRule], number: u64, of_connection: bool) -> Vec<Fault> {
        (0u64..)
            .zip(rules)
            .filter(|(_, rule)| rule.fault.is_of_connection() == of_connection)
            .filter(|(place, rule)| {
                let draw = mix(mix(mix(0, self.seed), number), *place);
                ((draw >> 11) as f64) < rule.probability * (1u64 << 53) as f64
            })
            .map(|(_, rule)| rule.fault)
            .collect()
    }
}

/// Reads the header of a request: rules with `;` between them.
pub(crate) fn from_header(text: &str) -> Result<Vec<FaultRule>, FaultError> {
    let rules: Vec<FaultRule> =
        text.split(';').filter(|part| !part.trim().is_empty()).map(str::parse).collect::<Result<_, _>>()?;
    match rules.iter().find(|rule| rule.fault.is_of_connection()) {
        None => Ok(rules),
        Some(rule) => Err(FaultError {
            text: rule.to_string(),
            problem: "a request cannot ask for it, its connection is there already".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_and_written() {
        let mut seen = std::collections::BTreeSet::new();
        for text in [
            "refuse@0.5",
            "delay-accept=200ms@1",
            "reset-before-head@1",
            "reset-after-head,after=3@1",
            "status=429@0.25",
            "status=503,retry-after=7@1",
            "stall=5000ms,after=10@0.1",
            "cut,after=2@1",
            "error-in-200,after=0@1",
            "malformed,after=1@1",
            "giant=100,after=1@1",
            "drip=16,every=20ms@1",
            "no-usage@1",
            "duplicate-usage@1",
            "wrong-counts=-3@1",
            "crlf@1",
            "tokens-per-chunk=4@1",
        ] {
            let rule: FaultRule = text.parse().unwrap();
            assert_eq!(rule.to_string(), text);
            seen.insert(rule.fault.name());
        }
        assert_eq!(seen, NAMES.into());
        let stall: FaultRule = "stall=1.5s".parse().unwrap();
        let time = Duration::from_millis(1500);
        assert_eq!(stall, Fault::Stall { after: 1, time }.into());
    }

    #[test]
    fn nonsense_is_refused_with_what_is_wrong() {
        for (text, names) in [
            ("stal=5s", "none of that name"),
            ("stall", "needs a value"),
            ("stall=soon", "`soon`"),
            ("stall=5s,afer=1", "`afer`"),
            ("cut=5", "no value `5`"),
            ("cut,after", "`after` needs a value"),
            ("cut@1.5", "between 0 and 1"),
            ("status=200", "`200`"),
            ("tokens-per-chunk=0", "`0`"),
            ("", "none of that name"),
        ] {
            let error = text.parse::<FaultRule>().unwrap_err().to_string();
            assert!(error.contains(names), "{text}: {error}");
        }
        assert!(from_header("crlf; refuse").is_err());
        assert_eq!(from_header("crlf; cut ;").unwrap().len(), 2);
    }

    #[test]
    fn a_rule_strikes_its_share_and_the_same_ones_again() {
        let rules = vec!["cut@0.1".parse().unwrap(), "crlf@0.5".parse().unwrap()];
        let plan = FaultPlan::new(rules.clone(), 9);
        let struck: Vec<Vec<Fault>> = (0..20_000).map(|n| plan.of_request(n, &[])).collect();
        let again = FaultPlan::new(rules, 9);
        assert!((0..20_000).all(|n| again.of_request(n, &[]) == struck[usize::try_from(n).unwrap()]));
        let share = |name| {
            let has = |faults: &&Vec<Fault>| faults.iter().any(|fault| fault.name() == name);
            struck.iter().filter(has).count() as f64 / 20_000.0
        };
        // Four standard errors: 4·sqrt(.1·.9/20000) = 0.0085 and 4·sqrt(.25/20000) = 0.0141; independent: .05 together, 0.0062.
        assert!((share("cut") - 0.1).abs() < 0.0085);
        assert!((share("crlf") - 0.5).abs() < 0.0141);
        let both = struck.iter().filter(|faults| faults.len() == 2).count();
        assert!((both as f64 / 20_000.0 - 0.05).abs() < 0.0062);
    }
}
