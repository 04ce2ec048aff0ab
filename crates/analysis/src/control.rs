//! Decisions taken while a server is measured: when a level is long enough, and which load to try next.

pub(crate) mod capacity_search;
pub(crate) mod stop_rule;
