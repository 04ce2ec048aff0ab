//! The table of twelve questions in `docs/sizing.md` is what `--example questions` prints, and its hand calculations agree.

#[path = "../../examples/questions/table.rs"]
mod table;

const DOCUMENT: &str = include_str!("../../../../docs/sizing.md");

/// By hand there are no blocks, priors, arithmetic or links: requests agree within a third, TPOT within a factor of three.
#[test]
fn the_document_has_the_twelve_questions_and_hands_agree() {
    let printed = table::markdown();
    assert_eq!(printed.lines().count(), 14);
    for line in printed.lines() {
        assert!(DOCUMENT.contains(line), "not in docs/sizing.md: {line}");
    }
    for line in printed.lines().skip(2) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let figure = |at: usize| cells[at].parse::<f64>().ok();
        if let (Some(held), Some(hand)) = (figure(6), figure(7)) {
            assert!((0.67..1.5).contains(&(held / hand)), "{line}");
        }
        if let (Some(tpot), Some(hand)) = (figure(8), figure(9)) {
            assert!((0.33..3.0).contains(&(tpot / hand)), "{line}");
        }
    }
}
