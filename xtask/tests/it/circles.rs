//! No files import each other in a circle (`docs/architecture.md`, invariants).
//!
//! Reads sources, not the compiler's view: `use` trees and inline paths that begin with `crate`, `super`, `self` or a
//! module declared in the file. A name that a module re-exports counts as an import of the file that defines it; the
//! re-export itself is no import. What a module hands down to those inside it (`super::`) is no import either, since the
//! two are one thing seen from outside. Test modules are left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::rust_files::{root, rust_files};

/// Segments of a module path from the crate root; the root is empty.
type Module = Vec<String>;

/// One file of a crate.
#[derive(Debug)]
struct File {
    /// Path from the workspace root.
    name: String,
    /// Child modules, in files of their own or inline.
    children: BTreeSet<String>,
    /// Names of items defined here.
    defined: BTreeSet<String>,
    /// Re-exported name to its path; `*` re-exports are in `globs`.
    reexported: BTreeMap<String, Module>,
    globs: Vec<Module>,
    /// Paths that are imported or named, from the crate root.
    paths: BTreeSet<Module>,
}

/// The circles of a graph: strongly connected sets of more than one file.
fn circles(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reachable = |from: &String| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(file) = open.pop() {
            for next in edges.get(file).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = edges.keys().map(|file| (file, reachable(file))).collect();
    let mut found = BTreeSet::new();
    for (file, others) in &reached {
        let circle: BTreeSet<String> = others
            .iter()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(*file)))
            .cloned()
            .collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

/// The text without comments and literals, so that braces and words are code.
fn code(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let starts = |at: usize, what: &str| what.chars().enumerate().all(|(i, c)| bytes.get(at + i) == Some(&c));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let raw = (bytes[at] == 'r').then(|| bytes[at + 1..].iter().take_while(|c| **c == '#').count());
        let fresh = at == 0 || !(bytes[at - 1].is_alphanumeric() || bytes[at - 1] == '_') || bytes[at - 1] == 'b';
        if starts(at, "//") {
            while at < bytes.len() && bytes[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            while at < bytes.len() && !starts(at, "*/") {
                at += 1;
            }
            at += 2;
        } else if let Some(hashes) = raw.filter(|hashes| fresh && bytes.get(at + 1 + hashes) == Some(&'"')) {
            let end = format!("\"{}", "#".repeat(hashes));
            at += 2 + hashes;
            while at < bytes.len() && !starts(at, &end) {
                at += 1;
            }
            at += end.len();
        } else if bytes[at] == '"' {
            at += 1;
            while at < bytes.len() && bytes[at] != '"' {
                at += if bytes[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if bytes[at] == '\'' && bytes.get(at + 1) == Some(&'\\') {
            at += 3;
            while at < bytes.len() && bytes[at] != '\'' {
                at += 1;
            }
            at += 1;
        } else if bytes[at] == '\'' && bytes.get(at + 2) == Some(&'\'') {
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

/// The code before its test module, which by convention is last.
fn without_tests(code: &str) -> &str {
    let tests = code
        .match_indices("#[cfg(test)]")
        .find(|(at, mark)| code[at + mark.len()..].trim_start().starts_with("mod tests {"));
    tests.map_or(code, |(at, _)| &code[..at])
}

/// Words and signs; `::` is one.
fn tokens(code: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        out.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    out
}

/// Expands the `use` tree at `at`, in front of which stands `prefix`: (path, name that it gets here). Returns where it ends.
fn use_tree(tokens: &[&str], mut at: usize, prefix: &[String], found: &mut Vec<(Module, String)>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at).copied() {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| *token != "}") {
                    at = use_tree(tokens, at, &path, found);
                    at += usize::from(tokens.get(at) == Some(&","));
                }
                return at + 1;
            }
            Some("::") => at += 1,
            Some(";" | "," | "}") | None => {
                let name = path.last().cloned().unwrap_or_default();
                found.push((path, name));
                return at;
            }
            Some("as") => {
                let name = tokens.get(at + 1).copied().unwrap_or_default().to_owned();
                found.push((path, name));
                return at + 2;
            }
            Some("self") if !path.is_empty() => at += 1,
            Some(word) => {
                path.push(word.to_owned());
                at += 1;
            }
        }
    }
}

/// `path` as it stands in the file of `module`, from the crate root; `None` if it leads out of the crate.
fn absolute(path: &[String], module: &Module, children: &BTreeSet<String>) -> Option<Module> {
    let mut base = module.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|word| word == "super") {
                base.pop()?;
                rest = &rest[1..];
            }
        }
        child if children.contains(child) => {}
        _ => return None,
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

fn read(name: String, text: &str, module: &Module) -> File {
    const KINDS: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "const", "static", "union"];
    let code = code(text);
    let tokens = tokens(without_tests(&code));
    let pairs = || tokens.iter().zip(tokens.iter().skip(1));
    let children = pairs().filter(|(word, _)| **word == "mod").map(|(_, name)| (*name).to_owned()).collect();
    let defined = pairs().filter(|(word, _)| KINDS.contains(word)).map(|(_, name)| (*name).to_owned()).collect();
    let mut file =
        File { name, children, defined, reexported: BTreeMap::new(), globs: Vec::new(), paths: BTreeSet::new() };
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" && !(at > 0 && ["<", ",", "+"].contains(&tokens[at - 1])) {
            let public = at > 0 && (tokens[at - 1] == "pub" || tokens[at - 1] == ")");
            let mut found = Vec::new();
            at = use_tree(&tokens, at + 1, &[], &mut found);
            for (path, here) in found {
                let Some(path) = absolute(&path, module, &file.children) else { continue };
                if public && here == "*" {
                    file.globs.push(path[..path.len() - 1].to_vec());
                } else if public {
                    file.reexported.insert(here, path);
                } else {
                    file.paths.insert(path);
                }
            }
            continue;
        }
        let begins = at == 0 || !["::", "mod", "."].contains(&tokens[at - 1]);
        if begins && tokens.get(at + 1) == Some(&"::") {
            let mut path = vec![tokens[at].to_owned()];
            while tokens.get(at + 1) == Some(&"::")
                && let Some(word) =
                    tokens.get(at + 2).filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
            {
                path.push((*word).to_owned());
                at += 2;
            }
            file.paths.extend(absolute(&path, module, &file.children));
        }
        at += 1;
    }
    file
}

/// The file that defines what `path` names, as far as names can be followed.
fn defines<'a>(path: &[String], files: &'a BTreeMap<Module, File>, depth: usize) -> Option<&'a File> {
    let length = (0..=path.len()).rev().find(|length| files.contains_key(&path[..*length]))?;
    let file = &files[&path[..length]];
    let Some(name) = path.get(length) else { return Some(file) };
    if depth == 0 || file.defined.contains(name) {
        return Some(file);
    }
    if let Some(origin) = file.reexported.get(name) {
        let mut origin = origin.clone();
        origin.extend_from_slice(&path[length + 1..]);
        return defines(&origin, files, depth - 1);
    }
    for glob in &file.globs {
        let mut origin = glob.clone();
        origin.extend_from_slice(&path[length..]);
        if let Some(found) = defines(&origin, files, depth - 1).filter(|found| found.defined.contains(name)) {
            return Some(found);
        }
    }
    Some(file)
}

/// Imports between the files of one crate, by their names.
fn imports(files: &BTreeMap<Module, File>) -> BTreeMap<String, BTreeSet<String>> {
    let targets = |(module, file): (&Module, &File)| {
        let is_ancestor = |target: &File| {
            (0..module.len()).any(|length| files.get(&module[..length]).is_some_and(|above| above.name == target.name))
        };
        let defining = file.paths.iter().filter_map(|path| defines(path, files, 8));
        let others = defining.filter(|target| target.name != file.name && !is_ancestor(target));
        (file.name.clone(), others.map(|target| target.name.clone()).collect())
    };
    files.iter().map(targets).collect()
}

/// The files below `src`, by module.
fn sources(src: &Path) -> BTreeMap<Module, File> {
    let mut files = BTreeMap::new();
    for (path, text) in rust_files([src.to_path_buf()]) {
        let below = path.strip_prefix(src).expect("below src").with_extension("");
        let mut module: Module = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if module.last().is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str())) {
            module.pop();
        }
        let name = path.strip_prefix(root()).expect("below the root").display().to_string();
        let file = read(name, &text, &module);
        // A program beside a library has the same root; the library's counts.
        if !(file.name.ends_with("/main.rs") && files.contains_key(&module)) {
            files.insert(module, file);
        }
    }
    files
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let crates = fs::read_dir(root().join("crates")).expect("the crates").map(|entry| entry.expect("an entry").path());
    let mut found = Vec::new();
    let mut count = 0;
    for src in crates.chain([root().join("xtask")]).map(|path| path.join("src")) {
        let imports = imports(&sources(&src));
        count += imports.values().map(BTreeSet::len).sum::<usize>();
        for circle in circles(&imports) {
            let inside = |file: &String| imports[file].iter().filter(|to| circle.contains(*to)).cloned().collect();
            let arrows: Vec<(String, Vec<String>)> = circle.iter().map(|file| (file.clone(), inside(file))).collect();
            found.push(format!("{arrows:#?}"));
        }
    }
    assert!(count > 500, "the imports were read: {count}");
    assert!(found.is_empty(), "{} circles of files that import each other:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_circle_is_found_through_a_reexport_and_a_nested_tree() {
    let module = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Module>();
    let graph = |texts: &[(&str, &str)]| {
        let files = texts.iter().map(|(path, text)| (module(path), read((*path).to_owned(), text, &module(path))));
        circles(&imports(&files.collect()))
    };
    let root = "mod a; mod b; pub use a::One;";
    let circle = [("a".to_owned()), ("b".to_owned())].into();
    assert_eq!(
        graph(&[("", root), ("a", "use crate::b::Two; pub struct One;"), ("b", "use crate::{One}; struct Two;")]),
        [circle]
    );
    assert_eq!(graph(&[("", root), ("a", "pub struct One;"), ("b", "use crate::{One}; struct Two;")]), []);
    // Text and tests are no imports.
    let quiet = "// use crate::b::Two;\nconst T: &str = \"crate::b::Two\"; pub struct One;\n#[cfg(test)]\nmod tests { use crate::b::Two; }";
    assert_eq!(graph(&[("", root), ("a", quiet), ("b", "use crate::{One}; struct Two;")]), []);
    // A module and its child are one thing, and two files that reach each other through the parent are not.
    let (outer, inner) =
        (("m", "mod n; use self::n::{f, g as h}; fn up() {}"), ("m/n", "fn f() { super::up(); } fn g() {}"));
    assert_eq!(graph(&[("", "mod m;"), outer, inner]), []);
    let (one, two) = (("m/n", "use super::o::f; fn g() {}"), ("m/o", "fn f() { super::n::g(); }"));
    assert_eq!(graph(&[("m", "mod n; mod o;"), one, two]).len(), 1);
}
