//! What can be wrong with a plan, and what can stop a run for good. A request that fails is neither: it is a record.

use std::{error::Error, io, time::Duration};

/// Why a plan or a target is refused. Messages say what to change; none holds a URL's password, a key or a header's value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// The URL cannot be used.
    #[error(transparent)]
    Url(#[from] records::UrlError),
    /// TLS was left out of this build.
    #[error("this build speaks no TLS\nhint: build it with the feature `tls`, or measure over http")]
    Https,
    /// The model has no name.
    #[error("the model name is empty\nhint: GET /v1/models lists the names that the server knows")]
    NoModel,
    /// A header cannot be sent.
    #[error("the header {name:?} cannot be sent: {reason}")]
    BadHeader {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The key cannot be sent.
    #[error("the API key holds characters that a header cannot carry\nhint: is there a line break at its end?")]
    BadApiKey,
    /// There is nothing to do.
    #[error("the plan has no levels\nhint: name at least one concurrency")]
    NoLevels,
    /// A file of prompts cannot be used.
    #[error(
        "the prompts in {name} cannot be used: {reason}\nhint: JSON Lines with `prompt` or `messages`, ShareGPT JSON, or CSV with a column `prompt`"
    )]
    BadDataset {
        /// The file's name.
        name: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// A file of recorded traffic cannot be used.
    #[error(
        "the trace {name} cannot be used: {reason}\nhint: Mooncake's JSON Lines (timestamp, input_length, output_length) or Azure's CSV (TIMESTAMP, ContextTokens, GeneratedTokens)"
    )]
    BadTrace {
        /// The file's name.
        name: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// Chats for an API that takes text.
    #[error(
        "the completions and embeddings APIs take no chat messages\nhint: use prompts of plain text, or the chat API"
    )]
    MessagesForCompletions,
    /// Conversations where there can be none.
    #[error(
        "conversations of several turns cannot be had here: {reason}\nhint: use the chat or responses API with --concurrency, or leave the turns out"
    )]
    NoConversation {
        /// Why.
        reason: &'static str,
    },
    /// A rate that is no rate.
    #[error("a request rate or burstiness is not above zero\nhint: give requests per second, such as 4 or 0.5, or inf")]
    BadRate,
    /// All at once, and no end to it.
    #[error("an infinite rate has no end in time\nhint: say how many requests with --request-count")]
    EndlessBurst,
    /// A deadline of zero lets no request pass.
    #[error("the {which} deadline is zero\nhint: every deadline must be longer than zero")]
    ZeroDeadline {
        /// Which one.
        which: &'static str,
    },
    /// A field of the request body is decided by the plan.
    #[error("the extra body field `{field}` is decided by the plan\nhint: leave it out; {instead}")]
    ReservedField {
        /// Its name.
        field: &'static str,
        /// What to use in its place.
        instead: &'static str,
    },
    /// Two fields of the request body do not fit together.
    #[error("the extra body field `stream_options` must be an object")]
    BadStreamOptions,
}

/// What a sink may report: anything. A full disk, for instance.
pub type SinkError = Box<dyn Error + Send + Sync>;

/// Why a run could not go on. Everything recorded until then stands.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The server's name means nothing here.
    #[error("the name {host:?} cannot be resolved\nhint: check the host in the URL")]
    Resolve {
        /// The name.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// TLS cannot be set up; the server has not been asked yet.
    #[error("TLS cannot be set up: {reason}")]
    Tls {
        /// Why, and what to do.
        reason: String,
    },
    /// A thread or its event loop cannot be made.
    #[error(
        "a load thread cannot be started\nhint: check the limits on processes and open files (ulimit -u, ulimit -n)"
    )]
    Thread {
        /// What the system said.
        source: io::Error,
    },
    /// The caller could not take an event.
    #[error("a record could not be kept, so the load was stopped")]
    Sink {
        /// What the sink said.
        source: SinkError,
    },
    /// The slots did not stop.
    #[error("the load threads did not stop within {} s after level {level}\nhint: this is a fault of the client; please report it", waited.as_secs_f64())]
    DrainDeadline {
        /// Index into the plan's levels.
        level: u32,
        /// How long they were waited for.
        waited: Duration,
    },
    /// A load thread died.
    #[error("a load thread panicked at level {level}\nhint: this is a fault of the client; please report it")]
    Panicked {
        /// Index into the plan's levels.
        level: u32,
    },
    /// The request before the run did not succeed.
    #[error("a trial request failed: {message}\nhint: {hint}")]
    Probe {
        /// What was seen, with the server's own message.
        message: String,
        /// What to do.
        hint: &'static str,
    },
}
