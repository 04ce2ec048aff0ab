//! Crates that we link: their licences and sources, as `deny.toml` allows them, and none that nothing uses.
//!
//! The first three hold what `cargo deny check licenses bans sources` would, without building cargo-deny
//! (`docs/decisions.md`).

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use serde_json::Value;
use spdx::{Expression, ParseMode};

use crate::rust_files::{root, rust_files};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// All packages of the lock file, on every platform, from `cargo metadata`.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages").clone();
    assert!(packages.len() > 100, "cargo listed the packages: {}", packages.len());
    packages
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn is_ours(package: &Value) -> bool {
    package["source"].is_null()
}

/// The licences that `deny.toml` allows.
fn allowed_licences() -> BTreeSet<String> {
    let deny = fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let deny: toml::Table = deny.parse().expect("TOML");
    let allowed = deny["licenses"]["allow"].as_array().expect("a list of licences");
    allowed.iter().map(|licence| licence.as_str().expect("a name").to_owned()).collect()
}

/// Whether the expression can be fulfilled with the allowed licences alone. A slash means `OR`, as it did before SPDX.
fn is_licence_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let parsed = Expression::parse_mode(expression, ParseMode::LAX).expect("an SPDX expression");
    parsed
        .evaluate(|wanted| wanted.addition.is_none() && wanted.license.id().is_some_and(|id| allowed.contains(id.name)))
}

#[test]
fn every_licence_is_allowed() {
    let allowed = allowed_licences();
    for package in packages() {
        let (name, licence) = (text(&package, "name"), text(&package, "license"));
        assert!(
            is_licence_allowed(licence, &allowed),
            "{name} is licensed under {licence:?}, which deny.toml does not allow"
        );
    }
}

#[test]
fn a_licence_is_judged_as_an_expression() {
    let allowed = BTreeSet::from(["MIT".to_owned(), "ISC".to_owned()]);
    for good in ["MIT", "MIT/Apache-2.0", "GPL-3.0-only OR MIT", "MIT AND ISC", "(GPL-2.0-only OR MIT) AND ISC"] {
        assert!(is_licence_allowed(good, &allowed), "{good}");
    }
    for bad in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "Apache-2.0 WITH LLVM-exception"] {
        assert!(!is_licence_allowed(bad, &allowed), "{bad}");
    }
}

#[test]
fn every_crate_comes_from_crates_io_and_no_version_is_a_wildcard() {
    for package in packages() {
        let name = text(&package, "name");
        if !is_ours(&package) {
            assert_eq!(text(&package, "source"), CRATES_IO, "{name}");
            continue;
        }
        for dependency in package["dependencies"].as_array().expect("a list of dependencies") {
            let is_wildcard = text(dependency, "req") == "*" && dependency["path"].is_null();
            assert!(!is_wildcard, "{name} takes any version of {}", text(dependency, "name"));
        }
    }
}

/// The code of all Rust files below the folders or files, without comments.
fn code_below(roots: &[PathBuf]) -> String {
    let mut code = String::new();
    for (_, text) in rust_files(roots.to_vec()) {
        code.extend(text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]));
    }
    code
}

/// Whether the code has the name as a word, followed by `::` or at the end of a `use`.
fn is_named(code: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let after = &code[at + name.len()..];
        !code[..at].ends_with(is_part)
            && (after.starts_with("::") || after.starts_with(" as ") || after.starts_with(';'))
    })
}

/// Dependencies without a name in the code: cargo builds its shared library, and the tests load that as NVIDIA's.
const BUILT_ONLY: &str = "fake-nvml";

#[test]
fn every_dependency_is_used() {
    let mut unused = Vec::new();
    for package in packages().into_iter().filter(is_ours) {
        let manifest = PathBuf::from(text(&package, "manifest_path"));
        let folder = manifest.parent().expect("a folder").to_owned();
        let below = |names: &[&str]| code_below(&names.iter().map(|name| folder.join(name)).collect::<Vec<_>>());
        let library = below(&["src"]);
        let tests = below(&["src", "tests", "benches", "examples", "experiments"]);
        let build = below(&["build.rs"]);
        for dependency in package["dependencies"].as_array().expect("a list of dependencies") {
            let name = dependency["rename"].as_str().unwrap_or_else(|| text(dependency, "name"));
            let code = match dependency["kind"].as_str() {
                None => &library,
                Some("dev") => &tests,
                Some(_) => &build,
            };
            if name != BUILT_ONLY && !is_named(code, &name.replace('-', "_")) {
                unused.push(format!("{}: {name}", text(&package, "name")));
            }
        }
    }
    assert_eq!(unused, [""; 0], "no code names these dependencies");
}

#[test]
fn a_name_is_a_whole_word_of_a_path() {
    assert!(
        is_named("use http::Uri;", "http")
            && is_named("fn f() -> jiff::Span {", "jiff")
            && is_named("use libm;", "libm")
    );
    assert!(!is_named("use hyper_http::X; let http = 1", "http") && !is_named("http1::read", "http"));
}
