//! Name of the program in messages: `plimsoll`, or `cargo xtask` where that runs the same commands.

use std::sync::OnceLock;

static NAME: OnceLock<&'static str> = OnceLock::new();

/// Sets the name, once at the start.
pub fn set_program_name(name: &'static str) {
    NAME.get_or_init(|| name);
}

/// The name that a command line begins with.
pub fn program_name() -> &'static str {
    NAME.get().copied().unwrap_or("plimsoll")
}
