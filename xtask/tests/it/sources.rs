//! House rules that no lint knows: modules say what they are for, and functions of arguments stay that.

use std::{fs, path::Path};

/// All Rust sources of the workspace, as (path, text).
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let mut found = Vec::new();
    let mut folders = vec![root.join("crates"), root.join("xtask")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources").map(|e| e.expect("an entry").path()) {
            if entry.is_dir() && entry.file_name().is_some_and(|name| name != "target") {
                folders.push(entry);
            } else if entry.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&entry).expect("UTF-8");
                let name = entry.strip_prefix(root).expect("below the root").display().to_string();
                found.push((name, text));
            }
        }
    }
    assert!(found.len() > 50, "the walk found the sources: {}", found.len());
    found
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let silent: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(name, _)| name).collect();
    assert_eq!(silent, [""; 0], "please open these files with //!");
}

#[test]
fn no_test_is_switched_off_and_nothing_is_left_for_later() {
    let marks = ["#[ignore", "todo!(", "unimplemented!(", "FIXME", "XXX"];
    let own = "xtask/tests/it/sources.rs";
    for (name, text) in sources().into_iter().filter(|(name, _)| name != own) {
        for mark in marks {
            assert!(!text.contains(mark), "{name} has {mark}");
        }
    }
}

#[test]
fn pure_crates_opt_in_to_the_lint_that_keeps_them_pure() {
    for pure in ["sizing", "stats", "analysis", "report"] {
        let name = format!("crates/{pure}/src/lib.rs");
        let (_, text) = sources().into_iter().find(|(n, _)| *n == name).expect("a crate root");
        assert!(text.contains("clippy::disallowed_methods"), "{name}");
    }
}
