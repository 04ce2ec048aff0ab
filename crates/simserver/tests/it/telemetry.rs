//! `/metrics` against a capture of vLLM 0.11.2 and against what was asked of the server.

use simserver::{MetricNames, Profile, SimConfig, SimServer};

use crate::client::{ask, capture, chat, completion, quick_profile, quick_server};

/// The value of one sample, such as `num_requests_running`, or with a label.
fn value(page: &str, name: &str, label: &str) -> f64 {
    let mut found = page.lines().filter(|line| {
        line.strip_prefix("vllm:").and_then(|line| line.strip_prefix(name)).is_some_and(|rest| rest.starts_with('{'))
            && line.contains(label)
    });
    let line = found.next().expect(name);
    assert_eq!(found.next(), None, "{name} {label} is one sample");
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect(name)
}

fn scrape(server: &SimServer) -> String {
    ask(server, "GET", "/metrics", "").body()
}

#[test]
fn every_family_label_and_bucket_is_vllms() {
    let (_, captured) = capture("get_metrics_under_load_16.txt");
    let without_value = |line: &str| match line.strip_prefix('#') {
        Some(_) => line.to_owned(),
        None => line.rsplit_once(' ').map_or(line, |(series, _)| series).to_owned(),
    };
    let page = scrape(&quick_server());
    // Both ways, and in their order; the pool of the CPU engine has labels that a GPU's has not.
    let ours: Vec<String> = page
        .lines()
        .filter(|line| line.contains("vllm:") && !line.starts_with("vllm:cache_config_info"))
        .map(without_value)
        .collect();
    let theirs: Vec<String> = captured
        .lines()
        .filter(|line| line.contains("vllm:") && !line.starts_with("vllm:cache_config_info"))
        .map(without_value)
        .collect();
    assert!(theirs.len() > 300);
    assert_eq!(ours, theirs);
}

#[test]
fn old_names_are_there_by_option_and_instead_of_the_new_ones() {
    let server =
        SimServer::start(SimConfig { metric_names: MetricNames::Old, ..SimConfig::new(quick_profile()) }).unwrap();
    ask(&server, "POST", "/v1/completions", &completion(r#","ignore_eos":true,"max_tokens":5"#));
    let page = scrape(&server);
    // Renamed in 0.9.2 and 0.11, as vLLM 0.11.2's loggers.py says.
    for (old, new) in [
        ("gpu_cache_usage_perc", "kv_cache_usage_perc"),
        ("gpu_prefix_cache_queries_total", "prefix_cache_queries_total"),
        ("gpu_prefix_cache_hits_total", "prefix_cache_hits_total"),
        ("time_per_output_token_seconds_count", "inter_token_latency_seconds_count"),
    ] {
        assert!(page.contains(&format!("\nvllm:{old}{{")), "{old}");
        assert!(!page.contains(&format!("\nvllm:{new}{{")), "{new}");
    }
    assert!((value(&page, "time_per_output_token_seconds_count", "") - 4.0).abs() < 1e-9);
}

#[test]
fn cache_config_tells_the_pool_in_vllms_labels() {
    let info = |text: &str| text.lines().find(|line| line.starts_with("vllm:cache_config_info")).map(str::to_owned);
    let (_, captured) = capture("get_metrics_under_load_16.txt");
    let (theirs, ours) = (info(&captured).unwrap(), info(&scrape(&quick_server())).unwrap());
    for label in ["block_size=\"128\"", "num_gpu_blocks=\"728\"", "gpu_memory_utilization=\"0.9\""] {
        assert!(ours.contains(label) && theirs.contains(label), "{label} in {ours}");
    }
    assert!(ours.contains("enable_prefix_caching=\"False\""));
}

#[test]
fn counters_add_up_to_what_was_served() {
    let server = quick_server();
    for tokens in [5, 7] {
        let rest = format!(r#","ignore_eos":true,"max_tokens":{tokens}"#);
        ask(&server, "POST", "/v1/chat/completions", &chat(&rest));
    }
    // EOS comes as soon as it may: after three tokens.
    ask(&server, "POST", "/v1/completions", &completion(r#","min_tokens":3,"stream":true"#));
    ask(&server, "POST", "/v1/completions", &completion(r#","max_tokens":0"#));
    let page = scrape(&server);
    for (name, label, expected) in [
        ("num_requests_running", "", 0.0),
        ("num_requests_waiting", "", 0.0),
        ("kv_cache_usage_perc", "", 0.0),
        ("prompt_tokens_total", "", 37.0 + 37.0 + 4.0),
        ("generation_tokens_total", "", 5.0 + 7.0 + 4.0),
        ("request_success_total", "\"length\"", 2.0),
        ("request_success_total", "\"stop\"", 1.0),
        ("request_success_total", "\"abort\"", 0.0),
        ("num_preemptions_total", "", 0.0),
        ("prefix_cache_queries_total", "", 0.0),
        ("time_to_first_token_seconds_count", "", 3.0),
        ("inter_token_latency_seconds_count", "", 4.0 + 6.0 + 3.0),
        ("e2e_request_latency_seconds_count", "", 3.0),
        ("request_queue_time_seconds_bucket", "\"0.3\"", 3.0),
    ] {
        assert!((value(&page, name, label) - expected).abs() < 1e-9, "{name} {label}: {page}");
    }
    // Steps of exactly a millisecond each, whatever the machine was doing; a gap of 1 ms lies below the first bound of 10 ms.
    assert!((value(&page, "inter_token_latency_seconds_sum", "") - 0.013).abs() < 1e-9);
    assert!((value(&page, "e2e_request_latency_seconds_sum", "") - 0.016).abs() < 1e-9);
    assert!(page.contains("simserver:lateness_seconds{profile=\"quick\",statistic=\"p99\"}"));
}

#[test]
fn a_prompt_that_was_there_before_is_found_in_the_cache() {
    let profile = Profile::builtin("rtx3090-gemma3-12b-bnb4").unwrap();
    let server = SimServer::start(SimConfig::new(profile)).unwrap();
    let ask_for = |content: &str| {
        let body = format!(r#"{{"messages":[{{"content":"{content}"}}],"max_tokens":1}}"#);
        ask(&server, "POST", "/v1/chat/completions", &body);
    };
    // 400 bytes are 100 tokens, with the template 110: six full blocks of 16, all of which the second request finds. The third shares 200
    // bytes, which after three tokens of the template fill three blocks.
    let content = "0123456789".repeat(40);
    ask_for(&content);
    ask_for(&content);
    ask_for(&format!("{}{}", &content[..200], "z".repeat(200)));
    let page = scrape(&server);
    for (name, expected) in [
        ("prefix_cache_queries_total", 330.0),
        ("prefix_cache_hits_total", 96.0 + 48.0),
        ("prompt_tokens_total", 330.0),
    ] {
        assert!((value(&page, name, "") - expected).abs() < 1e-9, "{name}: {page}");
    }
    assert!(page.contains("enable_prefix_caching=\"True\""));
}
