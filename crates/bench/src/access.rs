//! Ways to a server: keys and headers, trusted certificates, and telemetry's way to a server that is not reached by
//! plain HTTP.

use std::{fmt, fs};

use gpumon::{Access, telemetry_url};
use loadgen::{Secret, Target, Trust, Tunnel};
use records::ServerUrl;

use crate::{
    BenchError,
    settings::{ConnectionSettings, Settings, TelemetrySettings},
};

/// Values of headers. They are in no file, and `Debug` shows the names alone.
#[derive(Clone, Default)]
pub struct Secrets {
    server: Vec<(String, String)>,
    telemetry: Vec<(String, String)>,
}

impl Secrets {
    /// Adds a header for the server under load.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.server.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a header for exporters and for `telemetry.server_metrics`.
    #[must_use]
    pub fn with_telemetry_header(mut self, name: &str, value: &str) -> Self {
        self.telemetry.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Enters the names of the headers into `settings`.
    pub(crate) fn name_in(&self, settings: &mut Settings) {
        settings.connection.headers = names(&self.server);
        settings.telemetry.headers = names(&self.telemetry);
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("server", &names(&self.server))
            .field("telemetry", &names(&self.telemetry))
            .finish()
    }
}

fn names(headers: &[(String, String)]) -> Vec<String> {
    headers.iter().map(|(name, _)| name.clone()).collect()
}

/// Key and headers for one purpose.
pub(crate) struct Credentials<'a> {
    key: Option<String>,
    headers: &'a [(String, String)],
}

impl<'a> Credentials<'a> {
    /// Those for the server under load.
    ///
    /// # Errors
    /// [`BenchError::HeaderMissing`] where the settings name a header without a value here.
    pub(crate) fn for_server(settings: &ConnectionSettings, secrets: &'a Secrets) -> Result<Self, BenchError> {
        Self::new(&settings.api_key_env, &settings.headers, &secrets.server)
    }

    /// Those for exporters and `telemetry.server_metrics`: the server's own are never sent to them.
    pub(crate) fn for_telemetry(settings: &TelemetrySettings, secrets: &'a Secrets) -> Result<Self, BenchError> {
        Self::new(&settings.api_key_env, &settings.headers, &secrets.telemetry)
    }

    fn new(key_env: &str, named: &[String], headers: &'a [(String, String)]) -> Result<Self, BenchError> {
        let given = |name: &String| headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        if let Some(name) = named.iter().find(|name| !given(name)) {
            return Err(BenchError::HeaderMissing { name: name.to_ascii_lowercase() });
        }
        let key = std::env::var(key_env).ok().filter(|key| !key.is_empty());
        Ok(Self { key, headers })
    }

    /// Whether there is nothing to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.key.is_none() && self.headers.is_empty()
    }

    pub(crate) fn access(&self) -> Result<Access, BenchError> {
        let mut access = Access::default();
        if let Some(key) = &self.key {
            access = access.with_bearer_key(key)?;
        }
        for (name, value) in self.headers {
            access = access.with_header(name, value)?;
        }
        Ok(access)
    }

    /// A server as the load reaches it.
    pub(crate) fn target(&self, url: &str, model: &str, settings: &ConnectionSettings) -> Result<Target, BenchError> {
        let key = self.key.as_deref().map(Secret::new);
        let target = Target::new(url, model, key, self.headers)?.trusting(trust(settings)?);
        Ok(if settings.http2 { target.over_http2() } else { target })
    }
}

fn trust(settings: &ConnectionSettings) -> Result<Trust, BenchError> {
    Ok(match &settings.ca_cert {
        Some(path) => {
            let read = fs::read(path);
            Trust::Authority(read.map_err(|reason| BenchError::File { path: path.clone(), reason })?)
        }
        None if settings.insecure => Trust::Anyone,
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
    /// Straight to a server that is reached by plain HTTP, else through a tunnel.
    pub(crate) fn open(
        url: &str,
        settings: &ConnectionSettings,
        credentials: &Credentials<'_>,
    ) -> Result<Self, BenchError> {
        let access = credentials.access()?;
        // Telemetry asks for no model.
        let target = credentials.target(url, "-", settings)?;
        let base =
            |url: &str| telemetry_url(url).map_err(|reason| BenchError::Address { setting: "target.url", reason });
        if target.is_plain() {
            return Ok(Self { base: base(url)?, access, _tunnel: None });
        }
        let tunnel = Tunnel::open(&target)?;
        Ok(Self {
            base: base(&tunnel.url(&target))?,
            access: access.with_header("host", &target.url().authority())?,
            _tunnel: Some(tunnel),
        })
    }
}
