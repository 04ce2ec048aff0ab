//! One combination of card, number and formats, held against the target; and all of them.

use super::answer::{Choice, Reason, Rejected};
use super::command::{Replica, line, weight_name};
use super::memory::{Setup, seats};
use super::speed::{Pessimism, first_missed};
use super::target::Target;
use super::{Question, WEIGHTS, cost, load};
use crate::KvDtype;
use crate::simple::CARD_COUNTS;

const KV_DTYPES: [KvDtype; 2] = [KvDtype::Bits16, KvDtype::Fp8];

/// Which formats are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Formats {
    /// All of them.
    All,
    /// Those that the target asks for.
    Asked,
}

/// Every combination: those that hold the target, and those that do not.
pub(super) fn all(
    question: &Question<'_>,
    target: &Target,
    pessimism: Pessimism,
    formats: Formats,
) -> (Vec<Choice>, Vec<Rejected>) {
    let mut choices = Vec::new();
    let mut rejected = Vec::new();
    for setup in setups(question, target, formats) {
        match evaluate(question, &setup, target, pessimism) {
            Ok(choice) => choices.push(choice),
            Err(reason) => rejected.push(Rejected {
                gpu: setup.gpu.name.clone(),
                tensor_parallel: setup.tensor_parallel,
                weights: weight_name(setup.weights).to_owned(),
                kv_cache_dtype: setup.kv.to_string(),
                reason,
            }),
        }
    }
    (choices, rejected)
}

/// Every combination that is tried.
pub(super) fn setups<'q>(
    question: &'q Question<'q>,
    target: &'q Target,
    formats: Formats,
) -> impl Iterator<Item = Setup<'q>> {
    let cards = question.gpus.iter().flat_map(|&gpu| CARD_COUNTS.map(|cards| (gpu, cards)));
    let weights = WEIGHTS.into_iter().chain(target.weights.filter(|asked| !WEIGHTS.contains(asked)));
    let of_model = weights.flat_map(|weights| KV_DTYPES.map(|kv| (weights, kv)));
    let of_model: Vec<_> =
        of_model.filter(|&(weights, kv)| formats == Formats::All || target.asks_for(weights, kv)).collect();
    cards.flat_map(move |(gpu, tensor_parallel)| {
        of_model.clone().into_iter().map(move |(weights, kv)| Setup {
            model: question.model,
            engine: question.engine,
            gpu,
            tensor_parallel,
            weights,
            kv,
        })
    })
}

/// One combination.
pub(super) fn evaluate(
    question: &Question<'_>,
    setup: &Setup<'_>,
    target: &Target,
    pessimism: Pessimism,
) -> Result<Choice, Reason> {
    let seats = seats(setup, target, load::at_once(target))?;
    let carried = load::carried(question, setup, &seats, target, pessimism)?;
    let safely = seats.requests.low >= carried.concurrency
        && carried.speed.as_ref().map_or_else(
            || target.slo.is_none(),
            |speed| first_missed(target.slo, speed, Pessimism::SlowEnd).is_none(),
        );
    let replica = Replica {
        tensor_parallel: setup.tensor_parallel,
        weights: setup.weights,
        kv: setup.kv,
        max_model_len: target.context(),
        max_num_seqs: u64::from(carried.most),
        max_num_batched_tokens: seats.max_num_batched_tokens,
    };
    let mut choice = Choice {
        gpu: setup.gpu.name.clone(),
        tensor_parallel: setup.tensor_parallel,
        replicas: carried.replicas,
        spare: target.spare,
        weights: weight_name(setup.weights).to_owned(),
        kv_cache_dtype: setup.kv.to_string(),
        as_asked: target.asks_for(setup.weights, setup.kv),
        memory: seats.memory(carried.concurrency),
        concurrency: carried.concurrency,
        seats: seats.requests,
        head_room: seats.requests.likely / carried.concurrency,
        speed: carried.speed,
        speed_unknown: carried.speed_unknown,
        queue: carried.queue,
        safely,
        cost: cost::Cost::default(),
        on_frontier: false,
        command: line(&setup.model.name, &replica),
    };
    choice.cost = cost::of(question, setup.gpu, &choice);
    Ok(choice)
}
