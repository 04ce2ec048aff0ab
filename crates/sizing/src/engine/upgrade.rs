//! What the same server would print after an upgrade, and which change of the arithmetic did it.

use super::rules::{self, CHANGES};
use super::{Engine, EngineFlags, KvCacheError, KvCachePlan, KvMemory, Version};
use crate::model::Shape;

/// A change between two versions that alters what is printed.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// First version with the change.
    pub since: Version,
    /// What it changes.
    pub rule: &'static str,
    /// The plan with all changes up to this one; an error where that version does not start.
    pub plan: Result<KvCachePlan, KvCacheError>,
}

impl Engine {
    /// The changes from this version to `newer` that alter blocks, need of a request, tokens or concurrency of the plan,
    /// with the plan after each. Memory is held constant: what utilisation and graph reservation change is not here.
    ///
    /// # Errors
    /// [`UpgradeError`] when `newer` is older.
    pub fn upgrade(
        &self,
        newer: &Self,
        shape: &Shape,
        flags: &EngineFlags,
        memory: KvMemory,
    ) -> Result<Vec<Step>, UpgradeError> {
        if newer.version < self.version {
            return Err(UpgradeError { from: self.version, to: newer.version });
        }
        let mut rules = rules::of(self.version).unwrap_or(self.rules);
        let mut last = KvCachePlan::new(&rules, shape, flags, memory);
        let mut steps = Vec::new();
        let between = |since: Version| self.version < since && since <= newer.version;
        for change in CHANGES.iter().filter(|change| between(change.since)) {
            rules = change.on(rules);
            let plan = KvCachePlan::new(&rules, shape, flags, memory);
            let same = match (&last, &plan) {
                (Ok(last), Ok(plan)) => last.figures() == plan.figures(),
                (last, plan) => last.is_err() && plan.is_err(),
            };
            if !same {
                steps.push(Step { since: change.since, rule: change.says, plan: plan.clone() });
            }
            last = plan;
        }
        Ok(steps)
    }
}

/// An upgrade that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{to} is older than {from}\nhint: give the older version first, such as 0.11.2..0.27.1")]
pub struct UpgradeError {
    /// The version to start from.
    pub from: Version,
    /// The version to go to.
    pub to: Version,
}
