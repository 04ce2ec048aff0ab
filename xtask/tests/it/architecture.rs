//! Arrows between crates go one way, and the pure crates stay pure (`docs/architecture.md`, invariants).

use std::{collections::BTreeSet, process::Command};

const OURS: [&str; 11] = [
    "analysis",
    "bench",
    "gpumon",
    "loadgen",
    "plimsoll",
    "records",
    "report",
    "simserver",
    "sizing",
    "stats",
    "xtask",
];

/// Names of all crates that `package` links, itself included.
fn dependencies(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{lib}"])
        .args(["--offline", "--locked", "--all-features"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    let names: BTreeSet<_> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(names.contains(package), "{package} is in its own tree: {names:?}");
    names
}

fn ours(package: &str) -> Vec<&'static str> {
    let linked = dependencies(package);
    OURS.into_iter().filter(|name| *name != package && linked.contains(*name)).collect()
}

#[test]
fn arrows_between_crates_are_as_drawn() {
    for leaf in ["sizing", "stats", "records", "simserver"] {
        assert_eq!(ours(leaf), [""; 0], "{leaf} is a leaf");
    }
    assert_eq!(ours("loadgen"), ["records"]);
    assert_eq!(ours("gpumon"), ["records"]);
    assert_eq!(ours("analysis"), ["records", "sizing", "stats"]);
    assert_eq!(ours("bench"), ["analysis", "gpumon", "loadgen", "records", "sizing", "stats"]);
    assert_eq!(ours("report"), ["analysis", "records", "sizing", "stats"]);
}

#[test]
fn pure_crates_link_no_runtime_no_network_and_no_driver() {
    for pure in ["sizing", "stats", "records", "analysis", "report"] {
        let linked = dependencies(pure);
        for forbidden in ["tokio", "hyper", "ureq", "nvml_wrapper", "socket2", "mio", "clap", "anyhow"] {
            assert!(!linked.contains(forbidden), "{pure} links {forbidden}");
        }
    }
}

#[test]
fn the_library_that_measures_has_no_command_line_and_no_terminal() {
    let linked = dependencies("bench");
    for forbidden in ["clap", "anyhow", "signal_hook", "indicatif"] {
        assert!(!linked.contains(forbidden), "bench links {forbidden}");
    }
}

#[test]
fn the_sampler_has_no_async_runtime() {
    let linked = dependencies("gpumon");
    assert!(!linked.contains("tokio") && !linked.contains("hyper"), "gpumon is one thread: {linked:?}");
}
