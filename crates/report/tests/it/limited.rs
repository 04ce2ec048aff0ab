//! What limited each level, and its energy, in both languages.

use analysis::{Bottleneck, BottleneckEvidence as Evidence, BottleneckVerdict as Verdict, EnergyLevel, WindowIssue};
use records::{RunData, RunDir};
use report::{Language, render};

use crate::fixture;

fn document(language: Language) -> String {
    let (run, mut summary) = fixture::llama_cpp();
    let verdicts = [Verdict::Nothing, Verdict::KvCache, Verdict::EngineStep];
    for (level, verdict) in summary.levels.iter_mut().zip(verdicts.into_iter().cycle()) {
        level.bottleneck = Some(Bottleneck {
            verdict,
            evidence: vec![
                Evidence::KvUsage { max: 0.97, full_from: 0.9 },
                Evidence::WaitingFor { reason: "capacity".into(), mean: 2.5 },
                Evidence::DramActive { percent: 61.0 },
            ],
            missing: vec!["gpu_profiling".into()],
        });
        level.energy = Some(EnergyLevel {
            energy_j: Some(1200.0),
            j_per_output_token: Some(60.0),
            issues: vec![WindowIssue::EnergyMismatch { counter_j: 1200.0, integral_j: 1000.0 }],
            ..EnergyLevel::default()
        });
    }
    let files = render(&run, &summary, language).expect("fixtures render");
    String::from_utf8(files[0].bytes.clone()).expect("documents are UTF-8")
}

#[test]
fn verdict_evidence_and_what_was_not_seen_stand_in_one_row() {
    let text = document(Language::En);
    let row = text.lines().find(|line| line.contains("memory for the KV cache")).expect("a row");
    for part in [
        "KV cache up to 97.0% (full from 90.0%)",
        "waiting for capacity 2.5",
        "memory bandwidth in use 61.0%",
        "GPU profiling counters",
    ] {
        assert!(row.contains(part), "{part}: {row}");
    }
    assert!(text.contains("nothing: more load gives more"));
    let energy = text.lines().find(|line| line.contains("energy") && line.contains("mismatch")).expect("a row");
    for part in ["1,200", "60.000"] {
        assert!(energy.contains(part), "{part}: {energy}");
    }
}

#[test]
fn both_languages_have_all_the_words() {
    for language in Language::ALL {
        assert!(!document(language).contains('⟦'));
    }
    assert!(document(Language::Ko).contains("단계별 병목"));
}

/// A run on vLLM 0.12.0 with 24 KV blocks: the figures are those that its `/metrics` gave, averaged by hand.
#[test]
fn a_real_run_shows_running_waiting_and_cache_of_each_level() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/runs/vllm-0.12.0-full-kv");
    let run = RunData::load(&RunDir::open(folder.as_ref()).expect("a run")).expect("a whole run");
    let summary = analysis::summarise(&run, None, None);
    for (language, cache) in
        [(Language::En, "| 16 | memory for the KV cache |"), (Language::Ko, "| 16 | KV 캐시 메모리 |")]
    {
        let files = render(&run, &summary, language).expect("renders");
        let text = String::from_utf8(files[0].bytes.clone()).expect("documents are UTF-8");
        for row in [
            "| 1 | 1.0 | 1.0 | 0.0 | 13.0% | 0 |",
            "| 4 | 4.0 | 3.7 | 0.0 | 52.2% | 0 |",
            "| 16 | 16.0 | 7.9 | 6.4 | 100.0% | 8 |",
            cache,
        ] {
            assert!(text.contains(row), "{row}\n{text}");
        }
    }
}
