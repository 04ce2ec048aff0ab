//! What this CPU can do, by Linux's names.

use std::fs;

/// The features of an `x86_64` CPU under Linux; of any other machine none, since no pinned build runs there.
#[derive(Debug)]
pub(super) struct Flags(Vec<String>);

/// Those of this machine.
pub(super) fn flags() -> Flags {
    Flags::of(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
}

impl Flags {
    /// Those that the text of `/proc/cpuinfo` lists.
    pub(super) fn of(cpuinfo: &str) -> Self {
        let listed = cpuinfo.lines().find(|line| line.starts_with("flags"));
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Self(Vec::new());
        }
        let words = listed.unwrap_or_default().split_ascii_whitespace();
        Self(words.map(str::to_owned).collect())
    }

    pub(super) fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|word| word == flag)
    }
}
