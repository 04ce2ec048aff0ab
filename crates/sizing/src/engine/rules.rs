//! Which arithmetic holds in which version: one row a change, oldest first.
//!
//! All rows share what did not change from 0.9.1 to 0.11.2 for full and sliding-window layers: layers of one kind and
//! size form a bucket; the smallest bucket sets the group size, fuller buckets are cut into several groups; a pool of
//! `available / (page × group size)` blocks serves all groups; a window layer needs `cdiv(min(w − 1 + M, L), block) + 1`
//! blocks; tokens are printed as `blocks / groups × block size`, concurrency as `blocks / blocks of one request`. That
//! 0.11.1 caps M to `max_num_seqs × L` makes no row: the minimum with L is there already.

use super::version::{EngineError, Version};

/// What differs between versions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// Layers that keep the same tokens but differ in size.
    pub(super) unequal_layers: UnequalLayers,
}

/// Layers that keep the same tokens but differ in heads or head dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnequalLayers {
    /// The engine does not start.
    Refused,
    /// They form one group, whose block holds a page of every layer.
    OneGroup,
}

static ROWS: [(Version, Rules); 2] = [
    (
        Version::new(0, 9, 1),
        Rules {
            unequal_layers: UnequalLayers::Refused,
        },
    ),
    (
        Version::new(0, 11, 0),
        Rules {
            unequal_layers: UnequalLayers::OneGroup,
        },
    ),
];

/// Later versions pad small buckets instead of cutting large ones (0.12), print other tokens (0.20.1) and reserve the
/// window twice (0.26).
const LAST: Version = Version::new(0, 11, 2);

/// The rules of a version.
pub(super) fn of(version: Version) -> Result<&'static Rules, EngineError> {
    let row = ROWS.iter().rev().find(|(since, _)| *since <= version);
    match row {
        Some((_, rules)) if version <= LAST => Ok(rules),
        _ => Err(EngineError::Unsupported {
            version,
            first: ROWS[0].0,
            last: LAST,
        }),
    }
}

/// The newest version and its rules.
pub(super) fn newest() -> (Version, &'static Rules) {
    (LAST, &ROWS[ROWS.len() - 1].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_outside_the_table_name_the_range() {
        for version in [
            Version::new(0, 9, 0),
            Version::new(0, 12, 0),
            Version::new(1, 0, 0),
        ] {
            let message = of(version).unwrap_err().to_string();
            assert!(message.contains("known are 0.9.1 to 0.11.2"), "{message}");
        }
    }

    /// From vLLM's history: uniform-type groups came with 0.11.0.
    #[test]
    fn each_change_begins_with_its_version() {
        let rules = |minor, patch| of(Version::new(0, minor, patch)).unwrap();
        assert_eq!(rules(10, 2).unequal_layers, UnequalLayers::Refused);
        assert_eq!(rules(11, 0).unequal_layers, UnequalLayers::OneGroup);
        assert!(std::ptr::eq(newest().1, rules(11, 2)));
    }
}
