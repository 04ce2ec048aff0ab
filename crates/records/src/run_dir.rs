//! The run folder: names of its files, creating it, appending to it. No other module of this crate opens a file.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Component, Path, PathBuf},
};

use serde::de::DeserializeOwned;

use self::lines_in_parts::read_file;
use crate::{JsonlWriter, Lines, Manifest, SCHEMA_VERSION};

mod lines_in_parts;

/// The manifest.
pub const MANIFEST: &str = "manifest.json";
/// One line per request attempt.
pub const REQUESTS: &str = "requests.jsonl";
/// One line per phase.
pub const PHASES: &str = "phases.jsonl";
/// GPU devices and samples.
pub const GPU: &str = "gpu.jsonl";
/// Scrapes of the engine's `/metrics`.
pub const SERVER: &str = "server.jsonl";
/// The summary; derived, always re-creatable. The reference pipeline's name for it.
pub const SUMMARY: &str = "all_concurrent_results.json";
/// What to buy for a load, where someone asked; derived from runs, prices and the catalogue.
pub const PLAN: &str = "plan.json";

/// What went wrong with a run folder. Messages complete the sentence "failed to …".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The operating system refused.
    #[error("{action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The name of a new run has a separator in it, or is no name at all.
    #[error("cannot use the run id {run_id:?}: it is the name of one folder, without a path")]
    BadRunId {
        /// The name.
        run_id: String,
    },
    /// A run of that name is there already.
    #[error("cannot create {}: it exists\nhint: choose another --run-id, or finish that run with --resume {}", path.display(), path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// There is no manifest, so this is no run folder.
    #[error("find {MANIFEST} in {}\nhint: name a folder that `plimsoll bench` or `plimsoll all` wrote", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// The manifest is damaged.
    #[error("understand {}", path.display())]
    BadManifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The folder was written by a newer version.
    #[error("read {}: its schema version is {found}, this program knows up to {SCHEMA_VERSION}\nhint: update plimsoll", path.display())]
    TooNew {
        /// The folder.
        path: PathBuf,
        /// Its schema version.
        found: u32,
    },
}

impl RecordError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// A run folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Creates `results/<run_id>/`. An empty folder of that name is taken: a disk that was full when an earlier run began
    /// leaves one.
    ///
    /// # Errors
    /// [`RecordError::BadRunId`] when the name is no name of a folder, [`RecordError::Exists`] when something is there, and
    /// [`RecordError::Io`] when it cannot be made.
    pub fn create(results: &Path, run_id: &str) -> Result<Self, RecordError> {
        let mut parts = Path::new(run_id).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            return Err(RecordError::BadRunId { run_id: run_id.to_owned() });
        }
        let path = results.join(run_id);
        fs::create_dir_all(results).map_err(RecordError::io("create", results))?;
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self { path }),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && is_empty_folder(&path) => Ok(Self { path }),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(RecordError::Exists { path }),
            Err(e) => Err(RecordError::io("create", &path)(e)),
        }
    }

    /// An existing run folder.
    ///
    /// # Errors
    /// [`RecordError::NotARun`] when it holds no manifest.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        if path.join(MANIFEST).is_file() {
            Ok(Self { path: path.to_owned() })
        } else {
            Err(RecordError::NotARun { path: path.to_owned() })
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the manifest, whole or not at all.
    ///
    /// # Errors
    /// [`RecordError::Io`].
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), RecordError> {
        let path = self.path.join(MANIFEST);
        let mut bytes =
            serde_json::to_vec_pretty(manifest).map_err(io::Error::from).map_err(RecordError::io("write", &path))?;
        bytes.push(b'\n');
        self.write(MANIFEST, &bytes)
    }

    /// Reads the manifest.
    ///
    /// # Errors
    /// [`RecordError::BadManifest`], [`RecordError::TooNew`] or [`RecordError::Io`].
    pub fn read_manifest(&self) -> Result<Manifest, RecordError> {
        let path = self.path.join(MANIFEST);
        let bytes = fs::read(&path).map_err(RecordError::io("read", &path))?;
        let bad = |source| RecordError::BadManifest { path: path.clone(), source };
        let any: serde_json::Value = serde_json::from_slice(&bytes).map_err(bad)?;
        let found = any.get("schema_version").and_then(serde_json::Value::as_u64);
        if let Some(found) = found.and_then(|v| u32::try_from(v).ok()).filter(|&v| v > SCHEMA_VERSION) {
            return Err(RecordError::TooNew { path: self.path.clone(), found });
        }
        serde_json::from_value(any).map_err(bad)
    }

    /// Opens one of the JSON Lines files for appending; it exists afterwards.
    ///
    /// # Errors
    /// [`RecordError::Io`].
    pub fn append(&self, file: &str) -> Result<JsonlWriter<BufWriter<File>>, RecordError> {
        let path = self.path.join(file);
        let opened = File::options().create(true).append(true).open(&path);
        Ok(JsonlWriter::new(BufWriter::new(opened.map_err(RecordError::io("open", &path))?)))
    }

    /// Reads one of the JSON Lines files. A file that is not there holds nothing.
    ///
    /// # Errors
    /// [`RecordError::Io`].
    pub fn read<T: DeserializeOwned + Send>(&self, file: &str) -> Result<Lines<T>, RecordError> {
        let path = self.path.join(file);
        match read_file(&path) {
            Ok(lines) => Ok(lines),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Lines { records: Vec::new(), skipped: Vec::new() })
            }
            Err(error) => Err(RecordError::io("read", &path)(error)),
        }
    }

    /// Writes a derived file (`report.html`, `charts/ttft.svg`), whole or not at all, with the folder it needs.
    ///
    /// The bytes go to a new file of a name that nobody can know, which then takes the place of the old one: two processes
    /// may write the same document, and a link in a folder from a stranger is replaced, not followed.
    ///
    /// # Errors
    /// [`RecordError::Io`]; also when the folder is a link, which could lead out of the run.
    pub fn write(&self, file: &str, bytes: &[u8]) -> Result<(), RecordError> {
        let path = self.path.join(file);
        let folder = path.parent().unwrap_or(&self.path);
        if folder != self.path {
            fs::create_dir_all(folder).map_err(RecordError::io("create", folder))?;
            if fs::symlink_metadata(folder).is_ok_and(|found| found.is_symlink()) {
                let reason = io::Error::new(io::ErrorKind::NotADirectory, "it is a link, which could lead anywhere");
                return Err(RecordError::io("write into", folder)(reason));
            }
        }
        write_whole(folder, &path, bytes).map_err(RecordError::io("write", &path))
    }
}

fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn write_whole(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut partial = tempfile::Builder::new();
    partial.prefix(".partial-");
    // As for any file: the umask decides who may read it. A temporary file would be its owner's alone.
    #[cfg(unix)]
    partial.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut partial = partial.tempfile_in(folder)?;
    partial.write_all(bytes)?;
    partial.as_file().sync_all()?;
    partial.persist(path)?;
    Ok(())
}
