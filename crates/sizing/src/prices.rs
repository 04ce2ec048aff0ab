//! What GPUs cost, by whose word and when.
//!
//! Prices age faster than anything else here, so they live in a TOML file that the user can replace. The file holds dated
//! sets; of several that know a price the first counts. An unknown price is unknown, never 0.
//!
//! ```
//! let prices = sizing::Prices::from_toml(r#"
//!     [[set]]
//!     name = "our vendor"
//!     date = "2026-11-01"
//!     source = "offer 4711"
//!     purchase = [{ gpu = "L40S", cards = 2, usd = 15000 }]
//! "#)?;
//! let four = prices.purchase("L40S", 4).expect("in the file");
//! assert_eq!((four.price.get(), four.date), (30_000.0, "2026-11-01"));
//! assert!(prices.rent("L40S", 4, 1).is_none());
//! # Ok::<(), sizing::prices::PriceError>(())
//! ```

use std::sync::LazyLock;

use serde::Deserialize;

use crate::{Usd, UsdPerHour, catalogue};

/// Dated sets of prices.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices {
    sets: Vec<PriceSet>,
}

/// Prices of one source and day.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSet {
    /// Name, such as `reference report 2025-11-26`.
    pub name: String,
    /// The day of the prices.
    pub date: String,
    /// Who says so.
    pub source: String,
    /// To buy.
    #[serde(default)]
    pub purchase: Vec<Purchase>,
    /// To rent.
    #[serde(default)]
    pub cloud: Vec<Rent>,
}

/// What some cards cost to buy.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purchase {
    /// GPU, as the catalogue names it.
    pub gpu: String,
    /// How many the price is for.
    pub cards: u32,
    /// Price of all of them.
    pub usd: Usd,
}

/// What an instance costs to rent.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rent {
    /// GPU, as the catalogue names it.
    pub gpu: String,
    /// Cards of the instance.
    pub cards: u32,
    /// Price of an hour of the whole instance.
    pub usd_per_hour: UsdPerHour,
    /// Name of the instance.
    #[serde(default)]
    pub offer: Option<String>,
    /// The most cards that one instance may have at this price for each; the number of `cards` where it is absent.
    #[serde(default)]
    pub up_to: Option<u32>,
}

/// A price with its origin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quote<'a, P> {
    /// The price of all cards asked for.
    pub price: P,
    /// Name of the set.
    pub set: &'a str,
    /// Its day.
    pub date: &'a str,
    /// Who says so.
    pub source: &'a str,
    /// Name of the instance, where one is rented.
    pub offer: Option<&'a str>,
}

impl<'a, P> Quote<'a, P> {
    fn new(price: P, set: &'a PriceSet, offer: Option<&'a str>) -> Self {
        Self { price, set: &set.name, date: &set.date, source: &set.source, offer }
    }
}

/// What is rented so that every replica has its cards in one machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rented<'a> {
    /// The price of an hour of all of it.
    pub quote: Quote<'a, UsdPerHour>,
    /// Instances.
    pub instances: u32,
    /// Cards of each.
    pub cards: u32,
}

static BUILTIN: LazyLock<Prices> = LazyLock::new(|| {
    Prices::from_toml(include_str!("../catalogue/prices.toml")).expect("the embedded prices are read by a test")
});

impl Prices {
    /// The prices that come with the crate, from `catalogue/prices.toml`.
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// Reads sets of prices, in order of preference.
    ///
    /// # Errors
    /// [`PriceError`] when the text is not such a file, names a GPU that the catalogue does not know, or holds a price or
    /// a number of cards that is not positive.
    pub fn from_toml(text: &str) -> Result<Self, PriceError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            set: Vec<PriceSet>,
        }
        let File { mut set } = toml::from_str(text).map_err(Box::new)?;
        for set in &mut set {
            for entry in &mut set.purchase {
                entry.gpu = checked(&entry.gpu, entry.cards, entry.usd.get())?;
            }
            for entry in &mut set.cloud {
                entry.gpu = checked(&entry.gpu, entry.cards, entry.usd_per_hour.get())?;
            }
        }
        Ok(Self { sets: set })
    }

    /// The sets, in order of preference.
    pub fn sets(&self) -> &[PriceSet] {
        &self.sets
    }

    /// What `cards` of a GPU cost to buy, each at the price of the known bundle.
    pub fn purchase(&self, gpu: &str, cards: u32) -> Option<Quote<'_, Usd>> {
        self.sets.iter().find_map(|set| {
            let entry = set.purchase.iter().find(|entry| entry.gpu == gpu)?;
            let each = entry.usd.get() / f64::from(entry.cards);
            let price = Usd::new(each * f64::from(cards));
            Some(Quote::new(price, set, None))
        })
    }

    /// The least dear way to rent `replicas` of `cards` each, over all sets: in whole instances that exist, no replica over
    /// two of them.
    pub fn rent(&self, gpu: &str, cards: u32, replicas: u32) -> Option<Rented<'_>> {
        let cards = cards.max(1);
        let entries = self.sets.iter().flat_map(|set| set.cloud.iter().map(move |entry| (set, entry)));
        let offers = entries.filter(|(_, entry)| entry.gpu == gpu).filter_map(|(set, entry)| {
            let (units, instances) = entry.instances(cards, replicas)?;
            let price = UsdPerHour::new(entry.usd_per_hour.get() * f64::from(units));
            let quote = Quote::new(price, set, entry.offer.as_deref());
            Some(Rented { quote, instances, cards: units.saturating_mul(entry.cards) / instances.max(1) })
        });
        offers.min_by(|a, b| a.quote.price.get().total_cmp(&b.quote.price.get()))
    }
}

impl Rent {
    /// Times the price, and instances, for so many replicas; `None` when no instance has the cards of one.
    fn instances(&self, cards: u32, replicas: u32) -> Option<(u32, u32)> {
        match self.up_to {
            // Sized to the replica.
            Some(up_to) if cards <= up_to => Some((cards.div_ceil(self.cards).saturating_mul(replicas), replicas)),
            Some(_) => None,
            None => match self.cards / cards {
                0 => None,
                each => Some((replicas.div_ceil(each), replicas.div_ceil(each))),
            },
        }
    }
}

/// The catalogue's name of the GPU, if the entry can be true.
fn checked(gpu: &str, cards: u32, usd: f64) -> Result<String, PriceError> {
    if cards == 0 || !usd.is_finite() || usd <= 0.0 {
        return Err(PriceError::NotPositive { gpu: gpu.to_owned() });
    }
    Ok(catalogue::gpu(gpu)?.name.clone())
}

/// Why a price file is not usable.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// Not a price file.
    #[error("not a price file: {0}\nhint: start from the crate's catalogue/prices.toml")]
    Toml(#[from] Box<toml::de::Error>),
    /// A GPU that the catalogue does not know.
    #[error(transparent)]
    UnknownGpu(#[from] catalogue::UnknownName),
    /// A price or a number of cards that is not positive.
    #[error("a price of {gpu} is not positive\nhint: leave unknown prices out")]
    NotPositive {
        /// The GPU.
        gpu: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(entry: &str) -> Result<Prices, PriceError> {
        Prices::from_toml(&format!("[[set]]\nname = 'a'\ndate = '2026-01-01'\nsource = 'b'\n{entry}"))
    }

    #[test]
    fn a_price_that_cannot_be_true_is_refused() {
        let zero = set("purchase = [{ gpu = 'L4', cards = 1, usd = 0 }]");
        assert!(matches!(zero, Err(PriceError::NotPositive { .. })));
        let none = set("cloud = [{ gpu = 'L4', cards = 0, usd_per_hour = 1 }]");
        assert!(matches!(none, Err(PriceError::NotPositive { .. })));
        let typo = set("purchase = [{ gpu = 'L5', cards = 1, usd = 9 }]");
        assert!(matches!(typo, Err(PriceError::UnknownGpu(_))));
        assert!(matches!(set("purchases = []"), Err(PriceError::Toml(_))));
    }

    /// Two replicas of four cards fill one instance of eight; one of two cards takes a pod of two, which may have as many as
    /// four; one-card instances make no replica of two; none has sixteen.
    #[test]
    fn renting_takes_the_least_dear_instances_that_exist() {
        let prices = set(
            "cloud = [{ gpu = 'L40S', cards = 8, usd_per_hour = 10, offer = 'eight' }, { gpu = 'L40S', cards = 1, usd_per_hour = 2, offer = 'pod', up_to = 4 }, { gpu = 'A100 40GB', cards = 8, usd_per_hour = 32 }, { gpu = 'L4', cards = 1, usd_per_hour = 1 }]",
        )
        .unwrap();
        let rented = |gpu, cards, replicas| {
            let rented = prices.rent(gpu, cards, replicas)?;
            Some((rented.quote.price.get(), rented.instances, rented.cards))
        };
        assert_eq!(rented("L40S", 4, 2), Some((10.0, 1, 8)));
        assert_eq!(rented("L40S", 2, 1), Some((4.0, 1, 2)));
        assert_eq!(rented("L40S", 2, 2), Some((8.0, 2, 2)));
        assert_eq!(rented("A100 40GB", 2, 1), Some((32.0, 1, 8)));
        assert_eq!(rented("A100 40GB", 8, 3), Some((96.0, 3, 8)));
        assert_eq!(rented("A100 40GB", 16, 1), None);
        assert_eq!((rented("L4", 1, 3), rented("L4", 2, 1)), (Some((3.0, 3, 1)), None));
        assert_eq!(rented("T4", 1, 1), None);
    }
}
