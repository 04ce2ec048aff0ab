//! Prints the tables of `docs/sizing.md` on how well speed is predicted: `cargo run --release -p sizing --example published`.

mod sweeps;
mod table;

#[expect(clippy::print_stdout, reason = "an example that prints")]
fn main() {
    print!("{}", table::markdown());
}
