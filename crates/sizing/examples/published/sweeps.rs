//! The sweeps of `fixtures/published`, as systems and observations.

use std::collections::BTreeMap;

use sizing::performance::{EngineFamily, Load, Observation, Priors, System};
use sizing::weights::WeightFormat;
use sizing::{GpuSpec, ModelSpec, catalogue};

const SWEEPS: &str = include_str!("../../../../fixtures/published/sweeps.csv");
const LEVELS: &str = include_str!("../../../../fixtures/published/levels.csv");
const HALVES: [&str; 2] = [
    include_str!("../../../../fixtures/published/halves/0.toml"),
    include_str!("../../../../fixtures/published/halves/1.toml"),
];

/// Levels of one system at one pair of lengths.
pub(crate) struct Sweep {
    pub(crate) source: String,
    pub(crate) engine: String,
    pub(crate) model: &'static ModelSpec,
    pub(crate) gpu: &'static GpuSpec,
    pub(crate) weights: String,
    pub(crate) kv_bytes: u32,
    pub(crate) cards: u32,
    pub(crate) expert_parallel: String,
    pub(crate) isl: f64,
    pub(crate) osl: f64,
    pub(crate) is_short: bool,
    pub(crate) levels: Vec<Observation>,
}

impl Sweep {
    pub(crate) fn system(&self) -> System<'static> {
        System {
            model: self.model,
            gpu: Some(self.gpu),
            tensor_parallel: self.cards,
            weights: match self.weights.as_str() {
                "bf16" => WeightFormat::Bits16,
                other => other.parse().expect("formats of the fixture are known"),
            },
            kv_element_bytes: self.kv_bytes,
            engine: match self.engine.as_str() {
                "vllm" => EngineFamily::Vllm,
                "sglang" => EngineFamily::Sglang,
                "tensor-rt-llm" => EngineFamily::TensorRtLlm,
                _ => EngineFamily::Other,
            },
            kv_cache: None,
            max_num_seqs: None,
        }
    }

    pub(crate) fn is_mixture(&self) -> bool {
        let work = self.model.work.as_ref();
        work.is_some_and(|work| work.value.experts.is_some())
    }

    /// The half of the systems that this one is in: a bit of the FNV-1a hash of its name, as in `learn.py`.
    pub(crate) fn half(&self) -> usize {
        let name =
            [self.engine.as_str(), &self.model.name, &self.weights, &self.gpu.name, &self.cards.to_string()].join("|");
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
        usize::from(hash >> 40 & 1 == 1)
    }
}

/// Priors that half of the systems taught.
pub(crate) fn taught_by(half: usize) -> Priors {
    Priors::from_toml(HALVES[half]).expect("the fixture is such a file")
}

/// All sweeps, levels in order of concurrency.
pub(crate) fn read() -> Vec<Sweep> {
    let mut levels: BTreeMap<&str, Vec<[Option<f64>; 4]>> = BTreeMap::new();
    for line in LEVELS.lines().skip(1) {
        let (sweep, rest) = line.split_once(',').expect("levels have columns");
        let mut fields = rest.split(',').map(|field| field.parse().ok());
        let fields = std::array::from_fn(|_| fields.next().flatten());
        levels.entry(sweep).or_default().push(fields);
    }
    let sweep = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| fields[at].parse().expect("a number");
        let (isl, osl) = (number(11), number(12));
        Sweep {
            source: fields[1].to_owned(),
            engine: fields[3].to_owned(),
            model: catalogue::model(fields[5]).expect("models of the fixture are known"),
            weights: fields[6].to_owned(),
            kv_bytes: fields[7].parse().expect("bytes"),
            gpu: catalogue::gpu(fields[8]).expect("cards of the fixture are known"),
            cards: fields[9].parse().expect("cards"),
            expert_parallel: fields[10].to_owned(),
            isl,
            osl,
            is_short: !fields[14].is_empty(),
            levels: levels[fields[0]].iter().map(|level| observation(level, isl, osl)).collect(),
        }
    };
    SWEEPS.lines().skip(1).map(sweep).collect()
}

fn observation(fields: &[Option<f64>; 4], isl: f64, osl: f64) -> Observation {
    let [concurrency, ttft_ms, tpot_ms, rate] = *fields;
    Observation {
        load: Load { concurrency: concurrency.expect("every level has one"), isl, osl },
        ttft_s: ttft_ms.map(|ms| ms / 1e3),
        tpot_s: tpot_ms.map(|ms| ms / 1e3),
        output_tokens_per_second: rate,
    }
}
