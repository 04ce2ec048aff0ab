//! The embedded facts: readable, found by the names in use, and right where something outside says what is right.

use std::collections::BTreeSet;

use sizing::{Bytes, Engine, catalogue};

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
    let error = catalogue::model("gemma-3-12b-it-bnb-4bit").unwrap_err().to_string();
    assert!(error.contains("gemma-3-12b-it-bnb-4bit"), "{error}");
    assert_eq!(catalogue::gpu("NVIDIA GeForce RTX 3090").unwrap().name, "RTX 3090");
    assert!(catalogue::gpu("").is_err() && catalogue::model("").is_err());
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
        if let Some(visible) = &gpu.cuda_visible {
            // Vendors round to binary gigabytes below 100 GB, so compare with the figure read as GiB.
            let box_gib = Bytes::from_gib(gpu.marketed.value.as_gb());
            assert!(visible.value < box_gib, "{}", gpu.name);
            assert!(visible.value.as_gib() > box_gib.as_gib() * 0.9, "{}", gpu.name);
        }
    }
    let unknown: Vec<_> =
        catalogue::gpus().iter().filter(|gpu| gpu.cuda_visible.is_none()).map(|gpu| gpu.name.as_str()).collect();
    let expected = [
        "A10G",
        "L4",
        "RTX 5090",
        "RTX 6000 Ada",
        "H100 PCIe",
        "H20",
        "Gaudi 3",
        "B200",
        "MI300X",
        "MI325X",
        "B300",
        "MI355X",
    ];
    assert_eq!(unknown, expected);
}

#[test]
fn unknown_prices_are_unknown() {
    let prices = catalogue::prices();
    assert_eq!(prices.sets()[0].name, "reference report 2025-11-26");
    assert!(prices.purchase("RTX 4090", 1).is_none());
    assert!(prices.cloud("RTX A6000", 1).is_none());
    let p4d = prices.cloud("A100 40GB", 8).unwrap();
    assert_eq!((p4d.price.get(), p4d.offer), (32.0, Some("AWS p4d.24xlarge")));
    assert!(prices.cloud("A100 40GB", 4).is_none());
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
