//! From a load to flags: what to start the engine with so that its printed concurrency reaches a target.
//!
//! The target's length becomes `--max-model-len`, its number `--max-num-seqs`. What is free is taken first: a smaller step
//! and fewer sequences than a large card's defaults cost nothing that this load would use. Then, one after the other, an
//! fp8 KV cache and a higher utilisation, which cost accuracy and safety, and last more GPUs. What would not help is named,
//! because it is what people try.

use serde::Serialize;

use crate::engine::{Deployment, Platform, ServingDefaults};
use crate::model::{Holds, Shape};
use crate::simple::CARD_COUNTS;
use crate::{Bytes, Engine, EngineFlags, GpuSpec, KvDtype, KvMemory, Tokens};

/// What to serve, on what, for which load.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The engine.
    pub engine: Engine,
    /// The model's layers.
    pub shape: &'a Shape,
    /// Its weights.
    pub weights: Bytes,
    /// The GPU.
    pub gpu: &'a GpuSpec,
    /// Requests at once.
    pub concurrency: u64,
    /// Tokens of each.
    pub context: Tokens,
}

/// Flags and what they would print.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// `--tensor-parallel-size`.
    pub tensor_parallel_size: u64,
    /// `--max-model-len`.
    pub max_model_len: u64,
    /// `--max-num-seqs`.
    pub max_num_seqs: u64,
    /// `--max-num-batched-tokens`.
    pub max_num_batched_tokens: u64,
    /// `--kv-cache-dtype`.
    pub kv_cache_dtype: String,
    /// `--gpu-memory-utilization`.
    pub gpu_memory_utilization: f64,
    /// Concurrency that would be printed: least, likely, most.
    pub max_concurrency: [f64; 3],
    /// Whether the likely one reaches the target.
    pub reaches: bool,
    /// Whether even the least one does.
    pub safely: bool,
}

impl Choice {
    /// The flags as typed.
    pub fn flags(&self) -> String {
        format!(
            "--tensor-parallel-size {} --max-model-len {} --max-num-seqs {} --max-num-batched-tokens {} \
             --kv-cache-dtype {} --gpu-memory-utilization {}",
            self.tensor_parallel_size,
            self.max_model_len,
            self.max_num_seqs,
            self.max_num_batched_tokens,
            self.kv_cache_dtype,
            self.gpu_memory_utilization
        )
    }
}

/// A change of one flag and what it brings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// The flag.
    pub flag: String,
    /// Printed concurrency without and with it, on the chosen number of GPUs.
    pub concurrency: Option<[f64; 2]>,
    /// Why.
    pub reason: String,
}

/// Flags for a load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flags {
    /// What the defaults print on one GPU, and on more until the target is reached.
    pub by_default: Vec<Choice>,
    /// The first choice that reaches the target; absent when eight GPUs of the kind do not.
    pub choice: Option<Choice>,
    /// What costs nothing that this load would use.
    pub free_wins: Vec<Effect>,
    /// What would not help.
    pub no_ops: Vec<Effect>,
}

/// What may be changed, in the order in which it is.
#[derive(Clone, Copy)]
struct Knobs {
    limits: ServingDefaults,
    kv_dtype: KvDtype,
    utilization: f64,
}

/// Highest utilisation that is proposed: above, fragmentation and the graphs' error end in out-of-memory.
const HIGHEST_UTILIZATION: f64 = 0.95;

impl Wanted<'_> {
    /// The flags; `None` when it is not known how much memory the GPU shows to programs.
    pub fn flags(&self) -> Option<Flags> {
        self.gpu.cuda_visible.as_ref()?;
        let engine = &self.engine;
        let defaults = engine.limits_for(engine.serving_defaults(self.gpu), self.shape);
        let default = Knobs { limits: defaults, kv_dtype: KvDtype::Bits16, utilization: engine.default_utilization() };
        let lean = self.lean(default);
        let fp8 = Knobs { kv_dtype: KvDtype::Fp8, ..lean };
        let full = Knobs { utilization: HIGHEST_UTILIZATION.max(default.utilization), ..fp8 };
        let mut by_default = Vec::new();
        let mut choice = None;
        for cards in CARD_COUNTS.map(u64::from) {
            by_default.extend(self.choice(cards, default));
            let reached = [default, lean, fp8, full]
                .into_iter()
                .filter_map(|knobs| self.choice(cards, knobs))
                .find(|choice| choice.reaches);
            if reached.is_some() {
                choice = reached;
                break;
            }
        }
        let last = by_default.last().map_or(1, |last| last.tensor_parallel_size);
        let cards = choice.as_ref().map_or(last, |choice| choice.tensor_parallel_size);
        Some(Flags { by_default, choice, free_wins: self.free_wins(cards, default), no_ops: self.no_ops(cards, lean) })
    }

    /// No more sequences than the target, and no larger step than a small card's.
    fn lean(&self, default: Knobs) -> Knobs {
        let small = self.engine.limits_for(ServingDefaults::SMALL, self.shape);
        let step = default.limits.max_num_batched_tokens;
        Knobs {
            limits: ServingDefaults {
                max_num_seqs: self.concurrency.max(1),
                max_num_batched_tokens: step.min(small.max_num_batched_tokens),
            },
            ..default
        }
    }

    /// What the engine would print; `None` when the model cannot be shared by so many GPUs or does not fit.
    fn choice(&self, cards: u64, knobs: Knobs) -> Option<Choice> {
        let budget = self.engine.budget(&Deployment {
            weights: self.weights,
            vocabulary: self.shape.vocabulary,
            gpu: self.gpu,
            tensor_parallel: cards,
            pipeline_parallel: 1,
            max_num_seqs: knobs.limits.max_num_seqs,
            utilization: Some(knobs.utilization),
            eager: false,
        })?;
        let flags = EngineFlags {
            max_num_batched_tokens: knobs.limits.max_num_batched_tokens,
            kv_dtype: knobs.kv_dtype,
            tensor_parallel: cards,
            platform: Platform::of(self.gpu),
            ..EngineFlags::new(self.context)
        };
        let printed = |bytes| {
            let plan = self.engine.plan(self.shape, &flags, KvMemory::Available(bytes));
            plan.map(|plan| plan.max_concurrency()).ok()
        };
        let (least, most) = budget.available_interval();
        let likely = printed(budget.available()?)?;
        let least = printed(least)?;
        let wanted = self.concurrency as f64;
        let seats = knobs.limits.max_num_seqs >= self.concurrency;
        Some(Choice {
            tensor_parallel_size: cards,
            max_model_len: self.context.get(),
            max_num_seqs: knobs.limits.max_num_seqs,
            max_num_batched_tokens: knobs.limits.max_num_batched_tokens.get(),
            kv_cache_dtype: knobs.kv_dtype.to_string(),
            gpu_memory_utilization: knobs.utilization,
            max_concurrency: [least, likely, printed(most)?],
            reaches: seats && likely >= wanted,
            safely: seats && least >= wanted,
        })
    }

    fn likely(&self, cards: u64, knobs: Knobs) -> Option<f64> {
        Some(self.choice(cards, knobs)?.max_concurrency[1])
    }

    /// Flags that cost nothing this load would use, where they bring a hundredth or more.
    fn free_wins(&self, cards: u64, default: Knobs) -> Vec<Effect> {
        let lean = self.lean(default).limits;
        let with = |limits: ServingDefaults| Knobs { limits, ..default };
        let seats = ServingDefaults { max_num_seqs: lean.max_num_seqs, ..default.limits };
        let step = ServingDefaults { max_num_batched_tokens: lean.max_num_batched_tokens, ..default.limits };
        let wins = [
            (
                format!("--max-num-seqs {}", lean.max_num_seqs),
                seats,
                "sampling warms up on every sequence × vocabulary entry; the load needs no more",
            ),
            (
                format!("--max-num-batched-tokens {}", lean.max_num_batched_tokens.get()),
                step,
                "window layers reserve a whole step for every request; long prompts take more steps",
            ),
        ];
        let effect = |(flag, limits, reason): (String, ServingDefaults, &str)| {
            let before = self.likely(cards, default).unwrap_or(0.0);
            let after = self.likely(cards, with(limits))?;
            (after > before * 1.01).then(|| Effect {
                flag,
                concurrency: Some([before, after]),
                reason: reason.to_owned(),
            })
        };
        wins.into_iter().filter_map(effect).collect()
    }

    /// Flags that bring nothing for this model.
    fn no_ops(&self, cards: u64, lean: Knobs) -> Vec<Effect> {
        let mut no_ops = Vec::new();
        let any = |of: fn(&Holds) -> bool| self.shape.layers.iter().any(|group| of(&group.holds));
        let states = any(|holds| matches!(holds, Holds::State { .. }));
        let latent = any(|holds| matches!(holds, Holds::Latent { .. }));
        let fp8 = Knobs { kv_dtype: KvDtype::Fp8, ..lean };
        if states {
            let gain = self.likely(cards, lean).zip(self.likely(cards, fp8));
            let helps = gain.is_some_and(|(before, after)| after > before * 1.01);
            let reason = "the state dictates the bytes of a block, so no block is gained; one only holds more tokens";
            no_ops.push(Effect {
                flag: "--kv-cache-dtype fp8".to_owned(),
                concurrency: gain.map(<[f64; 2]>::from),
                reason: if helps {
                    format!(
                        "{reason}, which helps contexts of several blocks like this one, not more or shorter requests"
                    )
                } else {
                    reason.to_owned()
                },
            });
        }
        let heads = self.shape.layers.iter().filter_map(|group| match group.holds {
            Holds::Heads(heads) => Some(heads.kv_heads),
            _ => None,
        });
        if let Some(heads) = heads.max().filter(|heads| *heads < 8 && *heads > 0) {
            no_ops.push(Effect {
                flag: format!("--tensor-parallel-size above {heads}"),
                concurrency: None,
                reason: format!(
                    "{heads} KV heads are repeated beyond {heads} GPUs: KV bytes a GPU stay, only weights shrink"
                ),
            });
        }
        if latent {
            no_ops.push(Effect {
                flag: "--tensor-parallel-size".to_owned(),
                concurrency: None,
                reason: "latent attention is repeated on every GPU: only --decode-context-parallel-size and \
                         --pipeline-parallel-size shrink its cache"
                    .to_owned(),
            });
        }
        no_ops.push(Effect {
            flag: "--enable-expert-parallel".to_owned(),
            concurrency: None,
            reason: "it moves experts between GPUs, all GPUs hold as many bytes as before".to_owned(),
        });
        no_ops
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    fn flags(model: &str, gpu: &str, version: &str, concurrency: u64, context: u64) -> Flags {
        let model = catalogue::model(model).unwrap();
        let wanted = Wanted {
            engine: Engine::vllm(version).unwrap(),
            shape: &model.shape.value,
            weights: model.weights_16_bit(),
            gpu: catalogue::gpu(gpu).unwrap(),
            concurrency,
            context: Tokens::new(context),
        };
        wanted.flags().unwrap()
    }

    fn names(effects: &[Effect]) -> Vec<&str> {
        effects.iter().map(|effect| effect.flag.as_str()).collect()
    }

    /// On an H100 and 0.11 sampling warms up on 1,024 sequences: 1,024 × 151,936 × 39 B are 5.65 GiB for Qwen3-8B where 50
    /// sequences take less than the floor of 1 GiB. 4.65 GiB are 4.65 × 2^30 / (4,096 × 147,456 B) = 8.27 requests.
    #[test]
    fn fewer_sequences_are_the_free_win_of_a_large_card() {
        let flags = flags("Qwen/Qwen3-8B", "H100 80GB", "0.11.2", 50, 4096);
        assert_eq!(names(&flags.free_wins), ["--max-num-seqs 50"]);
        let [before, after] = flags.free_wins[0].concurrency.unwrap();
        assert!((after - before - 8.27).abs() < 0.05, "{before} {after}");
        let choice = flags.choice.unwrap();
        assert!(choice.reaches && choice.max_concurrency[0] <= choice.max_concurrency[1]);
        assert_eq!((choice.tensor_parallel_size, choice.kv_cache_dtype.as_str()), (1, "auto"));
    }

    /// gemma-3-27b has 51 GiB of weights, which no 40 GB card holds; 405 billion parameters fit on no eight cards of 24 GB.
    #[test]
    fn a_target_out_of_reach_says_so_and_one_card_too_few_takes_more() {
        let large = flags("google/gemma-3-27b-it", "A100 40GB", "0.11.2", 20, 8192);
        let choice = large.choice.unwrap();
        assert!(choice.tensor_parallel_size > 1 && choice.max_concurrency[1] >= 20.0);
        assert_eq!(choice.max_model_len, 8192);
        assert!(choice.max_num_seqs >= 20);
        let none = flags("meta-llama/Meta-Llama-3.1-405B", "RTX 3090", "0.11.2", 50, 4096);
        assert_eq!(none.choice, None);
    }

    /// Qwen3.5 (states, 4 KV heads) and `DeepSeek-V2` (latent): what the issue lists of each.
    #[test]
    fn no_ops_are_those_of_the_architecture() {
        let states = flags("Qwen/Qwen3.5-27B", "H200", "0.28.0", 8, 512);
        assert_eq!(
            names(&states.no_ops),
            ["--kv-cache-dtype fp8", "--tensor-parallel-size above 4", "--enable-expert-parallel"]
        );
        let [auto, fp8] = states.no_ops[0].concurrency.unwrap();
        assert!((auto - fp8).abs() < 1e-9, "a request of less than a block takes one in either");
        let latent = flags("deepseek-ai/DeepSeek-V2-Lite", "H100 80GB", "0.11.2", 8, 4096);
        assert_eq!(names(&latent.no_ops), ["--tensor-parallel-size", "--enable-expert-parallel"]);
    }
}
