//! Which choices are worth a look: order, frontier, recommendations, use of money.

use std::cmp::Ordering;

use super::Question;
use super::answer::{Choice, PERFORMANCE_COST_MAX, Recommended};
use super::command::weight_name;
use crate::weights::WeightFormat;

/// Known values first, smaller ones before.
fn ascending(left: Option<f64>, right: Option<f64>) -> Ordering {
    match (left, right) {
        (Some(left), Some(right)) => left.total_cmp(&right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// To buy, hosts included.
fn capital(choice: &Choice) -> Option<f64> {
    choice.cost.capital_usd()
}

fn rent(choice: &Choice) -> Option<f64> {
    choice.cost.cloud_per_hour.as_ref().map(|price| price.usd)
}

fn tpot(choice: &Choice) -> Option<f64> {
    choice.speed.map(|speed| speed.tpot_s.likely)
}

/// By cost of an hour; of equal ones those that need no quantisation first, then the fewest cards.
pub(super) fn in_order(mut choices: Vec<Choice>) -> Vec<Choice> {
    let quantised = |choice: &Choice| (choice.weights != "bf16", choice.kv_cache_dtype != "auto");
    choices.sort_by(|a, b| {
        ascending(a.cost.usd_per_hour(), b.cost.usd_per_hour())
            .then_with(|| quantised(a).cmp(&quantised(b)))
            .then_with(|| a.cards().cmp(&b.cards()))
            .then_with(|| ascending(tpot(a), tpot(b)))
    });
    let points: Vec<Option<[f64; 3]>> = choices.iter().map(point).collect();
    for (choice, own) in choices.iter_mut().zip(&points) {
        choice.on_frontier = own.is_some_and(|own| !points.iter().flatten().any(|other| dominates(other, &own)));
    }
    choices
}

/// Price of an hour, TPOT, and throughput with its sign turned: less is better in all three. Only what was asked for.
fn point(choice: &Choice) -> Option<[f64; 3]> {
    let speed = choice.speed.filter(|_| choice.as_asked)?;
    let price = choice.cost.usd_per_hour()?;
    Some([price, speed.tpot_s.likely, -speed.output_tokens_per_second.likely])
}

fn dominates(other: &[f64; 3], own: &[f64; 3]) -> bool {
    let pairs = || other.iter().zip(own);
    pairs().all(|(other, own)| other <= own) && pairs().any(|(other, own)| other < own)
}

/// The least by `figure` of the choices that qualify; of equal ones the fastest, then the one that is cheapest to rent: so
/// no other that qualifies is as good in all and better in one.
fn least(
    choices: &[Choice],
    qualifies: impl Fn(&Choice) -> bool,
    figure: impl Fn(&Choice) -> Option<f64>,
) -> Option<usize> {
    let candidates = choices.iter().enumerate().filter(|(_, choice)| qualifies(choice));
    let tokens = |choice: &Choice| choice.speed.map(|speed| -speed.output_tokens_per_second.likely);
    candidates
        .filter_map(|(index, choice)| Some((index, choice, figure(choice)?)))
        .min_by(|(_, a, least_a), (_, b, least_b)| {
            least_a
                .total_cmp(least_b)
                .then_with(|| ascending(tpot(a), tpot(b)))
                .then_with(|| ascending(capital(a), capital(b)))
                .then_with(|| ascending(rent(a), rent(b)))
                .then_with(|| ascending(tokens(a), tokens(b)))
        })
        .map(|(index, ..)| index)
}

/// The same among those that hold the target at the unfavourable end too; where there are none, among all.
fn least_safe(
    choices: &[Choice],
    qualifies: impl Fn(&Choice) -> bool,
    figure: impl Fn(&Choice) -> Option<f64>,
) -> Option<usize> {
    least(choices, |choice| choice.safely && qualifies(choice), &figure).or_else(|| least(choices, &qualifies, &figure))
}

/// The choice that costs least to buy.
pub(super) fn least_cost(choices: &[Choice]) -> Option<usize> {
    least_safe(choices, |choice| choice.as_asked, capital)
}

pub(super) fn recommended(question: &Question<'_>, choices: &[Choice]) -> Recommended {
    let least_cost = least_cost(choices);
    let if_exact = least(choices, |choice| choice.as_asked, capital);
    Recommended {
        least_cost,
        least_cost_if_exact: if_exact.filter(|index| {
            // The same price is no saving.
            let usd = |index: Option<usize>| index.and_then(|index| capital(choices.get(index)?));
            usd(Some(*index)) < usd(least_cost)
        }),
        best_performance: best_performance(choices, least_cost),
        cloud: least_safe(choices, |choice| choice.as_asked, rent),
        keep_quantised: keep_quantised(question, choices, least_cost),
    }
}

/// The shortest TPOT that may be had for [`PERFORMANCE_COST_MAX`] times the least cost. More cards would always be faster
/// still: they are on the frontier.
fn best_performance(choices: &[Choice], least_cost: Option<usize>) -> Option<usize> {
    let cheapest = choices.get(least_cost?)?;
    let most = capital(cheapest)? * PERFORMANCE_COST_MAX;
    let qualifies = |choice: &Choice| {
        choice.as_asked && (choice.safely || !cheapest.safely) && capital(choice).is_some_and(|usd| usd <= most)
    };
    least(choices, qualifies, tpot)
}

/// The measured system's own card and format, in more cards; without one the cheapest choice in 4 bits.
fn keep_quantised(question: &Question<'_>, choices: &[Choice], least_cost: Option<usize>) -> Option<usize> {
    let least = least_cost.and_then(|index| capital(choices.get(index)?));
    let within = |choice: &Choice| match (capital(choice), least) {
        (Some(usd), Some(least)) => usd <= least * PERFORMANCE_COST_MAX,
        _ => true,
    };
    let measured = question.measured.iter().find_map(|measured| {
        let gpu = measured.gpu?;
        (measured.weights != WeightFormat::Bits16).then(|| (&gpu.name, weight_name(measured.weights)))
    });
    let kept = |choice: &Choice| match measured {
        Some((gpu, weights)) => &choice.gpu == gpu && choice.weights == weights,
        None => ["awq", "bnb4"].contains(&&*choice.weights),
    } && choice.kv_cache_dtype == "auto"
        && within(choice);
    least_safe(choices, kept, capital).or_else(|| least_safe(choices, kept, |choice| Some(f64::from(choice.cards()))))
}

/// Indices by dollars for a million output tokens; only what was asked for and has both figures.
pub(super) fn by_efficiency(choices: &[Choice]) -> Vec<usize> {
    let mut priced: Vec<(usize, f64)> = (choices.iter().enumerate())
        .filter(|(_, choice)| choice.as_asked)
        .filter_map(|(index, choice)| Some((index, choice.cost.usd_per_million()?.likely)))
        .collect();
    priced.sort_by(|a, b| a.1.total_cmp(&b.1));
    priced.into_iter().map(|(index, _)| index).collect()
}

/// Median of upper end / likely value of TPOT.
pub(super) fn tpot_factor(choices: &[Choice]) -> Option<f64> {
    let mut factors: Vec<f64> = choices
        .iter()
        .filter_map(|choice| choice.speed)
        .map(|speed| speed.tpot_s.high / speed.tpot_s.likely)
        .filter(|factor| factor.is_finite())
        .collect();
    factors.sort_by(f64::total_cmp);
    factors.get(factors.len() / 2).copied()
}
