//! The page about releases lists every rule of the table, in order.

use sizing::Engine;

#[test]
fn the_page_of_releases_has_every_change() {
    let page = include_str!("../../../../docs/vllm-releases.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| 0.")).collect();
    let changes: Vec<_> = Engine::changes().collect();
    assert_eq!(rows.len(), changes.len(), "run `cargo run -p sizing --example releases > docs/vllm-releases.md`");
    for (row, (since, rule)) in rows.iter().zip(changes) {
        assert!(row.starts_with(&format!("| {since} | {rule} |")), "{row}");
    }
}
