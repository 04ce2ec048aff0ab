//! Quantities that cannot be mixed up: bytes, bytes per second, tokens, blocks, money.
//!
//! Each type keeps one private base unit; the constructor and the reader name theirs. Memory is sold in decimal
//! gigabytes (10^9 B) and reported by engines in binary ones (GiB, 2^30 B): the 7 % between them is a whole card at scale.
//!
//! Arithmetic on [`Bytes`] saturates at 2^64 − 1, since block counts come from servers and may be nonsense.
//!
//! Bytes and tokens do not add up, and neither do they compare:
//!
//! ```compile_fail,E0308
//! let sum = sizing::Bytes::new(1) + sizing::Tokens::new(1);
//! ```
//!
//! ```compile_fail,E0308
//! let more = sizing::Tokens::new(2) > sizing::Blocks::new(1);
//! ```

use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const GIB: f64 = (1_u64 << 30) as f64;
const GB: f64 = 1e9;

/// An amount of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(u64);

impl Bytes {
    /// This many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// This many GiB (2^30 B), rounded down to whole bytes; 0 when negative or not a number.
    pub const fn from_gib(gib: f64) -> Self {
        Self(whole(gib * GIB))
    }

    /// This many GB (10^9 B), rounded down to whole bytes; 0 when negative or not a number.
    pub const fn from_gb(gb: f64) -> Self {
        Self(whole(gb * GB))
    }

    /// In bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// In GiB (2^30 B).
    pub fn as_gib(self) -> f64 {
        self.0 as f64 / GIB
    }

    /// In GB (10^9 B).
    pub fn as_gb(self) -> f64 {
        self.0 as f64 / GB
    }

    /// `factor` times as much.
    #[must_use]
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// A share of it, `share` from 0 to 1, rounded down.
    #[must_use]
    pub const fn share(self, share: f64) -> Self {
        Self(whole(self.0 as f64 * share))
    }

    /// One of `parts` equal parts, rounded up: what the fullest of them holds. `None` for no parts.
    pub const fn part_of(self, parts: u64) -> Option<Self> {
        match parts {
            0 => None,
            _ => Some(Self(self.0.div_ceil(parts))),
        }
    }

    /// What is left when `used` is taken away; `None` when there is not that much.
    pub const fn minus(self, used: Self) -> Option<Self> {
        match self.0.checked_sub(used.0) {
            Some(left) => Some(Self(left)),
            None => None,
        }
    }

    /// How many whole `unit`s fit in; `None` for an empty unit.
    pub const fn whole(self, unit: Self) -> Option<u64> {
        self.0.checked_div(unit.0)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which the constructors promise"
)]
const fn whole(bytes: f64) -> u64 {
    bytes as u64
}

impl Add for Bytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), Add::add)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1 << 30 => write!(f, "{:.2} GiB", self.as_gib()),
            bytes if bytes >= 1 << 20 => write!(f, "{:.2} MiB", bytes as f64 / 1024.0 / 1024.0),
            bytes if bytes >= 1 << 10 => write!(f, "{:.2} KiB", bytes as f64 / 1024.0),
            bytes => write!(f, "{bytes} B"),
        }
    }
}

/// An amount of memory as a log prints it: GiB with two decimals. The truth lies within half a hundredth of it.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct PrintedGib(f64);

impl PrintedGib {
    const HALF_A_STEP: f64 = 0.005;

    /// The figure as printed, in GiB.
    pub const fn new(gib: f64) -> Self {
        Self(gib)
    }

    /// The figure itself.
    pub const fn nominal(self) -> Bytes {
        Bytes::from_gib(self.0)
    }

    /// The least that is printed so.
    pub const fn low(self) -> Bytes {
        Bytes::from_gib(self.0 - Self::HALF_A_STEP)
    }

    /// The most that is printed so.
    pub const fn high(self) -> Bytes {
        Bytes::from_gib(self.0 + Self::HALF_A_STEP)
    }
}

/// A transfer rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BytesPerSecond(u64);

impl BytesPerSecond {
    /// This many GB/s (10^9 B/s).
    pub const fn from_gb_per_second(rate: f64) -> Self {
        Self(whole(rate * GB))
    }

    /// In bytes per second.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// In GB/s (10^9 B/s).
    pub fn as_gb_per_second(self) -> f64 {
        self.0 as f64 / GB
    }
}

impl fmt::Display for BytesPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} GB/s", self.as_gb_per_second())
    }
}

/// A number of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tokens(u64);

impl Tokens {
    /// This many tokens.
    pub const fn new(tokens: u64) -> Self {
        Self(tokens)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for Tokens {
    fn from(tokens: u64) -> Self {
        Self(tokens)
    }
}

/// As vLLM reads a number of tokens: `4096`, `32k` (thousands), `32K` (1,024s), `1.5M`.
impl FromStr for Tokens {
    type Err = NoTokens;

    fn from_str(text: &str) -> Result<Self, NoTokens> {
        let digits = text.trim_end_matches(['k', 'K', 'm', 'M']);
        let unit = match &text[digits.len()..] {
            "" => 1.0,
            "k" => 1e3,
            "K" => 1024.0,
            "m" => 1e6,
            "M" => 1024.0 * 1024.0,
            _ => return Err(NoTokens),
        };
        let tokens = digits.parse::<f64>().map_err(|_| NoTokens)? * unit;
        if tokens >= 1.0 && tokens.fract() == 0.0 && tokens < 1e15 { Ok(Self(whole(tokens))) } else { Err(NoTokens) }
    }
}

/// Text that is no number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a number of tokens of at least 1, such as 4096 or 32K")]
pub struct NoTokens;

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", Grouped(self.0))
    }
}

/// A number of blocks of the KV cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Blocks(u64);

impl Blocks {
    /// This many blocks.
    pub const fn new(blocks: u64) -> Self {
        Self(blocks)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} blocks", Grouped(self.0))
    }
}

/// A count with a comma after every third digit, as vLLM logs print them.
pub(crate) struct Grouped(pub(crate) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// An amount of US dollars.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Usd(f64);

impl Usd {
    /// This many dollars.
    pub const fn new(dollars: f64) -> Self {
        Self(dollars)
    }

    /// In dollars.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} USD", self.0)
    }
}

/// US dollars for every hour of use.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UsdPerHour(f64);

impl UsdPerHour {
    /// This many dollars an hour.
    pub const fn new(dollars: f64) -> Self {
        Self(dollars)
    }

    /// In dollars an hour.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for UsdPerHour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} USD/h", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definitions of the units: 1 GiB = 2^30 B, 1 GB = 10^9 B.
    #[test]
    fn binary_and_decimal_gigabytes_differ() {
        assert_eq!(Bytes::from_gib(1.0).get(), 1_073_741_824);
        assert_eq!(Bytes::from_gb(1.5).get(), 1_500_000_000);
        assert!((Bytes::from_gb(80.0).as_gib() - 74.505_806).abs() < 1e-6);
    }

    #[test]
    fn nonsense_memory_is_none_at_all() {
        assert_eq!(Bytes::from_gib(f64::NAN), Bytes::new(0));
        assert_eq!(Bytes::from_gib(-1.44), Bytes::new(0));
        assert_eq!(Bytes::new(1).minus(Bytes::new(2)), None);
        assert_eq!(Bytes::new(1).whole(Bytes::new(0)), None);
    }

    #[test]
    fn quantities_print_with_their_unit() {
        assert_eq!(Bytes::from_gib(10.28).to_string(), "10.28 GiB");
        assert_eq!(Bytes::new(1 << 20).to_string(), "1.00 MiB");
        assert_eq!(Tokens::new(28_064).to_string(), "28,064 tokens");
        assert_eq!(Tokens::new(999).to_string(), "999 tokens");
        let read = |text: &str| text.parse::<Tokens>().map(Tokens::get).ok();
        assert_eq!(["4096", "32k", "32K", "1.5M"].map(read), [4096, 32_000, 32_768, 3 << 19].map(Some));
        assert_eq!(["0", "-1", "1.5", "32KK", "k", ""].map(read), [None; 6]);
        assert_eq!(Blocks::new(2_042_016).to_string(), "2,042,016 blocks");
        assert_eq!(BytesPerSecond::from_gb_per_second(936.0).to_string(), "936 GB/s");
    }

    #[test]
    fn two_decimals_leave_an_interval() {
        let printed = PrintedGib::new(10.28);
        assert!(printed.low() < printed.nominal() && printed.nominal() < printed.high());
        assert_eq!(printed.low(), Bytes::from_gib(10.275));
    }
}
