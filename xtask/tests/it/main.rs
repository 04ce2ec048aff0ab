//! What holds for the workspace as a whole.

mod architecture;
mod dependencies;
mod sources;
