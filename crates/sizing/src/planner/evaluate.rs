//! One combination of card, number and formats, held against the target; and all of them.

use super::answer::{Choice, Reason, Rejected};
use super::command::{Replica, line, weight_name};
use super::memory::{Setup, seats};
use super::published_format;
use super::speed::first_missed;
use super::target::{Pessimism, Target};
use super::{Question, cost, load, weights_tried};
use crate::KvDtype;
use crate::gpu::Generation;
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
pub(super) fn all(question: &Question<'_>, target: &Target, formats: Formats) -> (Vec<Choice>, Vec<Rejected>) {
    let mut choices = Vec::new();
    let mut rejected = Vec::new();
    for setup in setups(question, target, formats) {
        match likely_and_sure(question, &setup, target) {
            Ok(found) => choices.extend(found),
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

/// One combination with as many replicas as are likely enough and, where those are not sure, with as many as are.
pub(super) fn likely_and_sure(
    question: &Question<'_>,
    setup: &Setup<'_>,
    target: &Target,
) -> Result<Vec<Choice>, Reason> {
    let mut likely = evaluate(question, setup, target, Pessimism::Likely)?;
    if !likely.as_asked {
        return Ok(vec![likely]);
    }
    // One rule says what is sure, or a larger load could cost less: as many replicas as the slow ends need.
    let sure = evaluate(question, setup, target, Pessimism::SlowEnd).ok().filter(|sure| sure.safely);
    likely.safely = sure.as_ref().is_some_and(|sure| sure.replicas <= likely.replicas);
    let more = sure.filter(|sure| sure.replicas > likely.replicas);
    Ok(more.into_iter().chain([likely]).collect())
}

/// Every combination that is tried.
pub(super) fn setups<'q>(
    question: &'q Question<'q>,
    target: &'q Target,
    formats: Formats,
) -> impl Iterator<Item = Setup<'q>> {
    let cards = question.gpus.iter().flat_map(|&gpu| CARD_COUNTS.map(|cards| (gpu, cards)));
    let mut weights = weights_tried(question.model);
    weights.extend(target.weights.filter(|asked| !weights.contains(asked)));
    let of_model = weights.into_iter().flat_map(|weights| KV_DTYPES.map(|kv| (weights, kv)));
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

/// Refuses what the engine has no kernel for on the card.
fn runs(setup: &Setup<'_>) -> Result<(), Reason> {
    let refused = |message: String| Err(Reason::Refused { message });
    if !setup.gpu.runs(setup.weights) {
        return refused(format!("no kernel for {} weights on this card", weight_name(setup.weights)));
    }
    let has_fp8_cache = setup.gpu.generation.is_none_or(Generation::has_fp8_kv_cache);
    if setup.kv != KvDtype::Bits16 && !has_fp8_cache {
        return refused(format!("no attention backend for an {} KV cache on this card", setup.kv));
    }
    Ok(())
}

/// One combination.
fn evaluate(
    question: &Question<'_>,
    setup: &Setup<'_>,
    target: &Target,
    pessimism: Pessimism,
) -> Result<Choice, Reason> {
    runs(setup)?;
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
        max_model_len: target.longest,
        lacks_bf16: setup.gpu.generation.is_some_and(Generation::lacks_bf16),
        published: published_format(setup.model),
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
        printed: Some(seats.printed),
        head_room: seats.requests.likely / carried.concurrency,
        speed: carried.speed,
        speed_unknown: carried.speed_unknown,
        queue: carried.queue,
        safely,
        cost: cost::Cost::default(),
        on_frontier: false,
        command: line(question.served, &replica),
    };
    choice.cost = cost::of(question, setup.gpu, &choice);
    Ok(choice)
}
