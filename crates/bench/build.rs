//! Records the revision that the program was built from, so that a run says which code measured it.
//!
//! Runs again when a commit or a source changes, not when git touches its index.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(revision) = git(&["rev-parse", "--short=12", "HEAD"]) else { return };
    let changed = git(&["status", "--porcelain", "--untracked-files=no", ".."]).is_some_and(|s| !s.is_empty());
    println!("cargo::rustc-env=PLIMSOLL_GIT_REVISION={revision}{}", if changed { "+changes" } else { "" });
    // The log of HEAD grows with every commit and checkout.
    if let Some(path) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={path}");
    }
    for entry in std::fs::read_dir("..").into_iter().flatten().flatten() {
        println!("cargo::rerun-if-changed={}", entry.path().join("src").display());
    }
}
