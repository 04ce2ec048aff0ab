//! The small blocking HTTP client of this crate: GET, plain HTTP, a deadline, nothing kept open.
//!
//! Requests go straight to the server: no proxy, no redirect (a redirect could carry the key to another host), and a new
//! connection each time, so that a connection which the server closed meanwhile is never mistaken for a lost server.
//! No TLS yet. Keys never reach a message: headers are marked sensitive and URLs with credentials are refused.

use std::{
    fmt,
    time::{Duration, Instant, SystemTime},
};

use records::Offset;

use thiserror::Error;
use ureq::{
    Agent,
    http::{
        HeaderName, HeaderValue, Uri,
        header::{AUTHORIZATION, DATE},
    },
};

/// Longest time that one request may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// Address of a server, such as `http://127.0.0.1:8000`, below which its endpoints lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Checks a URL. Slashes at its end are dropped.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let trimmed = url.trim_end_matches('/');
        let uri: Uri = trimmed.parse().map_err(|_| UrlError::Invalid)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(UrlError::Https),
            _ => return Err(UrlError::Scheme),
        }
        let authority = uri.authority().ok_or(UrlError::Invalid)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::Credentials);
        }
        if uri.query().is_some() || trimmed.contains('#') {
            return Err(UrlError::Query);
        }
        Ok(Self(trimmed.to_owned()))
    }

    /// Name or address of the host, without the port.
    pub fn host(&self) -> Option<String> {
        let uri: Uri = self.0.parse().ok()?;
        uri.host().map(str::to_ascii_lowercase)
    }

    /// The URL of an endpoint; `path` begins with a slash.
    pub(crate) fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a URL is refused. Messages do not repeat the URL: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Not a URL at all.
    #[error("the server's URL is not valid\nhint: give scheme, host and port, such as http://127.0.0.1:8000")]
    Invalid,
    /// No scheme, or neither `http` nor `https`.
    #[error("the server's URL has no http scheme\nhint: put http:// in front of the host")]
    Scheme,
    /// TLS is not supported yet.
    #[error(
        "https is not supported for telemetry yet\nhint: give an http address of the same server, or a local proxy that speaks TLS to it"
    )]
    Https,
    /// User name or password in the URL.
    #[error(
        "the server's URL holds credentials\nhint: take them out of the URL and pass an API key or a header instead"
    )]
    Credentials,
    /// Query or fragment behind the path.
    #[error("the server's URL has a query or fragment\nhint: give the base URL only, such as http://127.0.0.1:8000")]
    Query,
}

/// What every request carries, and how long it may take. Debug output shows no header's value.
#[derive(Clone, Debug)]
pub struct Access {
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
}

impl Default for Access {
    fn default() -> Self {
        Self { headers: Vec::new(), timeout: TIMEOUT }
    }
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

    /// Shortens the deadline of a request from its two seconds.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: timeout.min(TIMEOUT), ..self }
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
            .timeout_global(Some(access.timeout))
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

/// The error in words that stand behind a colon.
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
    fn only_a_plain_http_base_is_a_url() {
        let parse = |url| BaseUrl::parse(url).map(|base| base.endpoint("/metrics"));
        assert_eq!(parse("http://gpu-7:8000//"), Ok("http://gpu-7:8000/metrics".to_owned()));
        assert_eq!(parse("http://[::1]:80/llm"), Ok("http://[::1]:80/llm/metrics".to_owned()));
        assert_eq!(parse("https://gpu-7"), Err(UrlError::Https));
        assert_eq!(parse("gpu-7:8000"), Err(UrlError::Scheme));
        assert_eq!(parse("ftp://gpu-7"), Err(UrlError::Scheme));
        assert_eq!(parse("http://me:pw@gpu-7"), Err(UrlError::Credentials));
        assert_eq!(parse("http://gpu-7?key=secret"), Err(UrlError::Query));
        assert_eq!(parse("http://gpu 7"), Err(UrlError::Invalid));
        assert_eq!(parse(""), Err(UrlError::Invalid));
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

    #[test]
    fn the_deadline_is_never_longer_than_two_seconds() {
        let access = Access::default().with_timeout(Duration::from_mins(1));
        assert_eq!(access.timeout, Duration::from_secs(2));
    }
}
