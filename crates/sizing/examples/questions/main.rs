//! Prints the table of twelve questions of `docs/sizing.md`: `cargo run -p sizing --example questions`.

mod table;

#[expect(clippy::print_stdout, reason = "an example that prints")]
fn main() {
    print!("{}", table::markdown());
}
