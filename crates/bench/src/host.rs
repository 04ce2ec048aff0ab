//! The machine and the build that measure.

use std::{
    fs, thread,
    time::{SystemTime, UNIX_EPOCH},
};

use records::{Host, Tool};

/// The machine that the client runs on. What the system does not tell stays absent.
pub fn host() -> Host {
    Host {
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cpu_model: field_of("/proc/cpuinfo", "model name"),
        cpus: thread::available_parallelism().ok().and_then(|n| u32::try_from(n.get()).ok()),
        memory_bytes: field_of("/proc/meminfo", "MemTotal").and_then(|kib| {
            let kib: u64 = kib.trim_end_matches("kB").trim().parse().ok()?;
            Some(kib * 1024)
        }),
    }
}

/// The first value of `name : value` in a file of such lines.
fn field_of(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let (_, value) = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name)?;
    Some(value.trim().to_owned())
}

/// This program.
pub fn tool() -> Tool {
    Tool {
        name: "plimsoll".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        git_revision: option_env!("PLIMSOLL_GIT_REVISION").map(Into::into),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
    }
}

/// Nanoseconds since 1970-01-01T00:00:00Z.
pub fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
