//! Twelve questions with the planner's answers, and beside each a calculation that could be done by hand.

use sizing::fleet::Day;
use sizing::model::LayerKind;
use sizing::planner::{Choice, Demand, FleetPlan, Question, Slo, Target, plan};
use sizing::weights::WeightFormat;
use sizing::{Engine, GpuSpec, ModelSpec, catalogue};

/// A question as it is typed, and what it asks.
struct Asked {
    typed: &'static str,
    model: &'static str,
    gpus: &'static [&'static str],
    target: Target,
}

/// Objectives of TTFT and TPOT, in milliseconds.
fn slo(ttft_ms: Option<f64>, tpot_ms: Option<f64>) -> Slo {
    let seconds = |ms: Option<f64>| ms.map(|ms| ms / 1e3);
    Slo { ttft_s: seconds(ttft_ms), tpot_s: seconds(tpot_ms), e2el_s: None }
}

fn at(requests: u32, isl: u64, osl: u64, weights: WeightFormat) -> Target {
    Target { weights: Some(weights), kv: Some(sizing::KvDtype::Bits16), ..Target::concurrency(requests, isl, osl) }
}

fn rate(per_second: f64, isl: u64, osl: u64, weights: WeightFormat) -> Target {
    Target { demand: Demand::Rate(Day::flat(per_second)), ..at(1, isl, osl, weights) }
}

fn questions() -> Vec<Asked> {
    use WeightFormat::{Awq, Bits16, Fp8, Mxfp4};
    let ask = |typed, model, gpus, target| Asked { typed, model, gpus, target };
    vec![
        ask("gemma-3-12b, 50 × (3072 + 1024), bf16", "google/gemma-3-12b-it", &[], at(50, 3072, 1024, Bits16)),
        ask("the same, H100 only", "google/gemma-3-12b-it", &["H100"], at(50, 3072, 1024, Bits16)),
        ask(
            "Llama-3.3-70B fp8, 64 × (2000 + 500), TPOT 30, TTFT 1000 ms, H100",
            "meta-llama/Llama-3.3-70B-Instruct",
            &["H100"],
            Target { slo: slo(Some(1000.0), Some(30.0)), ..at(64, 2000, 500, Fp8) },
        ),
        ask(
            "Qwen3-32B fp8, 5/s of 1000 + 300, TPOT 50, TTFT 1000 ms",
            "Qwen/Qwen3-32B",
            &[],
            Target { slo: slo(Some(1000.0), Some(50.0)), ..rate(5.0, 1000, 300, Fp8) },
        ),
        ask(
            "gpt-oss-120b as published, 64 × (1024 + 1024), TPOT 25 ms",
            "openai/gpt-oss-120b",
            &[],
            Target { slo: slo(None, Some(25.0)), ..at(64, 1024, 1024, Mxfp4) },
        ),
        ask("DeepSeek-R1 as published, 64 × (1024 + 1024)", "deepseek-ai/DeepSeek-R1", &[], at(64, 1024, 1024, Fp8)),
        ask(
            "Llama-3.1-8B fp8, 5/s of 1000 + 200, TTFT 500, TPOT 30 ms",
            "meta-llama/Llama-3.1-8B-Instruct",
            &[],
            Target { slo: slo(Some(500.0), Some(30.0)), ..rate(5.0, 1000, 200, Fp8) },
        ),
        ask(
            "Llama-3.3-70B bf16, 32 × (2000 + 500), TTFT 2000, TPOT 40 ms",
            "meta-llama/Llama-3.3-70B-Instruct",
            &[],
            Target { slo: slo(Some(2000.0), Some(40.0)), ..at(32, 2000, 500, Bits16) },
        ),
        ask(
            "Qwen3-30B-A3B awq, 16 × (1000 + 500), TPOT 20 ms",
            "Qwen/Qwen3-30B-A3B",
            &[],
            Target { slo: slo(None, Some(20.0)), ..at(16, 1000, 500, Awq) },
        ),
        ask("Kimi-K2.5 as published, 64 × (8000 + 1000)", "moonshotai/Kimi-K2.5", &[], at(64, 8000, 1000, Awq)),
        ask(
            "Qwen3-32B fp8, 2/s of 4000 + 500, one spare",
            "Qwen/Qwen3-32B",
            &[],
            Target { spare: 1, ..rate(2.0, 4000, 500, Fp8) },
        ),
        ask("Llama-3.1-405B fp8, 16 × (2000 + 500)", "meta-llama/Meta-Llama-3.1-405B", &[], at(16, 2000, 500, Fp8)),
    ]
}

/// KV bytes of a request halfway through its output, windows counted as far as they reach: no blocks, no groups.
fn kv_bytes(model: &ModelSpec, target: &Target) -> f64 {
    let tokens = target.isl as f64 + target.osl as f64 / 2.0;
    let layers = model.shape.value.layers.iter();
    let bytes = layers.map(|group| {
        let kept = match group.kind {
            LayerKind::Sliding { window } => tokens.min(window.get() as f64),
            LayerKind::State => 0.0,
            _ => tokens,
        };
        group.bytes_per_token_16_bit().get() as f64 * group.count as f64 * kept
    });
    bytes.sum()
}

/// By hand: requests = (visible × share − weights − 2 GB) × cards / KV of a request, where a latent vector is on every card;
/// TPOT = (weights read + KV of all requests) / cards / 75 % of the bandwidth, without arithmetic and links.
fn by_hand(model: &ModelSpec, gpu: &GpuSpec, target: &Target, choice: &Choice) -> [f64; 2] {
    let cards = f64::from(choice.tensor_parallel);
    let kv = kv_bytes(model, target);
    let weights = choice.memory.weight_bytes as f64;
    let latent = |group: &sizing::model::LayerGroup| matches!(group.holds, sizing::model::Holds::Latent { .. });
    let kv_a_card = if model.shape.value.layers.iter().any(latent) { kv } else { kv / cards };
    let left = gpu.visible().likely.get() as f64 * 0.92 - weights - 2e9;
    let work = model.work.as_ref().map(|work| work.value);
    // Of a mixture of experts a step of n tokens touches 1 − (1 − k/E)ⁿ of the experts.
    let read = work
        .and_then(|work| Some((f64::from(work.experts?), f64::from(work.experts_per_token?))))
        .map_or(weights, |(experts, taken)| weights * (1.0 - (1.0 - taken / experts).powf(choice.concurrency)));
    let bandwidth = gpu.bandwidth.as_ref().map_or(f64::NAN, |rate| rate.value.get() as f64);
    [left / kv_a_card, (read + choice.concurrency * kv_a_card) / (0.75 * bandwidth)]
}

/// The least dear choice, for as many requests as it then has.
fn row(asked: &Asked) -> String {
    let model = catalogue::model(asked.model).expect("in the catalogue");
    let engine = Engine::vllm("0.32.0").expect("in the table");
    let all = || catalogue::gpus().iter().collect();
    let named = asked.gpus.iter().map(|name| catalogue::gpu(name).expect("in the catalogue"));
    let gpus = if asked.gpus.is_empty() { all() } else { named.collect() };
    let question = Question { engine, gpus, ..Question::of(model, &asked.target) };
    let answer = plan(&question).expect("a load");
    let name = |index: Option<usize>| {
        let choice: Option<&Choice> = index.and_then(|index| answer.choices.get(index));
        choice.map_or_else(
            || "–".to_owned(),
            |choice| {
                let usd = choice.cost.capital_usd().map_or_else(|| "?".to_owned(), |usd| format!("${usd:.0}"));
                format!("{}: {usd}", choice.name())
            },
        )
    };
    let least = least(&answer);
    let figures = least.map_or_else(
        || "– | – | – | – | –".to_owned(),
        |choice| {
            let gpu = catalogue::gpu(&choice.gpu).expect("in the catalogue");
            let [held, tpot] = by_hand(model, gpu, &asked.target, choice);
            let printed = choice.printed.map_or(f64::NAN, |printed| printed.likely);
            let ms = choice.speed.map_or_else(|| "–".to_owned(), |speed| format!("{:.1}", speed.tpot_s.likely * 1e3));
            format!("{printed:.1} | {:.1} | {held:.1} | {ms} | {:.1}", choice.seats.likely, tpot * 1e3)
        },
    );
    let recommended = answer.recommended;
    let likely = name(recommended.least_cost_if_exact.or(recommended.least_cost));
    format!(
        "| {} | {likely} | {} | {} | {figures} |\n",
        asked.typed,
        name(recommended.least_cost),
        name(recommended.best_performance)
    )
}

fn least(plan: &FleetPlan) -> Option<&Choice> {
    plan.recommended.least_cost.and_then(|index| plan.choices.get(index))
}

/// The table.
pub(crate) fn markdown() -> String {
    let head = "| question | likely enough | sure at 90 % | best performance | vLLM prints | really held | by hand | TPOT, ms | by hand |\n\
                |---|---|---|---|---|---|---|---|---|\n";
    questions().iter().fold(head.to_owned(), |table, asked| table + &row(asked))
}
