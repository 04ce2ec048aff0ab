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
//! assert!(prices.cloud("L40S", 4).is_none());
//! # Ok::<(), sizing::prices::PriceError>(())
//! ```

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
}

impl Prices {
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

    /// What `cards` of a GPU cost an hour, in whole instances of that GPU: an instance of eight answers for no fewer.
    pub fn cloud(&self, gpu: &str, cards: u32) -> Option<Quote<'_, UsdPerHour>> {
        self.sets.iter().find_map(|set| {
            let fits = |entry: &&Rent| entry.gpu == gpu && cards.is_multiple_of(entry.cards);
            let entry = set.cloud.iter().find(fits)?;
            let instances = f64::from(cards / entry.cards);
            let price = UsdPerHour::new(entry.usd_per_hour.get() * instances);
            Some(Quote::new(price, set, entry.offer.as_deref()))
        })
    }

    /// The least dear way to rent `replicas` of `cards` each, over all sets: in whole instances, no replica over two of them. An
    /// instance of one card counts as a price for each card, in any number that a replica needs.
    pub fn rent(&self, gpu: &str, cards: u32, replicas: u32) -> Option<Rented<'_>> {
        let cards = cards.max(1);
        let entries = self.sets.iter().flat_map(|set| set.cloud.iter().map(move |entry| (set, entry)));
        let offers = entries.filter(|(_, entry)| entry.gpu == gpu).filter_map(|(set, entry)| {
            let instances = match entry.cards / cards {
                _ if entry.cards == 1 => cards.saturating_mul(replicas),
                0 => return None,
                each => replicas.div_ceil(each),
            };
            let price = UsdPerHour::new(entry.usd_per_hour.get() * f64::from(instances));
            let quote = Quote::new(price, set, entry.offer.as_deref());
            Some(Rented { quote, instances })
        });
        offers.min_by(|a, b| a.quote.price.get().total_cmp(&b.quote.price.get()))
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

    /// Two replicas of four cards fill one instance of eight; one of two cards leaves six idle; a card at a time is dearer for
    /// eight and cheaper for two; no instance of one machine has sixteen.
    #[test]
    fn renting_takes_the_least_dear_whole_instances() {
        let prices = set(
            "cloud = [{ gpu = 'L40S', cards = 8, usd_per_hour = 10, offer = 'eight' }, { gpu = 'L40S', cards = 1, usd_per_hour = 2, offer = 'one' }, { gpu = 'A100 40GB', cards = 8, usd_per_hour = 32 }]",
        )
        .unwrap();
        let rented = |gpu, cards, replicas| {
            let rented = prices.rent(gpu, cards, replicas)?;
            Some((rented.quote.price.get(), rented.instances))
        };
        assert_eq!(rented("L40S", 4, 2), Some((10.0, 1)));
        assert_eq!(rented("L40S", 2, 1), Some((4.0, 2)));
        assert_eq!(rented("A100 40GB", 2, 1), Some((32.0, 1)));
        assert_eq!(rented("A100 40GB", 8, 3), Some((96.0, 3)));
        assert_eq!(rented("A100 40GB", 16, 1), None);
        assert_eq!(rented("L4", 1, 1), None);
    }

    #[test]
    fn whole_instances_only() {
        let prices = set("cloud = [{ gpu = 'A100 40GB', cards = 8, usd_per_hour = 32 }]").unwrap();
        assert!(prices.cloud("A100 40GB", 4).is_none());
        assert_eq!(prices.cloud("A100 40GB", 16).unwrap().price, UsdPerHour::new(64.0));
    }
}
