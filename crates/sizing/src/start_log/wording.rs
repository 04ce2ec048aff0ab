//! What each line of a log is worded like, by version; one function a subject, tried in turn.

use super::scan::{Scan, plain, rank};
use super::{Available, Failure, StartLog, dated};

/// Reads one line into the log.
pub(super) fn read(log: &mut StartLog, line: &str) {
    let line = plain(line);
    let (rank, rest) = rank(&line);
    let scan = Scan::new(rest);
    if scan.has("GPU KV cache size") || scan.has("Available KV cache memory") {
        log.version_by_line = log.version_by_line.take().or(dated::version(rest).map(str::to_owned));
    }
    engine(log, scan);
    arguments(log, scan);
    sizes(log, scan);
    memory(log, scan);
    available(log, rank, scan);
    pool(log, rank, scan);
    failures(log, scan);
}

/// "Initializing a V1 LLM engine (v0.11.2) with config: model='…', …", the line with nearly everything.
fn engine(log: &mut StartLog, scan: Scan<'_>) {
    if let Some(version) = scan.after("vLLM API server version").and_then(Scan::name) {
        log.version = Some(version.to_owned());
    }
    let Some(config) = scan.after("Initializing a") else {
        return;
    };
    let stated = config.after("engine (v").and_then(|rest| rest.text().split(')').next());
    log.version = stated.map(str::to_owned).or(log.version.take());
    let name = |key: &str| config.after(key).and_then(Scan::name).map(str::to_owned);
    log.model = name("model=").or(log.model.take());
    if let Some(served) = name("served_model_name=") {
        log.served_names = vec![served];
    }
    let count = |key: &str| config.after(key).and_then(Scan::count);
    let flags = &mut log.flags;
    flags.max_model_len = count("max_seq_len=").or(flags.max_model_len);
    flags.tensor_parallel_size = count("tensor_parallel_size=").or(flags.tensor_parallel_size);
    flags.pipeline_parallel_size = count("pipeline_parallel_size=").or(flags.pipeline_parallel_size);
    flags.data_parallel_size = count("data_parallel_size=").or(flags.data_parallel_size);
    let dcp = count("decode_context_parallel_size=");
    flags.decode_context_parallel_size = dcp.or(flags.decode_context_parallel_size);
    flags.kv_cache_dtype = name("kv_cache_dtype=").or(flags.kv_cache_dtype.take());
    flags.quantization = name("quantization=").or(flags.quantization.take());
    let flag = |key: &str| config.after(key).and_then(Scan::flag);
    flags.enforce_eager = flag("enforce_eager=").or(flags.enforce_eager);
    flags.enable_prefix_caching = flag("enable_prefix_caching=").or(flags.enable_prefix_caching);
    flags.cpu |= name("device_config=").as_deref() == Some("cpu");
    let drafted = config.after("num_spec_tokens=").or_else(|| config.after("num_speculative_tokens="));
    flags.num_speculative_tokens = drafted.and_then(Scan::count).or(flags.num_speculative_tokens);
}

/// "non-default args: {…}" of the API server.
fn arguments(log: &mut StartLog, scan: Scan<'_>) {
    let Some(args) = scan.after("non-default args:") else {
        return;
    };
    let value = |key: &str| args.after(key);
    let count = |key: &str| value(key).and_then(Scan::count);
    let flags = &mut log.flags;
    flags.max_model_len = count("'max_model_len':").or(flags.max_model_len);
    flags.max_num_seqs = count("'max_num_seqs':").or(flags.max_num_seqs);
    flags.max_num_batched_tokens = count("'max_num_batched_tokens':").or(flags.max_num_batched_tokens);
    flags.tensor_parallel_size = count("'tensor_parallel_size':").or(flags.tensor_parallel_size);
    flags.block_size = count("'block_size':").or(flags.block_size);
    let share = value("'gpu_memory_utilization':").and_then(Scan::number);
    flags.gpu_memory_utilization = share.or(flags.gpu_memory_utilization);
    if let Some(model) = value("'model':").and_then(Scan::name) {
        log.model = Some(model.to_owned());
    }
    if let Some(names) = value("'served_model_name': [").and_then(|rest| rest.text().split(']').next()) {
        let names = names.split(',').map(|name| name.trim_matches([' ', '\'', '"']).to_owned());
        log.served_names = names.collect();
    }
}

/// Lengths, steps, blocks, padding.
fn sizes(log: &mut StartLog, scan: Scan<'_>) {
    let count = |phrase: &str| scan.after(phrase).and_then(Scan::count);
    let flags = &mut log.flags;
    flags.max_model_len = count("Using max model len").or(flags.max_model_len);
    if let Some(reduced) = scan.after("Auto-fit max_model_len: reduced from") {
        flags.max_model_len = reduced.after(" to").and_then(Scan::count).or(flags.max_model_len);
    }
    let step = count("Chunked prefill is enabled with max_num_batched_tokens");
    flags.max_num_batched_tokens = step.or(flags.max_num_batched_tokens);
    if let Some(raised) = scan.after("Raising max_num_batched_tokens from") {
        flags.max_num_batched_tokens = raised.after(" to").and_then(Scan::count);
    }
    let block = count("Setting attention block size to").or(count("Setting kv cache block size to"));
    flags.block_size = block.or(flags.block_size);
    if let Some(mode) = scan.after("Mamba cache mode is set to").and_then(Scan::name) {
        flags.mamba_cache_mode = Some(mode.to_owned());
    }
    if let Some(blocks) = scan.after("num_gpu_blocks_override").and_then(Scan::count) {
        flags.num_gpu_blocks_override = Some(blocks);
    }
    flags.hybrid_manager_disabled |= scan.has("Hybrid KV cache manager is disabled");
    let ranks = count("Multiplying the GPU KV cache size by the dcp_world_size");
    flags.decode_context_parallel_size = ranks.or(flags.decode_context_parallel_size);
    if let Some(added) = scan.after("Add ").filter(|rest| rest.has("padding layers")) {
        let wasted = added.after("may waste at most").and_then(Scan::number);
        log.padding.extend(added.count().zip(wasted));
    }
}

/// Parts of the memory: V0's own lines, the breakdown in both wordings, weights and graphs.
fn memory(log: &mut StartLog, scan: Scan<'_>) {
    let gib = |phrase: &str| scan.after(phrase).and_then(Scan::number);
    // "… 14.73 GiB for consumed memory": the figure stands before its name.
    let before = |name: &str| {
        let (front, _) = scan.text().split_once(name)?;
        let figure = front.trim_end().rsplit(' ').next()?;
        Scan::new(figure.trim_end_matches("GiB")).number()
    };
    let memory = &mut log.memory;
    let weights = gib("Loading model weights took").or(gib("Model loading took"));
    let weights = weights.or(gib("model weights take")).or(before(" GiB for weight,"));
    let weights = weights.or(gib("weights memory:"));
    memory.weights_gib = memory.weights_gib.or(weights);
    let activation = before(" GiB for peak activation").or(gib("PyTorch activation peak memory takes"));
    memory.activation_gib = activation.or(gib("torch peak memory increase:")).or(memory.activation_gib);
    let outside = before(" GiB for non-torch memory").or(gib("non_torch_memory takes"));
    let outside = outside.or(gib("non-torch forward increase memory:"));
    memory.non_torch_gib = outside.or(memory.non_torch_gib);
    memory.consumed_gib = before(" GiB for consumed memory").or(memory.consumed_gib);
    let graphs = before(" GiB for CUDAGraph memory").or(gib("Graph capturing finished in").and(gib("secs, took")));
    memory.graphs_gib = graphs.or(gib("CUDA graph pool memory:")).or(memory.graphs_gib);
    let estimated = gib("Estimated CUDA graph memory:").or(before(" GiB (estimated)"));
    memory.graphs_estimated_gib = estimated.or(memory.graphs_estimated_gib);
    if let Some(free) = scan.after("Free memory on device").and_then(|rest| rest.after("(")) {
        memory.free_gib = free.number();
        memory.total_gib = free.after("/").and_then(Scan::number);
    }
    if let Some(desired) = scan.after("GPU memory utilization is (").or(scan.after("GPU memory utilization (")) {
        log.flags.gpu_memory_utilization = desired.number();
        memory.requested_gib = desired.after(",").and_then(Scan::number);
    }
    if let Some(total) = scan.after("total_gpu_memory") {
        memory.total_gib = total.number();
        let share = scan.after("gpu_memory_utilization").and_then(Scan::number);
        log.flags.gpu_memory_utilization = share.or(log.flags.gpu_memory_utilization);
        memory.requested_gib = total.after(") = ").and_then(Scan::number).or(memory.requested_gib);
    }
    let bytes = scan.after("Current kv cache memory in use is").filter(|rest| rest.has("bytes"));
    let exact = bytes.and_then(Scan::count).or(scan.after("cpu_kvcache_space_bytes=").and_then(Scan::count));
    memory.kv_cache_bytes = exact.or(memory.kv_cache_bytes);
}

/// Memory that is left for the KV cache.
fn available(log: &mut StartLog, rank: &str, scan: Scan<'_>) {
    let phrases = ["Available KV cache memory:", "the rest of the memory reserved for KV Cache is", "kv_cache_size="];
    let printed = phrases.iter().find_map(|phrase| scan.after(phrase).and_then(Scan::number));
    let reserved = scan.after("reserved").filter(|rest| rest.has("GiB memory for KV Cache as specified"));
    if let Some(gib) = printed.or(reserved.and_then(Scan::number)) {
        log.available.push(Available { rank: rank.to_owned(), gib });
    }
    // vLLM-Ascend prints bytes: "Available memory: 26954181529, total memory: 46431260672".
    let bytes = scan.after("Available memory:").filter(|rest| rest.has("total memory:"));
    log.memory.kv_cache_bytes = bytes.and_then(Scan::count).or(log.memory.kv_cache_bytes);
}

/// Blocks, tokens and concurrency, on lines of their own or on one, under any device's name.
fn pool(log: &mut StartLog, rank: &str, scan: Scan<'_>) {
    let phrases = ["# GPU blocks:", "# cuda blocks:", "num_gpu_blocks is:", "num_gpu_blocks="];
    let blocks =
        phrases.iter().find_map(|phrase| scan.after(phrase).and_then(Scan::count)).filter(|_| !scan.has("Overriding"));
    if let Some(blocks) = blocks {
        log.pool_of(rank, |pool| pool.blocks.is_none()).blocks = Some(blocks);
    }
    if let Some(tokens) = scan.after("KV cache size:").filter(|rest| rest.has("tokens")).and_then(Scan::count) {
        log.pool_of(rank, |pool| pool.tokens.is_none()).tokens = Some(tokens);
    }
    let Some(concurrency) = scan.after("Maximum concurrency for") else {
        return;
    };
    let times = concurrency.after("per request:").and_then(Scan::number);
    let pool = log.pool_of(rank, |pool| pool.concurrency.is_none());
    pool.length = concurrency.count();
    pool.concurrency = times;
}

fn failures(log: &mut StartLog, scan: Scan<'_>) {
    let too_small = scan.after("max seq len (").filter(|rest| rest.has("KV cache"));
    if let Some(rest) = too_small.filter(|rest| rest.has("is larger than") || rest.has("needed")) {
        log.failures.push(Failure::TooSmall {
            length: rest.count(),
            needed_gib: rest.after("), (").and_then(Scan::number),
            available_gib: rest.after("available KV cache memory (").and_then(Scan::number),
            estimated_length: rest.after("estimated maximum model length is").and_then(Scan::count),
        });
    }
    if scan.has("No available memory for the cache blocks") {
        log.failures.push(Failure::NoMemory);
    }
    if scan.has("on startup is less than desired GPU memory utilization") {
        log.failures.push(Failure::BusyGpu { free_gib: log.memory.free_gib, total_gib: log.memory.total_gib });
    }
    if let Some(rest) = scan.after("out of memory occurred when warming up sampler with") {
        log.failures.push(Failure::SamplerOutOfMemory { sequences: rest.count() });
    }
}
