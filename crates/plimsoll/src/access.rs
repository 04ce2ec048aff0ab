//! How servers are reached: keys and headers, whose certificates are taken, and telemetry's way to a server that does not
//! speak plain HTTP.

use std::fs;

use gpumon::{Access, telemetry_url};
use loadgen::{Secret, Target, Trust, Tunnel};
use records::ServerUrl;

use crate::{
    cli::{LoadArgs, TelemetryArgs},
    exit::{self, Exit, WithExit as _},
};

/// The bearer key of the environment and the headers of the command line.
pub(crate) struct Secrets {
    key: Option<String>,
    headers: Vec<(String, String)>,
}

impl Secrets {
    pub(crate) fn gather(load: &LoadArgs) -> anyhow::Result<Self> {
        let key = std::env::var("OPENAI_API_KEY").ok().filter(|key| !key.is_empty());
        Ok(Self { key, headers: headers("--header", &load.header)? })
    }

    /// The bearer key of the environment and the headers of the command line that are for exporters and for
    /// `--server-metrics`: the server's own are never sent to them.
    pub(crate) fn of_telemetry(args: &TelemetryArgs) -> anyhow::Result<Self> {
        let key = std::env::var("PLIMSOLL_TELEMETRY_KEY").ok().filter(|key| !key.is_empty());
        Ok(Self { key, headers: headers("--telemetry-header", &args.telemetry_header)? })
    }

    /// Whether there is anything to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.key.is_none() && self.headers.is_empty()
    }

    pub(crate) fn access(&self) -> anyhow::Result<Access> {
        let mut access = Access::default();
        if let Some(key) = &self.key {
            access = access.with_bearer_key(key).exit(Exit::Usage)?;
        }
        for (name, value) in &self.headers {
            access = access.with_header(name, value).exit(Exit::Usage)?;
        }
        Ok(access)
    }

    /// A server as the load sees it.
    pub(crate) fn target(&self, url: &str, model: &str, load: &LoadArgs) -> anyhow::Result<Target> {
        let key = self.key.as_deref().map(Secret::new);
        let target = Target::new(url, model, key, &self.headers).exit(Exit::Usage)?;
        let target = target.trusting(trust(load)?);
        Ok(if load.connection.http2 { target.over_http2() } else { target })
    }
}

/// `Name: value` pairs of a flag.
fn headers(flag: &str, given: &[String]) -> anyhow::Result<Vec<(String, String)>> {
    let pair = |header: &String| {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            exit::error(Exit::Usage, format!("understand {flag}: there is no colon\nhint: write it as \"Name: value\""))
        })?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    given.iter().map(pair).collect()
}

fn trust(load: &LoadArgs) -> anyhow::Result<Trust> {
    Ok(match &load.connection.ca_cert {
        Some(file) => Trust::Authority(
            fs::read(file).map_err(|e| exit::error(Exit::Usage, format!("read {}: {e}", file.display())))?,
        ),
        None if load.connection.insecure => Trust::Anyone,
        None => Trust::System,
    })
}

/// Telemetry's way to a server.
pub(crate) struct Watch {
    pub(crate) base: ServerUrl,
    pub(crate) access: Access,
    /// Open as long as telemetry goes through it.
    _tunnel: Option<Tunnel>,
}

impl Watch {
    /// Straight to a server that speaks plain HTTP, else through a tunnel.
    pub(crate) fn open(url: &str, load: &LoadArgs, secrets: &Secrets) -> anyhow::Result<Self> {
        let access = secrets.access()?;
        // Telemetry asks for no model.
        let target = secrets.target(url, "-", load)?;
        if target.is_plain() {
            return Ok(Self { base: telemetry_url(url).exit(Exit::Usage)?, access, _tunnel: None });
        }
        let tunnel = Tunnel::open(&target).exit(Exit::Server)?;
        Ok(Self {
            base: telemetry_url(&tunnel.url(&target)).exit(Exit::Usage)?,
            access: access.with_header("host", &target.url().authority()).exit(Exit::Usage)?,
            _tunnel: Some(tunnel),
        })
    }
}
