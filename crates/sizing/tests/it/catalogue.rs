//! The embedded facts: readable, found by the names in use, and right where something outside says what is right.

use std::collections::BTreeSet;

use sizing::weights::WeightFormat;
use sizing::{Bytes, Engine, Prices, catalogue};

#[test]
fn models_are_found_by_full_short_and_served_names() {
    for (name, expected) in [
        ("google/gemma-3-12b-it", "google/gemma-3-12b-it"),
        ("GEMMA-3-12B-IT", "google/gemma-3-12b-it"),
        ("gemma3:12b", "google/gemma-3-12b-it"),
        ("smollm2-135m", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("models/SmolLM2-135M-Instruct/", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("unsloth/Meta-Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"),
    ] {
        assert_eq!(catalogue::model(name).unwrap().name, expected, "{name}");
    }
    let error = catalogue::model("gemma-3-12b-it-bnb-4bit").unwrap_err();
    assert_eq!((error.nearest.len(), &*error.nearest[0]), (5, "google/gemma-3-12b-it"), "{error}");
    assert!(error.to_string().contains("hint: the nearest are google/gemma-3-12b-it"), "{error}");
    for (name, gpu) in [("H100", "H100 80GB"), ("A100", "A100 80GB"), ("L40", "L40"), ("rtx 6000", "RTX 6000 Ada")] {
        assert_eq!(catalogue::gpu(name).unwrap().name, gpu);
    }
    assert_eq!(catalogue::gpu("NVIDIA GeForce RTX 3090").unwrap().name, "RTX 3090");
    assert!(catalogue::gpu("").is_err() && catalogue::model("").is_err());
}

/// Names of quantised checkpoints are the base model and a format.
#[test]
fn a_checkpoint_s_name_is_a_model_and_a_format() {
    for (name, model, weights) in [
        ("Qwen/Qwen3-8B-AWQ", "Qwen/Qwen3-8B", Some(WeightFormat::Awq)),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "meta-llama/Llama-3.3-70B-Instruct", Some(WeightFormat::Fp8)),
        ("meta-llama/Meta-Llama-3.1-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct", None),
        ("google/gemma-3-12b-it", "google/gemma-3-12b-it", None),
    ] {
        let found = catalogue::checkpoint(name).unwrap();
        assert_eq!((&*found.model.name, found.weights), (model, weights), "{name}");
        assert_eq!(found.is_stand_in, name != model, "{name}");
    }
    assert!(catalogue::checkpoint("no/such").unwrap_err().to_string().contains("hint:"));
}

#[test]
fn no_name_means_two_things() {
    let models = catalogue::models().iter();
    let names = models.flat_map(|model| model.aliases.iter().chain([&model.name]));
    let gpus = catalogue::gpus().iter();
    let names = names.chain(gpus.flat_map(|gpu| gpu.aliases.iter().chain([&gpu.name])));
    let mut seen = BTreeSet::new();
    for name in names {
        assert!(seen.insert(name.to_lowercase()), "{name} twice");
    }
}

/// Weights that vLLM printed on one GPU, in GiB, a little more than the parameters because of rotary caches and buffers
/// (Llama-3.1-8B: 131072 × 128 × 2 B = 0.03); llama.cpp's `n_params` for SmolLM2.
#[test]
fn weights_are_those_that_servers_print() {
    for (name, printed) in [
        ("meta-llama/Llama-3.1-8B-Instruct", 14.9888),
        ("Qwen/Qwen3-8B", 15.2683),
        ("Qwen/Qwen3-14B", 27.5185),
        ("Qwen/Qwen2.5-7B-Instruct", 14.25),
        ("google/gemma-3-1b-it", 1.9148),
    ] {
        let weights = catalogue::model(name).unwrap().weights_16_bit().as_gib();
        assert!((0.0..0.07).contains(&(printed - weights)), "{name}: {weights} GiB");
    }
    let smollm = catalogue::model("smollm2").unwrap();
    assert_eq!(smollm.parameters.value, 134_515_008);
}

#[test]
fn every_gpu_shows_programs_less_than_the_box_and_dates_its_facts() {
    for gpu in catalogue::gpus() {
        assert!(!gpu.marketed.source.is_empty() && gpu.marketed.date.starts_with("20"));
        let (visible, box_gib) = (gpu.visible(), Bytes::from_gib(gpu.marketed.value.as_gb()));
        // Vendors round to binary gigabytes below 100 GB, so compare with the figure read as GiB.
        assert!(
            visible.low <= visible.likely && visible.likely <= visible.high && visible.high <= box_gib,
            "{}",
            gpu.name
        );
        assert!(visible.low.as_gib() > box_gib.as_gib() * 0.905, "{}", gpu.name);
    }
    let unknown = catalogue::gpus().iter().filter(|gpu| gpu.cuda_visible.is_none());
    let unknown: Vec<_> = unknown.map(|gpu| gpu.name.as_str()).collect();
    let expected = ["V100 16GB", "Arc Pro B60", "V100 32GB", "Arc Pro B70", "Gaudi 3", "TPU v7"];
    assert_eq!(unknown, expected);
    assert!(catalogue::gpus().iter().all(|gpu| gpu.bandwidth.is_some()));
}

#[test]
fn unknown_prices_are_unknown() {
    let prices = Prices::builtin();
    assert_eq!(prices.sets()[0].name, "reference report 2025-11-26");
    assert!(prices.purchase("RTX 4090", 1).is_none());
    assert!(prices.rent("RTX A6000", 1, 1).is_none());
    let p4d = prices.rent("A100 40GB", 8, 1).unwrap();
    assert_eq!((p4d.quote.price.get(), p4d.quote.offer), (32.0, Some("AWS p4d.24xlarge")));
    // Sixteen cards of one replica are in no machine.
    assert!(prices.rent("H100 80GB", 16, 1).is_none());
}

/// The reference report's server: gemma-3-12b in 4 bits on an RTX 3090, 10.28 GiB for the KV cache, so 10.9 GiB of the
/// 21.2 GiB that it may use are weights and scratch. The 4-bit weights are about 8.3 GiB (0.56 B for each of 10.76e9
/// parameters in layers, 2 B for the rest), which leaves 2.6 ± 0.5 GiB for what the budget predicts.
#[test]
fn the_scratch_prior_agrees_with_the_reference_server() {
    let model = catalogue::model("google/gemma-3-12b-it").unwrap();
    let gpu = catalogue::gpu("RTX 3090").unwrap();
    let budget = Engine::vllm("0.11.2").unwrap().memory_budget(model, gpu, 1).unwrap();
    let scratch = (budget.activation + budget.outside_framework).as_gib();
    assert!((2.1..3.1).contains(&scratch), "{scratch} GiB");
    assert_eq!(budget.available(), None, "16-bit weights do not fit on 24 GB");
}

/// Activation peaks that logs of vLLM 0.10.2 to 0.11.0 print: 5.56 to 5.64 GiB for Qwen3 and 4.76 to 4.84 GiB for Llama on
/// an H100; 1.40 GiB for Qwen3-8B on a 24 GB card.
#[test]
fn activation_peaks_are_near_those_of_logs() {
    for (model, gpu, printed) in [
        ("Qwen/Qwen3-8B", "H100 80GB", 5.56..5.70),
        ("meta-llama/Llama-3.1-8B-Instruct", "H100 80GB", 4.74..4.86),
        ("Qwen/Qwen3-8B", "RTX 4090", 1.38..1.45),
    ] {
        let gpu = catalogue::gpu(gpu).unwrap();
        let model = catalogue::model(model).unwrap();
        let budget = Engine::vllm("0.11.2").unwrap().memory_budget(model, gpu, 1).unwrap();
        let peak = budget.activation.as_gib();
        assert!(printed.contains(&peak), "{} {peak}", model.name);
    }
}
