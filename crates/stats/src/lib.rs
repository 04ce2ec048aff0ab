//! Given numbers: what can honestly be said of them.
