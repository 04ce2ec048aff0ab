//! Exit codes, and the errors that carry one. They are part of the interface: `docs/schema.md` lists them.

use std::{fmt, process::ExitCode};

use bench::{BenchError, Fault};

/// How a command ended, apart from internal errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// A flag or a file that the user named is wrong.
    Usage,
    /// The server cannot be reached, does not know the model, or was lost on the way.
    Server,
    /// Objectives were met at no level, or a second run is worse than the first.
    NotMet,
    /// The measurement ran, but its figures are not valid.
    Invalid,
    /// The user stopped it; what had been measured is kept.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Usage => 2,
            Exit::Server => 3,
            Exit::NotMet => 4,
            Exit::Invalid => 5,
            Exit::Interrupted => 130,
        })
    }
}

/// An error that ends the program with a certain code. Attach it with [`WithExit::exit`].
#[derive(Debug)]
struct Coded {
    exit: Exit,
    message: String,
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Coded {}

/// An error with a code of its own.
pub fn error(exit: Exit, message: impl Into<String>) -> anyhow::Error {
    Coded { exit, message: message.into() }.into()
}

/// Gives an error its exit code.
pub trait WithExit<T> {
    /// The same result; an error keeps its whole message and ends the program with `exit`.
    fn exit(self, exit: Exit) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> WithExit<T> for Result<T, E> {
    fn exit(self, exit: Exit) -> anyhow::Result<T> {
        self.map_err(|e| error(exit, format!("{:#}", e.into())))
    }
}

/// The code that an error ends the program with: its own, else 1.
pub fn code_of(error: &anyhow::Error) -> ExitCode {
    if let Some(coded) = error.downcast_ref::<Coded>() {
        return coded.exit.into();
    }
    match error.downcast_ref::<BenchError>().map(BenchError::fault) {
        Some(Fault::Usage) => Exit::Usage.into(),
        Some(Fault::Server) => Exit::Server.into(),
        Some(Fault::Interrupted) => Exit::Interrupted.into(),
        Some(Fault::Internal) | None => ExitCode::FAILURE,
    }
}
