//! Which levels limits stand on, and the order in which findings are told.

use analysis::{FindingKind, Severity, Summary, summarise};
use records::{ClientLoad, PhaseKind, RunData, TokenCount, TokenSource};

use crate::build::{Level, MS, closed_loop};

/// 10 tokens a second at 1, twice that at 2 and three times at 4.
fn three_levels() -> RunData {
    let level = |concurrency, e2el_ns| Level { concurrency, rounds: 3, ttft_ns: 100 * MS, e2el_ns, tokens: 10 };
    closed_loop(&[level(1, 1000 * MS), level(2, 1000 * MS), level(4, 1250 * MS)])
}

/// Threads that did nothing but work.
fn busy(run: &mut RunData, level: u32) {
    for phase in &mut run.phases {
        if phase.level == Some(level) && phase.kind == PhaseKind::Measure {
            phase.client = Some(ClientLoad {
                cpu_ns: (phase.end_ns - phase.start_ns).as_nanos().try_into().unwrap(),
                threads: 1,
                ..ClientLoad::default()
            });
        }
    }
}

fn kinds(summary: &Summary) -> Vec<&FindingKind> {
    summary.findings.iter().map(|finding| &finding.what).collect()
}

#[test]
fn no_peak_stands_on_a_level_that_is_not_valid() {
    let mut run = three_levels();
    assert_eq!(summarise(&run, None, None).limits.peak_output.unwrap().concurrency, 4);
    busy(&mut run, 2);
    let summary = summarise(&run, None, None);
    let peak = summary.limits.peak_output.unwrap();
    assert_eq!(peak.concurrency, 2);
    assert!((peak.tok_s - 20.0).abs() < 1e-9);
    // Growth is still told of all levels: 32 of 10 tokens a second.
    assert!((summary.limits.output_growth.unwrap() - 3.2).abs() < 1e-9);
    for level in 0..2 {
        busy(&mut run, level);
    }
    let limits = summarise(&run, None, None).limits;
    assert_eq!((limits.peak_output, limits.peak_per_request), (None, None));
    assert_eq!((limits.largest_tested, limits.saturation), (Some(4), None));
}

/// At 2 the client was busy and the output fell: that is no fall of the server's.
#[test]
fn a_fall_that_the_client_may_have_caused_is_no_cliff() {
    let mut run = three_levels();
    for record in run.requests.iter_mut().filter(|record| record.level == 1) {
        record.output_tokens.as_mut().unwrap().count = 2;
    }
    let is_cliff = |what: &&FindingKind| matches!(what, FindingKind::ThroughputCliff { .. });
    let fell = summarise(&run, None, None);
    assert_eq!(kinds(&fell).into_iter().filter(is_cliff).count(), 1);
    busy(&mut run, 1);
    let summary = summarise(&run, None, None);
    assert_eq!(kinds(&summary).into_iter().filter(is_cliff).count(), 0);
}

#[test]
fn what_the_server_does_comes_first_and_what_could_not_be_told_last() {
    let mut run = three_levels();
    for record in run.requests.iter_mut().filter(|record| record.level == 1) {
        record.output_tokens.as_mut().unwrap().count = 2;
    }
    busy(&mut run, 0);
    busy(&mut run, 2);
    let summary = summarise(&run, None, None);
    let severities: Vec<Severity> = summary.findings.iter().map(|f| f.severity).collect();
    assert!(severities.is_sorted());
    let kinds = kinds(&summary);
    assert!(
        matches!(
            kinds[..],
            [
                FindingKind::ClientLimited { concurrency: 1 },
                FindingKind::ClientLimited { concurrency: 4 },
                FindingKind::OutputLength { concurrency: 2, .. },
                FindingKind::FewSamples { .. },
                FindingKind::NoServerMetrics,
                FindingKind::NoGpuTelemetry,
            ]
        ),
        "{kinds:?}"
    );
    let whole = summarise(&three_levels(), None, None);
    let first = &whole.findings[0];
    assert!(matches!(first.what, FindingKind::StillGrowing { .. }));
    let second = &whole.findings[1];
    assert!(matches!(second.what, FindingKind::AggregateVersusPerRequest { .. }));
}

/// 10 tokens in 4 chunks by the server's count; chunks that were counted for want of one say nothing.
#[test]
fn tokens_per_chunk_is_the_servers_count_over_the_chunks() {
    let mut run = three_levels();
    for record in &mut run.requests {
        match record.level {
            0 => record.chunks.count = 4,
            1 => {
                record.output_tokens = Some(TokenCount { count: 10, source: TokenSource::Chunks });
            }
            _ => {}
        }
    }
    let per_chunk: Vec<Option<f64>> =
        summarise(&run, None, None).levels.iter().map(|level| level.tokens_per_chunk).collect();
    assert_eq!(per_chunk, [Some(2.5), None, Some(1.0)]);
}
