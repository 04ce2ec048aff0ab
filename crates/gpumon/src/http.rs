//! The small blocking HTTP client of this crate: GET, plain HTTP, a deadline, nothing kept open.
//!
//! Requests go straight to the server: no proxy, no redirect (a redirect could carry the key to another host), and a new
//! connection each time, so that a connection which the server closed meanwhile is never mistaken for a lost server.
//! No TLS yet. Keys never reach a message: headers are marked sensitive and URLs with credentials are refused.

use std::time::{Duration, Instant, SystemTime};

use records::{Offset, Scheme, ServerUrl, UrlError};

use thiserror::Error;
use ureq::{
    Agent,
    http::{
        HeaderName, HeaderValue,
        header::{AUTHORIZATION, DATE},
    },
};

/// Deadline of one request.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// Parses the base URL of a server or exporter that is read over plain HTTP.
///
/// The scheme may be missing; slashes and `/metrics` at the end are dropped.
pub fn telemetry_url(text: &str) -> Result<ServerUrl, TelemetryUrlError> {
    let text = text.trim_end_matches('/');
    let text = text.strip_suffix("/metrics").unwrap_or(text);
    let has_scheme = text.contains("://") || text.starts_with("unix:");
    let url: ServerUrl = if has_scheme { text.parse()? } else { format!("http://{text}").parse()? };
    if *url.scheme() == Scheme::Http { Ok(url) } else { Err(TelemetryUrlError::NotPlain) }
}

/// Reason why telemetry cannot use a URL. Messages do not repeat the URL: it may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TelemetryUrlError {
    /// The URL cannot be used at all.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Only plain HTTP is supported.
    #[error(
        "telemetry is read over plain http only\nhint: give an http address of the same server, or a local proxy that speaks TLS to it"
    )]
    NotPlain,
}

/// Headers of every request. Debug output shows no header's value.
#[derive(Clone, Debug, Default)]
pub struct Access {
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Access {
    /// Adds `Authorization: Bearer <key>`.
    pub fn with_bearer_key(self, key: &str) -> Result<Self, AccessError> {
        let value = HeaderValue::try_from(format!("Bearer {key}"));
        Ok(self.with(AUTHORIZATION, value.map_err(|_| AccessError::Key)?))
    }

    /// Adds a header.
    pub fn with_header(self, name: &str, value: &str) -> Result<Self, AccessError> {
        let refused = || AccessError::Header { name: name.escape_debug().to_string() };
        let header = HeaderName::try_from(name).map_err(|_| refused())?;
        let value = HeaderValue::try_from(value).map_err(|_| refused())?;
        Ok(self.with(header, value))
    }

    fn with(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.headers.push((name, value));
        self
    }
}

/// Why a key or header is refused. Messages do not repeat its value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccessError {
    /// Characters that no header may hold.
    #[error("the API key holds characters that cannot be sent\nhint: look for a line break or a quote copied with it")]
    Key,
    /// The name or the value cannot be sent.
    #[error("the header {name} cannot be sent\nhint: names are letters, digits and dashes; values hold no line break")]
    Header {
        /// The header's name.
        name: String,
    },
}

/// Sends the requests.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What came back, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) sent: Instant,
    pub(crate) received: Instant,
    /// Wall-clock time of the server, to the second, where it gives one.
    pub(crate) date: Option<SystemTime>,
}

/// The middle of an exchange, and its length. What the server saw happened in between.
pub(crate) fn midpoint(sent: Offset, received: Offset) -> (Offset, Duration) {
    let rtt = received - sent;
    (sent + rtt / 2, rtt)
}

/// Nothing came back, for this reason.
#[derive(Debug)]
pub(crate) struct NoAnswer(pub(crate) String);

impl Client {
    pub(crate) fn new(access: &Access) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            .proxy(None)
            .build();
        Self { agent: config.new_agent(), headers: access.headers.clone() }
    }

    pub(crate) fn get(&self, url: &str) -> Result<Answer, NoAnswer> {
        let request =
            self.headers.iter().fold(self.agent.get(url), |request, (name, value)| request.header(name, value));
        let sent = Instant::now();
        let mut response = request.call().map_err(|error| reason(&error))?;
        let bytes = response.body_mut().read_to_vec().map_err(|error| reason(&error))?;
        let received = Instant::now();
        Ok(Answer {
            status: response.status().as_u16(),
            body: String::from_utf8_lossy(&bytes).into_owned(),
            sent,
            received,
            date: response.headers().get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok()),
        })
    }
}

/// The error's text, to follow a colon.
fn reason(error: &ureq::Error) -> NoAnswer {
    NoAnswer(match error {
        ureq::Error::Io(io) => io.to_string(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telemetry_takes_plain_http_only() {
        let parse = |url| telemetry_url(url).map(|base| base.endpoint("/metrics"));
        for url in ["http://gpu-7:9400", "gpu-7:9400", "gpu-7:9400/metrics", "http://gpu-7:9400/metrics/"] {
            assert_eq!(parse(url), Ok("http://gpu-7:9400/metrics".to_owned()), "{url}");
        }
        assert_eq!(parse("http://[::1]:80/llm"), Ok("http://[::1]:80/llm/metrics".to_owned()));
        assert_eq!(parse("https://gpu-7"), Err(TelemetryUrlError::NotPlain));
        assert_eq!(parse("unix:/run/x.sock"), Err(TelemetryUrlError::NotPlain));
        assert_eq!(parse("http://me:pw@gpu-7"), Err(UrlError::Credentials.into()));
        assert!(matches!(parse(""), Err(TelemetryUrlError::Url(UrlError::Invalid(_)))));
    }

    #[test]
    fn no_secret_is_shown() {
        let access =
            Access::default().with_bearer_key("sk-secret").unwrap().with_header("x-api-key", "secret-too").unwrap();
        let shown = format!("{access:?} {:?}", Client::new(&access));
        assert!(!shown.contains("secret"), "{shown}");

        let key = Access::default().with_bearer_key("sk-secret\n").unwrap_err();
        let header = Access::default().with_header("x-api-key", "secret\n").unwrap_err();
        assert_eq!(key, AccessError::Key);
        assert!(!format!("{key} {header} {header:?}").contains("secret"));
    }

    #[test]
    fn the_middle_lies_halfway() {
        let ms = Duration::from_millis;
        let at = |millis| Offset::ZERO + ms(millis);
        assert_eq!(midpoint(at(100), at(108)), (at(104), ms(8)));
        assert_eq!(midpoint(at(5), at(5)), (at(5), ms(0)));
    }
}
