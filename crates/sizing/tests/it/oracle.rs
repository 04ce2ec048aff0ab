//! The arithmetic against vLLM's own planning code, which `fixtures/sizing/oracle` ran without a GPU: same config, same flags.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use sizing::engine::{Drafter, ServeArgs, SpeculativeArgs};
use sizing::{Bytes, Checkpoint, Engine, KvCachePlan, KvMemory, Tokens, catalogue};

/// Models that are refused by name, whatever the flags: their groups share packed pages.
const REFUSED: [&str; 3] = ["deepseek-ai/DeepSeek-V4-Flash", "deepseek-ai/DeepSeek-V4-Pro", "MiniMaxAI/MiniMax-M3"];

#[derive(Deserialize)]
struct Case {
    version: String,
    model: String,
    variant: String,
    gpu: String,
    args: Args,
    memory: u64,
    #[serde(flatten)]
    answer: Answer,
}

/// vLLM's own names; an argument that is not here is an error, so that none is passed over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    max_model_len: Option<u64>,
    max_num_batched_tokens: Option<u64>,
    tensor_parallel_size: Option<u64>,
    pipeline_parallel_size: Option<u64>,
    decode_context_parallel_size: Option<u64>,
    kv_cache_dtype: Option<String>,
    block_size: Option<u64>,
    enable_prefix_caching: Option<bool>,
    #[serde(default)]
    disable_hybrid_kv_cache_manager: bool,
    async_scheduling: Option<bool>,
    speculative_config: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Plan { tokens: u64, concurrency: f64, blocks: u64 },
    Refused { error: String },
}

impl Args {
    fn serve_args(&self) -> ServeArgs {
        let speculative = self.speculative_config.as_ref().map(|config| SpeculativeArgs {
            method: match config["method"].as_str() {
                Some("mtp") => Some(Drafter::Mtp),
                Some("ngram") => Some(Drafter::Ngram),
                other => panic!("{other:?} drafts"),
            },
            tokens: config["num_speculative_tokens"].as_u64().unwrap(),
        });
        ServeArgs {
            max_model_len: self.max_model_len.map(Tokens::new),
            max_num_batched_tokens: self.max_num_batched_tokens.map(Tokens::new),
            tensor_parallel_size: self.tensor_parallel_size,
            pipeline_parallel_size: self.pipeline_parallel_size,
            decode_context_parallel_size: self.decode_context_parallel_size,
            kv_cache_dtype: self.kv_cache_dtype.as_deref().map(|name| name.parse().unwrap()),
            block_size: self.block_size.map(Tokens::new),
            enable_prefix_caching: self.enable_prefix_caching,
            disable_hybrid_kv_cache_manager: self.disable_hybrid_kv_cache_manager,
            async_scheduling: self.async_scheduling,
            speculative,
            ..ServeArgs::default()
        }
    }
}

impl Case {
    fn plan(&self, configs: &BTreeMap<String, Value>) -> Result<KvCachePlan, String> {
        let config = configs[&self.model]["config"].to_string();
        let checkpoint = Checkpoint::from_json(&config).map_err(|error| error.to_string())?;
        let engine = Engine::vllm(&self.version).unwrap();
        let gpu = catalogue::gpu(&self.gpu).unwrap();
        let args = self.args.serve_args();
        let resolved = engine.resolve(&args, &checkpoint.shape, checkpoint.declared(), Some(gpu)).unwrap();
        let memory = KvMemory::Available(Bytes::new(self.memory));
        engine.plan(&checkpoint.shape, &resolved.flags, memory).map_err(|error| error.to_string())
    }

    /// What comes out otherwise than vLLM has it.
    fn miss(&self, configs: &BTreeMap<String, Value>) -> Option<String> {
        match (&self.answer, self.plan(configs)) {
            (Answer::Plan { tokens, concurrency, blocks }, Ok(plan)) => {
                let theirs = (*tokens, format!("{concurrency:.2}"), *blocks);
                let ours =
                    (plan.kv_cache_tokens().get(), format!("{:.2}", plan.max_concurrency()), plan.blocks().get());
                (theirs != ours || !plan.starts()).then(|| format!("{ours:?}, vLLM {theirs:?}"))
            }
            (Answer::Plan { .. }, Err(error)) => Some(format!("refused: {}", error.lines().next().unwrap())),
            (Answer::Refused { error }, Ok(plan)) if plan.starts() => Some(format!("planned; vLLM: {error}")),
            (Answer::Refused { .. }, _) => None,
        }
    }
}

fn folder_file(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/sizing/oracle");
    std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

fn configs_of(name: &str) -> BTreeMap<String, Value> {
    serde_json::from_str(&folder_file(name)).unwrap()
}

fn cases_of(name: &str) -> Vec<Case> {
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    folder_file(name).lines().map(read).collect()
}

#[test]
fn vllm_s_own_code_plans_the_same() {
    let configs = configs_of("configs.json");
    let mut by_version: BTreeMap<Vec<u64>, (u32, u32)> = BTreeMap::new();
    let mut missed = Vec::new();
    let mut refused = 0;
    for case in cases_of("cases.jsonl") {
        if REFUSED.contains(&case.model.as_str()) {
            let error = case.plan(&configs).expect_err("refused by name");
            assert!(error.contains("is not reproduced"), "{error}");
            refused += 1;
            continue;
        }
        let version = case.version.split('.').map(|number| number.parse().unwrap()).collect();
        let score = by_version.entry(version).or_default();
        score.1 += 1;
        match case.miss(&configs) {
            None => score.0 += 1,
            Some(why) => missed.push(format!("{} {} {}: {why}", case.version, case.model, case.variant)),
        }
    }
    for (version, (exact, all)) in &by_version {
        println!("{version:?}: {exact} of {all}");
    }
    let all = by_version.values().map(|score| score.1).sum::<u32>();
    println!("{} of {all} exact; {refused} more are of models that are refused by name", all as usize - missed.len());
    assert!(by_version.len() >= 20 && all > 2000, "{by_version:?}");
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Of every architecture that transformers has, its default config: as vLLM plans it, or refused; never otherwise.
#[test]
fn default_configs_of_transformers_are_planned_as_by_vllm_or_refused() {
    let configs = configs_of("transformers_configs.json");
    let mut exact = 0;
    let mut refused = Vec::new();
    let mut missed = Vec::new();
    for case in cases_of("transformers_cases.jsonl") {
        match (case.plan(&configs), case.miss(&configs)) {
            (_, None) => exact += 1,
            (Err(error), _) => refused.push(format!("{}: {}", case.model, error.lines().next().unwrap_or_default())),
            (Ok(_), Some(why)) => missed.push(format!("{}: {why}", case.model)),
        }
    }
    println!("{exact} exact, {} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(exact > 80 && exact > 4 * refused.len(), "{exact} exact, {} refused", refused.len());
}
