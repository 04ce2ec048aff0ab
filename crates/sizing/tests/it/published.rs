//! The tables on speed in `docs/sizing.md` are what `--example published` prints, and keep to what was promised of them.

use sizing::performance::{Load, Performance, System};

#[path = "../../examples/published/sweeps.rs"]
mod sweeps;
#[path = "../../examples/published/table.rs"]
mod table;

const DOCUMENT: &str = include_str!("../../../../docs/sizing.md");

/// A test run is without optimisation, but arithmetic on the same machine type rounds alike; figures have one decimal.
#[test]
fn the_document_has_the_tables_that_the_command_prints() {
    let printed = table::markdown();
    for line in printed.lines().filter(|line| !line.is_empty()) {
        assert!(DOCUMENT.contains(line), "not in docs/sizing.md: {line}");
    }
    let cell = |row: &str, at: usize| -> f64 {
        let row = printed.lines().find(|line| line.starts_with(row)).unwrap();
        row.split('|').nth(at).unwrap().trim().parse().unwrap()
    };
    // The straight line through the two calibrating levels is the least that a model must beat; the pure roofline that from
    // the catalogue alone.
    assert!(cell("| between", 4) < cell("| between", 7));
    assert!(cell("| outside", 4) < cell("| outside", 7));
    assert!(cell("| all", 3) < cell("| all", 13) / 3.0);
}

/// The law is written twice: here, and with arrays in `learn.py`, which teaches the priors. Both must say the same.
#[test]
fn the_law_is_the_one_that_the_priors_were_learnt_with() {
    let witness = include_str!("../../../../fixtures/published/law.csv");
    let sweeps = sweeps::read();
    let mut compared = 0;
    for line in witness.lines().skip(1) {
        let (sweep, figures) = line.split_once(',').unwrap();
        let sweep = &sweeps[sweep.parse::<usize>().unwrap()];
        let figures: Vec<f64> = figures.split(',').map(|f| f.parse().unwrap()).collect();
        let load = Load { concurrency: figures[0], isl: sweep.isl, osl: sweep.osl };
        let model = Performance::of(&sweep.system()).unwrap();
        let said = model.predict(load).unwrap();
        for (said, witness) in [
            (said.ttft_s.likely * 1e3, figures[1]),
            (said.tpot_s.likely * 1e3, figures[2]),
            (said.output_tokens_per_second.likely, figures[3]),
        ] {
            assert!((said / witness - 1.0).abs() < 1e-3, "{line}: {said}");
        }
        compared += 1;
    }
    assert!(compared > 30, "{compared}");
}

/// A plan gives the law as many seats as its load has requests. The published sweeps test the law without seats, so both
/// must be one path: at every published level, seats for its requests change nothing.
#[test]
fn a_plan_asks_the_law_as_the_sweeps_test_it() {
    let mut compared = 0;
    for sweep in sweeps::read() {
        let system = sweep.system();
        let without = Performance::of(&system).unwrap();
        for level in &sweep.levels {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of requests")]
            let seats = level.load.concurrency.ceil() as u32;
            let with = Performance::of(&System { max_num_seqs: Some(seats), ..system.clone() }).unwrap();
            assert_eq!(with.likely(level.load).unwrap(), without.likely(level.load).unwrap(), "{:?}", level.load);
            compared += 1;
        }
    }
    assert!(compared > 900, "{compared}");
}
