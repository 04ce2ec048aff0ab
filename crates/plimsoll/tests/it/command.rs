//! The command line is a promise: what README and docs show exists, and the size command says what vLLM prints.

use std::{collections::BTreeSet, fs, path::Path};

use crate::binary::{json, run, stdout};

const COMMANDS: [&str; 9] = ["all", "bench", "report", "compare", "size", "plan", "sim", "overhead", "gpumon"];

fn help(command: &[&str]) -> String {
    let output = run(&[command, &["--help"]].concat());
    assert_eq!(output.status.code(), Some(0));
    stdout(&output)
}

fn flags_in(text: &str) -> BTreeSet<String> {
    let flag = |word: &str| {
        let word = word.strip_prefix("--")?;
        let end = word.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(word.len());
        (end > 1).then(|| word[..end].trim_end_matches('-').to_owned())
    };
    text.split(|c: char| c.is_whitespace() || "`([|=\"".contains(c)).filter_map(flag).collect()
}

/// Lines of our documents that show a command of ours, as (document, command line).
fn shown_commands() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    let docs = fs::read_dir(root.join("docs")).expect("docs").map(|e| e.expect("an entry").path());
    let documents = docs.chain(["README.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    documents
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .flat_map(|path| {
            let text = fs::read_to_string(&path).expect("UTF-8");
            let name = path.display().to_string();
            let lines = text.lines().map(str::trim).filter(|l| l.starts_with("cargo xtask "));
            lines.map(|l| (name.clone(), l.split(" #").next().unwrap_or(l).trim().to_owned())).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_command_in_the_documents_exists_with_its_flags() {
    let shown = shown_commands();
    assert!(shown.len() >= 4, "the documents show commands: {shown:?}");
    for (document, line) in shown {
        let words: Vec<_> = line.split_whitespace().skip(2).collect();
        let command = words[0];
        if command == "engine" {
            // Only `cargo xtask` has it; its own tests see to its flags.
            continue;
        }
        assert!(COMMANDS.contains(&command), "{document}: {line}");
        let nested = match (command, words.get(1)) {
            ("size", Some(nested)) if ["predict", "explain"].contains(nested) => Some(*nested),
            _ => None,
        };
        let path: Vec<_> = [Some(command), nested].into_iter().flatten().collect();
        let known = flags_in(&help(&path));
        for flag in flags_in(&line) {
            assert!(known.contains(&flag), "{document}: `{line}` shows --{flag}, which `{}` lacks", path.join(" "));
        }
    }
}

#[test]
fn help_teaches_every_command() {
    let overview = help(&[]);
    for command in COMMANDS {
        assert!(overview.contains(command), "{command} is in the overview");
        assert!(help(&[command]).len() > 300, "{command} explains itself");
    }
    assert!(overview.contains("Exit codes"));
}

#[test]
fn size_says_what_vllm_printed_and_what_the_report_worked_out() {
    let output = run(&["size", "--model", "google/gemma-3-12b-it", "--vllm", "0.11.2", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let sized = json(&output);
    // Printed by vLLM 0.11.2 on the reference report's server.
    assert_eq!(sized["kv_cache_tokens"], 28_064);
    assert_eq!(format!("{:.2}", sized["max_concurrency"].as_f64().expect("a number")), "8.62");
    // 24 + 1.5 × 50 + 3, in the report's section 3.1.
    let total = sized["sizing"]["simple"]["total_gb"].as_f64().expect("a number");
    assert!((total - 102.0).abs() < 0.05, "{total}");
    let row = |gpu: &str, count: u64| {
        let options = sized["sizing"]["options"].as_array().expect("options");
        let found = options.iter().find(|o| o["gpu"] == gpu && o["count"] == count);
        found.unwrap_or_else(|| panic!("{count} x {gpu}: {options:?}"))["simple_max_requests"].as_u64()
    };
    // The report's table in section 3.2, where it follows from its own method.
    assert_eq!(row("RTX A6000", 1), Some(14));
    assert_eq!(row("A100 80GB", 1), Some(35));
    assert_eq!(row("A100 80GB", 2), Some(88));

    let text = stdout(&run(&["size"]));
    for figure in ["28,064", "8.62x", "102", "A100 80GB"] {
        assert!(text.contains(figure), "{figure}: {text}");
    }
}
