//! Flags of the connections to the server.

use std::path::PathBuf;

use clap::Args;

/// Trusted certificates and protocol.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectionArgs {
    /// Authority that vouches for an https server, as PEM file [default: those of the system]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(super) ca_cert: Option<PathBuf>,
    /// Take any certificate of an https server
    #[arg(long)]
    pub(super) insecure: bool,
    /// Load the server in HTTP/2 and nothing else, also without TLS; telemetry stays with HTTP/1.1 [default: HTTP/2 over
    /// https where the server chooses it, else HTTP/1.1]
    #[arg(long)]
    pub(super) http2: bool,
}
