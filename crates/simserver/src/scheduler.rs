//! Continuous batching as vLLM V1 schedules it (`vllm/v1/core/sched/scheduler.py` of 0.11.2, first come first served).
//!
//! Each step first serves the running sequences in the order of their admission, then admits waiting ones by arrival, under
//! `max_num_seqs` and `max_num_batched_tokens`; a prompt that does not fit the rest of the budget is prefilled in chunks. When a running
//! sequence finds no block, the youngest running one gives up all of its blocks, goes to the head of the queue and is later
//! recomputed, output so far included, as far as the prefix cache has lost it; a step that preempted admits nobody. What is admitted
//! begins after its longest cached prefix. Priority is arrival; no speculation, no asynchronous scheduling.

use std::collections::VecDeque;
use std::time::Duration;

use crate::block_table::{BlockTable, KvPool};
use crate::profile::{Limits, Profile};
use crate::sequence::{RequestId, Sequence, Token};
use crate::step::StepLoad;

/// Queue, batch and KV cache of one engine.
#[derive(Debug)]
pub(crate) struct Scheduler {
    limits: Limits,
    pool: KvPool,
    waiting: VecDeque<Sequence>,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    sequence: Sequence,
    blocks: BlockTable,
    /// Tokens whose KV is in the cache.
    computed: u32,
    /// Tokens that the current step computes.
    scheduled: u32,
}

/// What a step will do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Batch {
    pub(crate) load: StepLoad,
    pub(crate) preempted: u32,
    pub(crate) prefix: PrefixCounts,
}

/// Tokens that were looked for in the prefix cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefixCounts {
    /// Tokens of the sequences that were looked up. As in vLLM, a sequence that finds no blocks is looked up again in the next
    /// step, and one that was preempted is not counted.
    pub queries: u64,
    /// Tokens that were found.
    pub hits: u64,
}

impl Scheduler {
    pub(crate) fn new(profile: &Profile) -> Self {
        Self {
            limits: profile.figures.limits,
            pool: KvPool::new(profile.figures.kv_cache),
            waiting: VecDeque::new(),
            running: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, sequence: Sequence) {
        self.waiting.push_back(sequence);
    }

    /// Drops a request and gives its blocks back; false when it is not here.
    pub(crate) fn remove(&mut self, id: RequestId) -> bool {
        if let Some(index) = self.running.iter().position(|r| r.sequence.id == id) {
            let mut gone = self.running.remove(index);
            self.pool.release(&mut gone.blocks);
            return true;
        }
        let before = self.waiting.len();
        self.waiting.retain(|sequence| sequence.id != id);
        self.waiting.len() < before
    }

    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn kv_usage(&self) -> f64 {
        self.pool.usage()
    }

    /// Decides the step that begins `now`.
    pub(crate) fn schedule(&mut self, now: Duration) -> Batch {
        let mut batch = Batch::default();
        let mut budget = self.limits.max_num_batched_tokens;
        self.continue_running(&mut budget, &mut batch);
        if batch.preempted == 0 {
            self.admit_waiting(now, &mut budget, &mut batch);
        }
        batch
    }

    /// Ends the step at the instant `at`: what was scheduled is in the cache, sequences without a gap make a token.
    pub(crate) fn finish(&mut self, at: Duration, tokens: &mut Vec<Token>) {
        let pool = &mut self.pool;
        self.running.retain_mut(|running| {
            running.computed += std::mem::take(&mut running.scheduled);
            if running.computed < running.sequence.tokens() {
                return true;
            }
            let token = running.sequence.emit(at);
            tokens.push(token);
            if token.end.is_some() {
                pool.release(&mut running.blocks);
            }
            token.end.is_none()
        });
    }

    fn continue_running(&mut self, budget: &mut u32, batch: &mut Batch) {
        let mut index = 0;
        while index < self.running.len() && *budget > 0 {
            let wanted = self.running[index].missing().min(*budget);
            let target = self.running[index].computed + wanted;
            while let Some(running) = self.running.get_mut(index)
                && !running.grow(&mut self.pool, target)
            {
                self.preempt_youngest();
                batch.preempted += 1;
            }
            // The sequence may itself have been the youngest.
            let Some(running) = self.running.get_mut(index) else {
                return;
            };
            running.schedule(wanted, &mut batch.load);
            *budget -= wanted;
            index += 1;
        }
    }

    fn admit_waiting(&mut self, now: Duration, budget: &mut u32, batch: &mut Batch) {
        while *budget > 0 && self.running.len() < self.limits.max_num_seqs as usize {
            let Some(sequence) = self.waiting.front_mut() else {
                return;
            };
            let hit = self.pool.find_prefix(sequence);
            if self.pool.caches_prefixes() && !sequence.was_preempted() {
                batch.prefix.queries += u64::from(sequence.tokens());
                batch.prefix.hits += u64::from(hit.tokens);
            }
            let computed = hit.tokens;
            let wanted = (sequence.tokens() - computed).min(*budget);
            let Some(blocks) = self.pool.begin(sequence, &hit, computed + wanted) else {
                return;
            };
            sequence.mark_scheduled(now, hit.tokens);
            let Some(sequence) = self.waiting.pop_front() else {
                return;
            };
            let mut running = Running { sequence, blocks, computed, scheduled: 0 };
            running.schedule(wanted, &mut batch.load);
            *budget -= wanted;
            self.running.push(running);
        }
    }

    fn preempt_youngest(&mut self) {
        if let Some(mut youngest) = self.running.pop() {
            self.pool.release(&mut youngest.blocks);
            youngest.sequence.preempt();
            self.waiting.push_front(youngest.sequence);
        }
    }
}

impl Running {
    fn missing(&self) -> u32 {
        self.sequence.tokens() - self.computed
    }

    fn grow(&mut self, pool: &mut KvPool, tokens: u32) -> bool {
        pool.grow(&mut self.blocks, &self.sequence, self.computed, tokens)
    }

    fn schedule(&mut self, tokens: u32, load: &mut StepLoad) {
        if self.sequence.has_begun() && self.missing() == 1 {
            load.decodes += 1;
        } else {
            load.prefill_tokens += tokens;
        }
        load.context_tokens += u64::from(self.computed + tokens);
        self.scheduled = tokens;
    }
}
