//! What would change the answer: the same question with another load, other lengths, other objectives, a card lost; and by how
//! much the price of the answer may rise.

use super::Question;
use super::answer::{Change, Choice, Recommended, Sensitivity};
use super::evaluate::{self, Formats};
use super::memory::Setup;
use super::rank;
use super::target::Target;

pub(super) fn all(question: &Question<'_>, choices: &[Choice], recommended: Recommended) -> Vec<Sensitivity> {
    let best = recommended.least_cost.and_then(|index| choices.get(index));
    let target = question.target;
    let mut changes = vec![
        (Change::Load { factor: 0.5 }, target.with_load(0.5)),
        (Change::Load { factor: 1.5 }, target.with_load(1.5)),
        (Change::Lengths { factor: 0.5 }, target.with_lengths(0.5)),
        (Change::Lengths { factor: 2.0 }, target.with_lengths(2.0)),
    ];
    if !target.slo.is_none() {
        changes.push((Change::Slo { factor: 0.5 }, target.with_slo(0.5)));
        changes.push((Change::Slo { factor: 2.0 }, target.with_slo(2.0)));
    }
    changes.push((Change::CardLost, Target { spare: target.spare.saturating_add(1), ..target.clone() }));
    let mut answers: Vec<Sensitivity> =
        changes.into_iter().map(|(change, target)| answer(question, change, &target, best)).collect();
    answers.extend(best.and_then(|best| price(choices, best)));
    answers
}

fn answer(question: &Question<'_>, change: Change, target: &Target, best: Option<&Choice>) -> Sensitivity {
    let least = least(question, target);
    let least = least.as_ref();
    Sensitivity {
        change,
        answer: least.map(Choice::name),
        purchase_usd: least.and_then(|choice| choice.cost.capital_usd()),
        changes: least.map(Choice::name) != best.map(Choice::name),
    }
}

/// The choice that costs least to buy. Cards without a price cannot be it, and neither can what costs more with a single
/// replica than something that was found already.
fn least(question: &Question<'_>, target: &Target) -> Option<Choice> {
    let at_least = |setup: &Setup<'_>| {
        let cards = setup.tensor_parallel.saturating_mul(target.spare.saturating_add(1));
        let quote = question.prices.purchase(&setup.gpu.name, cards)?;
        Some(quote.price.get())
    };
    let mut setups: Vec<(f64, Setup<'_>)> = evaluate::setups(question, target, Formats::Asked)
        .filter_map(|setup| Some((at_least(&setup)?, setup)))
        .collect();
    setups.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut found: Vec<Choice> = Vec::new();
    let mut best = f64::INFINITY;
    for (bound, setup) in setups {
        // Only a safe choice shuts out what costs more.
        if bound > best {
            break;
        }
        for choice in evaluate::likely_and_sure(question, &setup, target).into_iter().flatten() {
            if choice.safely {
                best = choice.cost.capital_usd().map_or(best, |usd| best.min(usd));
            }
            found.push(choice);
        }
    }
    let found = rank::in_order(found);
    let index = rank::least_cost(&found)?;
    found.into_iter().nth(index)
}

/// The next card, and by which factor the answer's price may rise before that one costs as little.
fn price(choices: &[Choice], best: &Choice) -> Option<Sensitivity> {
    let usd = |choice: &Choice| choice.cost.capital_usd();
    let others =
        choices.iter().filter(|choice| choice.as_asked && choice.gpu != best.gpu && (choice.safely || !best.safely));
    let (next, next_usd) =
        others.filter_map(|choice| Some((choice, usd(choice)?))).min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(Sensitivity {
        change: Change::Price { factor: next_usd / usd(best)? },
        answer: Some(next.name()),
        purchase_usd: Some(next_usd),
        changes: true,
    })
}
