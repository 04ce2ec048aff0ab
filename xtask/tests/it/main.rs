//! What holds for the workspace as a whole.

mod architecture;
mod circles;
mod dependencies;
mod rust_files;
mod sources;
