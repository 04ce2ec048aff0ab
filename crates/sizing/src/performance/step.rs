//! The time of a step and of a request: [`Demand`] and what the machine makes of it, [`Machine`].
//!
//! A decode step moves weights and KV cache (the roofline of Williams, Waterman, Patterson 2009, with the card's rates
//! divided by what is lost of them) and computes, the longer hiding most of the shorter (their root sum of squares: published
//! sweeps fit it better than the sum, and no worse than the maximum, which has a kink). It sends two all-reduces a layer, and
//! pays for every layer, for every layer with more than one card, and for every sequence.
//!
//! A closed loop of equal requests: while a request decodes, the others' prompts take their share of its steps (chunked
//! prefill, vLLM's scheduler), `(n − 1) / osl` prompts for every token. Requests that start together wait for each other's
//! prompts, and those that find no KV memory or no slot wait for another to end.

use super::demand::Demand;
use super::{Bound, Load};

/// Parameters of a machine.
pub(super) const PARAMETERS: usize = 12;

/// What a machine makes of its demands: logarithms of positive factors and times, in the order of [`Machine`]'s fields.
pub(super) type Logs = [f64; PARAMETERS];

/// The parameters themselves.
#[derive(Clone, Copy, Debug)]
struct Machine {
    /// Time of moving a byte, as a multiple of the card's rate.
    bandwidth: f64,
    /// The same of experts' weights, beyond `bandwidth`.
    experts: f64,
    /// Time of an operation, as a multiple of the card's rate.
    compute: f64,
    /// Seconds of every layer in a step.
    layer_s: f64,
    /// Seconds of every layer for each doubling of the cards.
    link_s: f64,
    /// Time of sending a byte, as a multiple of the link's rate.
    link: f64,
    /// Seconds of every sequence in a step.
    sequence_s: f64,
    /// Share of the others' prompts that a decoding request waits for; above 1 when mixed steps are slow.
    mixing: f64,
    /// Seconds before a prompt is begun.
    start_s: f64,
    /// Share of the others' prompts that a new request waits for.
    burst: f64,
    /// KV memory, as a multiple of what is estimated.
    memory: f64,
    /// Power of the sequences to which their arithmetic and own times grow: 1 on a GPU; a processor that multiplies several
    /// rows better than one has less.
    crowd: f64,
}

impl Machine {
    fn of(logs: &Logs) -> Self {
        let [bandwidth, experts, compute, layer_s, link_s, link, sequence_s, mixing, start_s, burst, memory, crowd] =
            logs.map(f64::exp);
        Self { bandwidth, experts, compute, layer_s, link_s, link, sequence_s, mixing, start_s, burst, memory, crowd }
    }
}

/// What a request of a load meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Times {
    /// Seconds to the first token.
    pub ttft_s: f64,
    /// Seconds for every token after it.
    pub tpot_s: f64,
    /// Output tokens per second of the whole system.
    pub tokens_per_second: f64,
    /// What most of a decode step goes to.
    pub bound: Bound,
    /// Requests under way over those that fit.
    pub pressure: f64,
}

/// The times of a load on a machine.
pub(super) fn times(demand: &Demand, logs: &Logs, load: Load) -> Times {
    let machine = Machine::of(logs);
    let (running, pressure) = admitted(demand, &machine, load);
    let step = decode_step(demand, &machine, running, load);
    let prompt = prompt_s(demand, &machine, load.isl);
    let others = (running - 1.0).max(0.0);
    let tpot_s = step.total() + others / load.osl * prompt * machine.mixing;
    let served = machine.start_s + step.total() + prompt * (1.0 + machine.burst * others / 2.0);
    let cycle = served + (load.osl - 1.0).max(0.0) * tpot_s;
    let queued = (load.concurrency / running - 1.0).max(0.0);
    Times {
        ttft_s: served + queued * cycle,
        tpot_s,
        tokens_per_second: running * load.osl / cycle,
        bound: step.bound(),
        pressure,
    }
}

/// Requests that run at once, and requests under way over those that fit.
///
/// Seats (`--max-num-seqs`) and a KV cache of known size are hard: a closed loop at or below them has no queue. Memory that
/// is only estimated is a smooth minimum.
fn admitted(demand: &Demand, machine: &Machine, load: Load) -> (f64, f64) {
    let fits = demand.sequences_held(load.isl + load.osl / 2.0);
    let hard = if demand.kv_memory_known { fits } else { f64::INFINITY }.min(demand.max_sequences).max(1.0);
    let soft = if demand.kv_memory_known { f64::INFINITY } else { (fits * machine.memory).max(1.0) };
    let by_memory = load.concurrency / (1.0 + (load.concurrency / soft).powi(8)).powf(0.125);
    (by_memory.min(hard), load.concurrency / hard.min(soft))
}

/// Seconds of a decode step at the card's rates.
pub(super) fn roofline_s(demand: &Demand, load: Load) -> f64 {
    let (shared, experts) = demand.weight_bytes(load.concurrency);
    let cache = load.concurrency * demand.cache_bytes_read(load.isl + load.osl / 2.0);
    let moved = (shared + experts + cache) / demand.rates.bandwidth;
    moved.max(load.concurrency * demand.token_flops / demand.rates.flops)
}

/// The parts of a decode step, in seconds.
struct Step {
    weights: f64,
    cache: f64,
    compute: f64,
    overhead: f64,
}

impl Step {
    fn total(&self) -> f64 {
        (self.weights + self.cache).hypot(self.compute) + self.overhead
    }

    fn bound(&self) -> Bound {
        let parts = [
            (Bound::Weights, self.weights),
            (Bound::KvCache, self.cache),
            (Bound::Compute, self.compute),
            (Bound::Overhead, self.overhead),
        ];
        let most = parts.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        most.map_or(Bound::Overhead, |(bound, _)| bound)
    }
}

fn decode_step(demand: &Demand, machine: &Machine, running: f64, load: Load) -> Step {
    let byte_s = machine.bandwidth / demand.rates.bandwidth;
    let (shared, experts) = demand.weight_bytes(running);
    let several = demand.cards.log2();
    let crowd = running.powf(machine.crowd);
    Step {
        weights: (shared + experts * machine.experts) * byte_s,
        cache: running * demand.cache_bytes_read(load.isl + load.osl / 2.0) * byte_s,
        compute: crowd * demand.token_flops / demand.rates.flops * machine.compute,
        overhead: demand.layers * (machine.layer_s + machine.link_s * several)
            + running * demand.token_link_bytes / demand.rates.link * machine.link
            + crowd * machine.sequence_s,
    }
}

/// Seconds of a prompt alone.
fn prompt_s(demand: &Demand, machine: &Machine, tokens: f64) -> f64 {
    let flops = demand.token_flops + demand.attention_flops * tokens / 2.0;
    tokens * (flops / demand.rates.flops * machine.compute + demand.token_link_bytes / demand.rates.link * machine.link)
}
