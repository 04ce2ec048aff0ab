//! Chooses a build of an engine by trying: the flags of a processor do not prove that a program runs on it.
//!
//! The builds are tried in order, the one that answered last time first. A build whose process ends before it has
//! answered one request is passed over, with a line that says so; any other error ends the search.

use std::{fs, path::Path};

use anyhow::Context as _;
use plimsoll::{
    exit::{self, Exit},
    progress::log,
};

use super::{install, process::Died};

/// A build that can be tried.
pub(super) trait Candidate {
    /// Name of its folder under `target/engines/`; names the build.
    fn folder(&self) -> &'static str;
}

/// Starts the builds in turn until one has answered a request; returns it with what `start` returned.
///
/// # Errors
/// No build answers ([`Exit::Server`], or [`Exit::Usage`] if there is none to try), or `start` failed otherwise.
pub(super) fn first_that_answers<'a, C: Candidate, T>(
    engine: &str,
    builds: &'a [C],
    start: impl FnMut(&C) -> anyhow::Result<T>,
) -> anyhow::Result<(&'a C, T)> {
    let folder = install::engines_dir();
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    first_remembered_in(&folder.join(format!("{engine}.choice")), engine, builds, start)
}

fn first_remembered_in<'a, C: Candidate, T>(
    memory: &Path,
    engine: &str,
    builds: &'a [C],
    mut start: impl FnMut(&C) -> anyhow::Result<T>,
) -> anyhow::Result<(&'a C, T)> {
    let remembered = fs::read_to_string(memory).unwrap_or_default();
    let mut order: Vec<&C> = builds.iter().collect();
    // Stable: apart from the remembered one they keep their order.
    order.sort_by_key(|build| build.folder() != remembered.trim());
    let mut deaths = Vec::new();
    for build in order {
        match start(build) {
            Ok(started) => {
                fs::write(memory, build.folder()).with_context(|| format!("write {}", memory.display()))?;
                return Ok((build, started));
            }
            Err(error) => {
                let died: Died = error.downcast()?;
                log(&format!("{} does not run on this processor: {died}", build.folder()));
                deaths.push(died.to_string());
            }
        }
    }
    let (exit, why) = match deaths.last() {
        Some(last) => (Exit::Server, last.clone()),
        None => (Exit::Usage, "the pinned builds are for x86_64 Linux with AVX2 or AVX-512".to_owned()),
    };
    Err(exit::error(exit, format!("{engine}: no engine runs on this processor: {why}\n{}", install::BY_HAND)))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named(&'static str);

    impl Candidate for Named {
        fn folder(&self) -> &'static str {
            self.0
        }
    }

    /// Tries the builds; those in `dying` die. Returns what was chosen and what was tried.
    fn tried(memory: &Path, dying: &[&str]) -> (anyhow::Result<&'static str>, Vec<&'static str>) {
        let builds = [Named("fast"), Named("plain")];
        let mut tried = Vec::new();
        let chosen = first_remembered_in(memory, "engine", &builds, |build| {
            tried.push(build.0);
            if dying.contains(&build.0) { Err(Died::new("ended with signal: 4 (SIGILL)").into()) } else { Ok(()) }
        });
        (chosen.map(|(build, ())| build.0), tried)
    }

    #[test]
    fn a_build_that_dies_is_passed_over_and_the_choice_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let memory = folder.path().join("choice");
        let (chosen, order) = tried(&memory, &["fast"]);
        assert_eq!((chosen.unwrap(), order), ("plain", vec!["fast", "plain"]));
        let (chosen, order) = tried(&memory, &["fast"]);
        assert_eq!((chosen.unwrap(), order), ("plain", vec!["plain"]));
        // On another processor the remembered build may die in turn.
        let (chosen, order) = tried(&memory, &["plain"]);
        assert_eq!((chosen.unwrap(), order), ("fast", vec!["plain", "fast"]));
    }

    #[test]
    fn where_no_build_runs_the_error_contains_how_the_last_one_ended() {
        let folder = tempfile::tempdir().unwrap();
        let (chosen, order) = tried(&folder.path().join("choice"), &["fast", "plain"]);
        assert_eq!(order, ["fast", "plain"]);
        let error = chosen.unwrap_err().to_string();
        assert!(error.contains("no engine runs on this processor") && error.contains("SIGILL"), "{error}");
    }

    #[test]
    fn another_error_ends_the_search() {
        let folder = tempfile::tempdir().unwrap();
        let builds = [Named("fast"), Named("plain")];
        let mut count = 0;
        let result = first_remembered_in(&folder.path().join("choice"), "engine", &builds, |_| {
            count += 1;
            Err::<(), _>(anyhow::anyhow!("the disk is full"))
        });
        assert!(result.is_err_and(|error| error.to_string() == "the disk is full"));
        assert_eq!(count, 1);
    }
}
