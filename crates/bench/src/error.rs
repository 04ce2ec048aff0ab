//! Reasons why a measurement cannot begin or go on. Once the load has begun, failures are the run's [`records::EndReason`].

use std::{io, path::PathBuf};

use gpumon::{AccessError, TelemetryUrlError};
use loadgen::{LoadError, PlanError};
use records::{RecordError, UrlError};

/// Why a measurement cannot begin or go on. No message contains a key or a header's value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// A setting cannot be used.
    #[error("{setting} cannot be used: {problem}\nhint: {hint}")]
    Setting {
        /// Path of the setting, such as `load.duration_s`.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// A file that the settings name cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// The plan that follows from the settings is refused.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An address of telemetry cannot be used.
    #[error("the address in {setting} cannot be used: {reason}")]
    Address {
        /// Path of the setting.
        setting: &'static str,
        /// Why.
        reason: TelemetryUrlError,
    },
    /// The server's address cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A key or a header cannot be sent.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// No model was named, and the server lists none.
    #[error("no model is known: the server lists none under /v1/models\nhint: name it with --model")]
    NoModel,
    /// A header that the run sent is not given now.
    #[error(
        "the run sent the header {name}, whose value was not written down\nhint: give it again with --header or --telemetry-header"
    )]
    HeaderMissing {
        /// Its name.
        name: String,
    },
    /// The server does not answer, or not as it should.
    #[error("{reason}")]
    Server {
        /// What was seen, and what to do.
        reason: String,
    },
    /// [`loadgen::StopHandle::stop`] was called before the load began.
    #[error("interrupted")]
    Stopped,
    /// A request before the load failed.
    #[error(transparent)]
    Trial(#[from] LoadError),
    /// The run folder cannot be made.
    #[error("cannot create the run folder")]
    Create(#[source] RecordError),
    /// The run folder cannot be read or written.
    #[error(transparent)]
    Folder(#[from] RecordError),
    /// A file of the run folder cannot be written.
    #[error("cannot write {file}: {reason}")]
    Write {
        /// The file.
        file: String,
        /// Why.
        reason: io::Error,
    },
    /// The telemetry thread cannot be started.
    #[error("cannot start the telemetry thread: {0}")]
    Thread(io::Error),
    /// There is nothing left to measure.
    #[error("cannot resume {}: the run is complete\nhint: plimsoll report {} writes its report again", path.display(), path.display())]
    Complete {
        /// The folder.
        path: PathBuf,
    },
    /// Another process measures into this folder.
    #[error("cannot write to {}: the run is still going on", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The manifest contains no settings, or some that this version does not know.
    #[error("cannot resume {}: the settings in its manifest cannot be read ({reason})\nhint: resume it with the version of plimsoll that began it", path.display())]
    SettingsUnknown {
        /// The folder.
        path: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
    /// What would be sent now is not what the run began with.
    #[error(
        "cannot resume {}: what would be sent now is not what the run began with\nhint: is another engine or version at this address, or was the run made by another version of plimsoll? start a new run",
        path.display()
    )]
    PlanChanged {
        /// The folder.
        path: PathBuf,
    },
    /// The run's clock began before this machine did.
    #[error(
        "cannot resume {}: this machine was started after the run, and the run is longer than that is ago\nhint: start a new run",
        path.display()
    )]
    ClockLost {
        /// The folder.
        path: PathBuf,
    },
}

/// Whose matter an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller: a setting, or a file or folder that it names.
    Usage,
    /// The server: it cannot be reached, or refuses a trial request.
    Server,
    /// The user, who stopped it before the load began.
    Interrupted,
    /// None of them: a full disk, a thread that cannot be started.
    Internal,
}

impl BenchError {
    /// Whose matter it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Server { .. } | Self::Trial(_) => Fault::Server,
            Self::Stopped => Fault::Interrupted,
            Self::Folder(RecordError::Io { .. }) | Self::Write { .. } | Self::Thread(_) => Fault::Internal,
            _ => Fault::Usage,
        }
    }

    /// Error of a setting.
    pub(crate) fn setting(setting: &'static str, problem: impl Into<String>, hint: &'static str) -> Self {
        Self::Setting { setting, problem: problem.into(), hint }
    }

    /// Error of writing `file` of a run folder.
    pub(crate) fn write(file: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let file = file.into();
        move |reason| Self::Write { file, reason }
    }
}
