//! A copy of the fake NVML in a directory of its own, with its scenario beside it.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    fs,
    path::PathBuf,
};

use tempfile::TempDir;

pub(crate) struct GpuLibrary {
    folder: TempDir,
}

impl GpuLibrary {
    /// A library that plays `scenario`. It shares nothing with those of other tests: the loader tells libraries apart by
    /// their files.
    pub(crate) fn playing(scenario: &str) -> Self {
        let library = Self { folder: tempfile::tempdir().unwrap() };
        fs::copy(built(), library.path()).unwrap();
        library.rewrite(scenario);
        library
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(file_name())
    }

    /// Changes the scenario from the next time on that the library is opened.
    pub(crate) fn rewrite(&self, scenario: &str) {
        fs::write(self.path().with_extension("toml"), scenario).unwrap();
    }
}

fn file_name() -> String {
    format!("{DLL_PREFIX}fake_nvml{DLL_SUFFIX}")
}

/// The library as cargo built it: as a dev-dependency beside this executable, as a workspace member one folder above.
fn built() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    executable
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(file_name()))
        .find(|path| path.exists())
        .expect("cargo builds fake-nvml, a dev-dependency, before these tests")
}
