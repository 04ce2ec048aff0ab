//! What is typed to start a replica.

use crate::KvDtype;
use crate::weights::WeightFormat;

/// As the planner's answers and `--target dtype=` name a format.
pub const fn weight_name(weights: WeightFormat) -> &'static str {
    match weights {
        WeightFormat::Bits16 => "bf16",
        WeightFormat::Float32 => "float32",
        WeightFormat::Fp8 => "fp8",
        WeightFormat::Int8 => "int8",
        WeightFormat::Awq => "awq",
        WeightFormat::Bnb4 => "bnb4",
        WeightFormat::Nvfp4 => "nvfp4",
        WeightFormat::Mxfp4 => "mxfp4",
    }
}

/// Whether a format needs a checkpoint of its own: the engine makes fp8 and bitsandbytes weights while loading.
const fn own_checkpoint(weights: WeightFormat) -> bool {
    matches!(weights, WeightFormat::Int8 | WeightFormat::Awq | WeightFormat::Nvfp4 | WeightFormat::Mxfp4)
}

/// Flags of one replica.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replica {
    pub(super) tensor_parallel: u32,
    pub(super) weights: WeightFormat,
    pub(super) kv: KvDtype,
    pub(super) max_model_len: u64,
    pub(super) max_num_seqs: u64,
    pub(super) max_num_batched_tokens: u64,
    /// Whether the card's arithmetic lacks bf16.
    pub(super) lacks_bf16: bool,
    /// The format in which the model is published: the engine finds it in the checkpoint.
    pub(super) published: WeightFormat,
}

/// The command that starts it. A format that needs another checkpoint stands as a variable for its name.
pub(super) fn line(model: &str, replica: &Replica) -> String {
    let name = weight_name(replica.weights);
    let as_published = replica.weights == replica.published;
    let mut words = if own_checkpoint(replica.weights) && !as_published {
        vec![format!("vllm serve \"${}_CHECKPOINT\"", name.to_uppercase())]
    } else {
        vec![format!("vllm serve {model}")]
    };
    match replica.weights {
        WeightFormat::Bits16 if replica.lacks_bf16 => words.push("--dtype half".to_owned()),
        WeightFormat::Bits16 => words.push("--dtype bfloat16".to_owned()),
        WeightFormat::Float32 => words.push("--dtype float32".to_owned()),
        WeightFormat::Fp8 if !as_published => words.push("--quantization fp8".to_owned()),
        WeightFormat::Bnb4 => words.push("--quantization bitsandbytes".to_owned()),
        _ => {}
    }
    if replica.tensor_parallel > 1 {
        words.push(format!("--tensor-parallel-size {}", replica.tensor_parallel));
    }
    if replica.kv != KvDtype::Bits16 {
        words.push(format!("--kv-cache-dtype {}", replica.kv));
    }
    words.push(format!("--max-model-len {}", replica.max_model_len));
    words.push(format!("--max-num-seqs {}", replica.max_num_seqs));
    words.push(format!("--max-num-batched-tokens {}", replica.max_num_batched_tokens));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_starts_as_the_engine_wants_it() {
        let replica = Replica {
            tensor_parallel: 2,
            weights: WeightFormat::Bits16,
            kv: KvDtype::Fp8,
            max_model_len: 4096,
            max_num_seqs: 50,
            max_num_batched_tokens: 2048,
            lacks_bf16: false,
            published: WeightFormat::Bits16,
        };
        assert_eq!(
            line("google/gemma-3-12b-it", &replica),
            "vllm serve google/gemma-3-12b-it --dtype bfloat16 --tensor-parallel-size 2 --kv-cache-dtype fp8 \
             --max-model-len 4096 --max-num-seqs 50 --max-num-batched-tokens 2048"
        );
        let awq = Replica { tensor_parallel: 1, weights: WeightFormat::Awq, kv: KvDtype::Bits16, ..replica };
        assert!(line("m", &awq).starts_with("vllm serve \"$AWQ_CHECKPOINT\" --max-model-len"));
        let native = Replica { weights: WeightFormat::Mxfp4, published: WeightFormat::Mxfp4, ..awq };
        assert!(line("openai/gpt-oss-120b", &native).starts_with("vllm serve openai/gpt-oss-120b --max-model-len"));
        let old = Replica { weights: WeightFormat::Bits16, lacks_bf16: true, ..awq };
        assert!(line("m", &old).starts_with("vllm serve m --dtype half"));
    }
}
