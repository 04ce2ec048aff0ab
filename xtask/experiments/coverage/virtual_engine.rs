//! The engine of runs in virtual time, and its requests as the tool would have recorded them.

use std::time::Duration;

use records::{Chunks, Connection, Offset, Outcome, RequestRecord, Stage, TokenCount, TokenSource};
use simserver::{Profile, simulate::Served};

pub(crate) const ISL: u32 = 500;
pub(crate) const OSL: u32 = 24;

/// An engine without limits that matter; `noise` is the standard deviation of a step over its mean.
pub(crate) fn profile(seed: u64, noise: f64) -> anyhow::Result<Profile> {
    let text = format!(
        "name = \"virtual\"\ndescription = \"steps that scatter\"\nsource = \"by definition\"\nserved_model = \"m\"\nseed = {seed}\n\
         eos_mean_tokens = 200\n[limits]\nmax_model_len = 8192\nmax_num_seqs = 1024\nmax_num_batched_tokens = 65536\n\
         [kv_cache]\nblock_size = 16\nnum_gpu_blocks = 65536\ngroups = 1\n\
         [timing]\nkind = \"linear\"\nadmission_ms = 2.0\nnoise_fraction = {noise}\nbase_ms = 10.0\nper_sequence_ms = 0.1\nper_prompt_token_ms = 0.02\n"
    );
    Ok(Profile::from_toml(&text)?)
}

/// A request of a level that began at `epoch`, with the stamps of its chunks since it was sent.
pub(crate) fn record(
    (request, level): (u64, u32),
    epoch: Duration,
    served: &Served,
    stage: Stage,
    since_sent_ns: Vec<u64>,
) -> RequestRecord {
    let at = |since: Duration| Offset::from_duration(epoch + since);
    RequestRecord {
        request,
        level,
        stage,
        slot: served.slot,
        turn: None,
        retry: 0,
        intended_ns: at(served.sent),
        sent_ns: at(served.sent),
        connection: Connection::Reused,
        head_ns: None,
        chunks: Chunks { count: u64::from(OSL), since_sent_ns, tokens: Vec::new() },
        first_output_ns: None,
        finished_ns: at(served.last_token),
        asked_output_tokens: OSL,
        prompt_tokens: Some(u64::from(ISL)),
        cached_prompt_tokens: None,
        output_tokens: Some(TokenCount { count: u64::from(OSL), source: TokenSource::Usage }),
        server_timings: None,
        outcome: Outcome::Completed { finish_reason: None },
    }
}
