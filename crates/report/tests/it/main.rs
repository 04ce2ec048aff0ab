//! Documents as a reader gets them: golden copies in both languages, and structure, escaping and determinism.

mod findings;
mod fixture;
mod golden;
mod hostile;
mod limited;
mod open_loop;
mod other_work;
mod performance;
mod structure;
