//! What a choice costs: to buy, to rent, an hour, a million tokens, in joules.

use super::Question;
use super::answer::CARDS_PER_HOST;
pub(super) use super::answer::Cost;
use super::answer::{Choice, Price};
use crate::GpuSpec;
use crate::performance::Interval;

const HOURS_PER_YEAR: f64 = 8766.0;

pub(super) fn of(question: &Question<'_>, gpu: &GpuSpec, choice: &Choice) -> Cost {
    let cards = choice.cards();
    let money = question.money;
    let purchase = question.prices.purchase(&gpu.name, cards).map(|quote| Price {
        usd: quote.price.get(),
        date: quote.date.to_owned(),
        source: quote.source.to_owned(),
        offer: None,
    });
    let replicas = choice.replicas.saturating_add(choice.spare);
    let rented = question.prices.rent(&gpu.name, choice.tensor_parallel, replicas);
    let cloud_per_hour = rented.map(|rented| Price {
        usd: rented.quote.price.get(),
        date: rented.quote.date.to_owned(),
        source: rented.quote.source.to_owned(),
        offer: rented.quote.offer.map(|offer| match rented.instances {
            1 => offer.to_owned(),
            several => format!("{several}× {offer}"),
        }),
    });
    let kilowatts = gpu.power_w.as_ref().map(|power| power.value * f64::from(cards) / 1e3);
    let power_per_hour = money.usd_per_kwh.zip(kilowatts).map(|(usd, kilowatts)| usd * kilowatts * money.pue);
    let hours = money.years * HOURS_PER_YEAR;
    let hosts = money.host_usd * f64::from(hosts(choice));
    let capital = purchase.as_ref().map(|price| price.usd + hosts);
    let owned = capital.map(|usd| usd / hours + power_per_hour.unwrap_or(0.0));
    let rent = cloud_per_hour.as_ref().map(|price| price.usd);
    let saved = rent.map(|rent| rent - power_per_hour.unwrap_or(0.0));
    let break_even_hours = capital.zip(saved.filter(|saved| *saved > 0.0)).map(|(capital, saved)| capital / saved);
    let tokens = choice.speed.map(|speed| speed.output_tokens_per_second);
    let per_million = |usd: Option<f64>| {
        let (usd, tokens) = usd.zip(tokens)?;
        let at = |rate: f64| usd / (rate * 3600.0) * 1e6;
        Some(Interval { low: at(tokens.high), likely: at(tokens.likely), high: at(tokens.low) })
    };
    Cost {
        cloud_usd_per_million: per_million(rent),
        owned_usd_per_million: per_million(owned),
        hosts_usd: purchase.as_ref().map(|_| hosts),
        purchase,
        cloud_per_hour,
        owned_usd_per_hour: owned,
        break_even_hours,
        break_even_utilisation: break_even_hours.map(|even| even / hours),
        joules_per_token_at_most: kilowatts.zip(tokens).map(|(kilowatts, tokens)| kilowatts * 1e3 / tokens.likely),
    }
}

/// Machines for the cards, no replica over two of them.
fn hosts(choice: &Choice) -> u32 {
    let replicas = choice.replicas.saturating_add(choice.spare);
    let each = (CARDS_PER_HOST / choice.tensor_parallel.max(1)).max(1);
    replicas.div_ceil(each)
}
