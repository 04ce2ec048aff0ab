//! House rules that no lint knows: modules say what they are for, and functions of arguments stay that.

use crate::rust_files::{root, rust_files};

/// All Rust sources of the workspace, as (path, text).
fn sources() -> Vec<(String, String)> {
    let files = rust_files([root().join("crates"), root().join("xtask")]);
    assert!(files.len() > 50, "the walk found the sources: {}", files.len());
    let named = |(path, text): (std::path::PathBuf, String)| {
        (path.strip_prefix(root()).expect("below the root").display().to_string(), text)
    };
    files.into_iter().map(named).collect()
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
