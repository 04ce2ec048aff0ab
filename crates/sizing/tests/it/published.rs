//! The tables on speed in `docs/sizing.md` are what `--example published` prints, and keep to what was promised of them.

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
