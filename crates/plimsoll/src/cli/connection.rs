//! What can be typed about connections to the server under load.

use std::path::PathBuf;

use clap::Args;

/// Whom to trust and what to speak.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectionArgs {
    /// Authority that vouches for an https server, as PEM file [default: those of the system]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Take any certificate of an https server
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Load the server in HTTP/2 and nothing else, also without TLS; telemetry goes on in HTTP/1.1 [default: HTTP/2 over
    /// https where the server chooses it, else HTTP/1.1]
    #[arg(long)]
    pub(crate) http2: bool,
}
