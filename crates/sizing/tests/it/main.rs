//! Everything that `sizing` promises, against figures from outside: start-up logs of real servers, the reference report,
//! the documents of vendors.

#![expect(clippy::unwrap_used, reason = "the functions that tests share may panic as the tests do")]

mod catalogue;
mod config;
mod kv_cache;
mod oracle;
mod performance;
mod planner;
mod properties;
mod published;
mod questions;
mod real_vllm;
mod reference;
mod releases;
mod start_log;
mod startup_rows;
mod two_methods;
