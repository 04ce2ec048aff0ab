//! Where requests go: URL, model, key and headers, validated once. Secrets are held so that they cannot be printed.

use std::{fmt, path::PathBuf};

use http::{
    HeaderMap, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT},
};

use crate::{PlanError, openai::Endpoint};

/// A string that must be in no file, no message and no log. Its `Debug` prints `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the secret; white space around it is dropped.
    pub fn new(secret: &str) -> Self {
        Self(secret.trim().to_owned())
    }

    /// `text` with every occurrence of the secret replaced by `***`.
    pub fn redact(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        text.replace(&self.0, "***")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
    /// A socket file.
    Unix(PathBuf),
}

/// Whose certificates are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those that the system's authorities vouch for.
    #[default]
    System,
    /// Those that the authorities in this PEM file vouch for, and no others.
    Authority(Vec<u8>),
    /// Any at all.
    Anyone,
}

/// The server, the model and how to get in.
#[derive(Clone, Debug)]
pub struct Target {
    scheme: Scheme,
    trust: Trust,
    prefix: String,
    host: String,
    port: u16,
    base_url: String,
    endpoint: Uri,
    model: String,
    headers: HeaderMap,
    secrets: Vec<Secret>,
    http2: bool,
}

/// Values of extra headers that are shorter than this (`1`, `true`) are no secrets, and redacting them would garble messages.
const SHORTEST_SECRET_HEADER: usize = 6;

impl Target {
    /// A server at `base_url`, `http`, `https` or `unix:/path/of/socket`, which may end in `/v1`; `api_key` is sent as bearer token; `extra_headers` replace
    /// headers of the same name.
    ///
    /// # Errors
    /// [`PlanError`] when one of them cannot be used.
    pub fn new(
        base_url: &str,
        model: &str,
        api_key: Option<Secret>,
        extra_headers: &[(String, String)],
    ) -> Result<Self, PlanError> {
        let Address { scheme, host, port, prefix } = parse_url(base_url)?;
        if model.is_empty() {
            return Err(PlanError::NoModel);
        }
        let endpoint = uri(&prefix, Endpoint::Chat)?;
        let authority = format!("{host}:{port}");
        let mut headers = HeaderMap::new();
        let host_value =
            HeaderValue::try_from(&authority).map_err(|_| PlanError::BadUrl { reason: "its host cannot be sent" })?;
        headers.insert(HOST, host_value);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let agent = concat!("plimsoll/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        let mut secrets = Vec::new();
        if let Some(key) = api_key {
            let value = format!("Bearer {}", key.0);
            let mut value = HeaderValue::try_from(value).map_err(|_| PlanError::BadApiKey)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
            secrets.push(key);
        }
        for (name, value) in extra_headers {
            headers.insert(header_name(name)?, header_value(name, value)?);
            // Of `Bearer xyz`, a server's message may repeat the last word alone.
            let last_word = value.rsplit(' ').next().unwrap_or_default();
            secrets.extend(
                [value.as_str(), last_word].into_iter().filter(|s| s.len() >= SHORTEST_SECRET_HEADER).map(Secret::new),
            );
        }
        Ok(Self {
            base_url: match &scheme {
                Scheme::Http => format!("http://{authority}{prefix}"),
                Scheme::Https => format!("https://{authority}{prefix}"),
                Scheme::Unix(path) => format!("unix:{}", path.display()),
            },
            scheme,
            trust: Trust::System,
            prefix,
            host,
            port,
            endpoint,
            model: model.to_owned(),
            headers,
            secrets,
            http2: false,
        })
    }

    /// The same server, asked through `endpoint` instead of the chat API.
    ///
    /// # Errors
    /// [`PlanError::BadUrl`].
    pub fn with_endpoint(mut self, endpoint: Endpoint) -> Result<Self, PlanError> {
        self.endpoint = uri(&self.prefix, endpoint)?;
        Ok(self)
    }

    /// The same server, whose certificate must come from others than the system's authorities.
    #[must_use]
    pub fn trusting(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// The same server, spoken to in HTTP/2 and nothing else, also where no TLS could negotiate it ("prior knowledge", RFC
    /// 9113, 3.3). Without it, HTTP/2 is spoken over TLS where the server chooses it, and HTTP/1.1 everywhere else.
    #[must_use]
    pub fn over_http2(self) -> Self {
        Self { http2: true, ..self }
    }

    /// Whether nothing but HTTP/2 is spoken.
    pub fn is_http2_only(&self) -> bool {
        self.http2
    }

    /// Whose certificates are taken.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Whether it is reached in plain HTTP over TCP.
    pub fn is_plain(&self) -> bool {
        self.scheme == Scheme::Http
    }

    /// Host and port, as the `Host` header has them.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// URL without credentials and without `/v1`, such as `http://127.0.0.1:8000`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Path that requests are sent to, such as `/v1/chat/completions`.
    pub fn endpoint(&self) -> &str {
        self.endpoint.path()
    }

    /// Model name sent with every request.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// `text`, which came from a server or the system, with every secret replaced by `***`.
    pub fn redact(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text))
    }

    /// Host name or address, an IPv6 address without its brackets.
    pub(crate) fn host(&self) -> &str {
        self.host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(&self.host)
    }

    pub(crate) fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// What precedes `/v1` in paths.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

fn uri(prefix: &str, endpoint: Endpoint) -> Result<Uri, PlanError> {
    Uri::try_from(format!("{prefix}{}", endpoint.path()))
        .map_err(|_| PlanError::BadUrl { reason: "its path cannot be sent" })
}

/// The parts of a base URL.
struct Address {
    scheme: Scheme,
    host: String,
    port: u16,
    prefix: String,
}

fn parse_url(url: &str) -> Result<Address, PlanError> {
    let bad = |reason| PlanError::BadUrl { reason };
    let url = url.trim();
    if let Some(path) = url.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.starts_with('/') {
            return Err(bad("the path of its socket does not begin with a slash"));
        }
        return Ok(Address {
            scheme: Scheme::Unix(path.into()),
            host: "localhost".to_owned(),
            port: 80,
            prefix: String::new(),
        });
    }
    let uri: Uri = url.parse().map_err(|_| bad("it does not follow RFC 3986"))?;
    let (scheme, default_port) = match uri.scheme_str() {
        Some("http") => (Scheme::Http, 80),
        Some("https") if cfg!(feature = "tls") => (Scheme::Https, 443),
        Some("https") => return Err(PlanError::Https),
        Some(_) => return Err(bad("only http, https and unix are spoken")),
        None => return Err(bad("it does not begin with http://")),
    };
    let authority = uri.authority().ok_or(bad("it names no host"))?;
    if authority.as_str().contains('@') {
        return Err(PlanError::CredentialsInUrl);
    }
    if authority.host().is_empty() {
        return Err(bad("it names no host"));
    }
    let port = match authority.port() {
        Some(port) => port.as_u16(),
        None if authority.as_str().ends_with(':') => return Err(bad("its port is empty")),
        None if authority.as_str().len() > authority.host().len() => {
            return Err(bad("its port is not a number up to 65535"));
        }
        None => default_port,
    };
    if uri.query().is_some() {
        return Err(bad("it has a query"));
    }
    let path = uri.path().trim_end_matches('/');
    let path = path.strip_suffix("/chat/completions").unwrap_or(path);
    let prefix = path.strip_suffix("/v1").unwrap_or(path);
    Ok(Address { scheme, host: authority.host().to_owned(), port, prefix: prefix.to_owned() })
}

fn header_name(name: &str) -> Result<HeaderName, PlanError> {
    let bad = |reason| PlanError::BadHeader { name: name.to_owned(), reason };
    let parsed = HeaderName::try_from(name).map_err(|_| bad("its name is not one of HTTP"))?;
    match parsed.as_str() {
        "content-length" | "transfer-encoding" | "connection" => Err(bad("the client decides it itself")),
        _ => Ok(parsed),
    }
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, PlanError> {
    let mut value = HeaderValue::try_from(value).map_err(|_| PlanError::BadHeader {
        name: name.to_owned(),
        reason: "its value holds characters that a header cannot carry",
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, PlanError> {
        Target::new(url, "m", None, &[])
    }

    #[test]
    fn urls_come_down_to_host_port_and_path() {
        for (url, base, endpoint, host) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "/v1/chat/completions", "127.0.0.1"),
            ("http://gpu-1/", "http://gpu-1:80", "/v1/chat/completions", "gpu-1"),
            ("http://gpu-1:81/v1/", "http://gpu-1:81", "/v1/chat/completions", "gpu-1"),
            ("http://h/llm/v1", "http://h:80/llm", "/llm/v1/chat/completions", "h"),
            ("http://h/v1/chat/completions", "http://h:80", "/v1/chat/completions", "h"),
            ("http://[::1]:8000", "http://[::1]:8000", "/v1/chat/completions", "::1"),
        ] {
            let target = target(url).unwrap();
            assert_eq!((target.base_url(), target.endpoint(), target.host()), (base, endpoint, host));
        }
    }

    #[test]
    fn tls_and_socket_files_are_told_by_the_url() {
        let unix = target("unix:///run/vllm.sock").unwrap();
        assert_eq!((unix.base_url(), unix.is_plain()), ("unix:/run/vllm.sock", false));
        assert_eq!(unix.endpoint(), "/v1/chat/completions");
        assert!(matches!(target("unix:run/vllm.sock"), Err(PlanError::BadUrl { .. })));
        if cfg!(feature = "tls") {
            let secure = target("https://gpu-1/v1").unwrap();
            assert_eq!((secure.base_url(), secure.port()), ("https://gpu-1:443", 443));
        } else {
            assert_eq!(target("https://h").unwrap_err(), PlanError::Https);
        }
    }

    #[test]
    fn an_endpoint_takes_the_place_of_another() {
        let target = target("http://h/llm/v1").unwrap();
        let text = target.with_endpoint(Endpoint::Completions).unwrap();
        assert_eq!(text.endpoint(), "/llm/v1/completions");
        let again = text.with_endpoint(Endpoint::Completions).unwrap();
        assert_eq!(again.endpoint(), "/llm/v1/completions");
        let chat = again.with_endpoint(Endpoint::Chat).unwrap();
        assert_eq!(chat.endpoint(), "/llm/v1/chat/completions");
    }

    #[test]
    fn urls_that_cannot_be_used_are_refused_with_a_hint() {
        assert_eq!(target("http://me:swordfish@h").unwrap_err(), PlanError::CredentialsInUrl);
        for url in ["", "h", "127.0.0.1:8000", "ftp://h", "http://h?x=1", "http://", "http://h:99999", "http://h:"] {
            assert!(matches!(target(url), Err(PlanError::BadUrl { .. })), "{url}");
        }
    }

    #[test]
    fn secrets_are_neither_printed_nor_passed_on() {
        let key = Some(Secret::new(" sk-swordfish\n"));
        let header = [("X-Api-Key".to_owned(), "open-sesame".to_owned())];
        let target = Target::new("http://h", "m", key, &header).unwrap();
        let printed = format!("{target:?} {target:#?}");
        assert!(!printed.contains("swordfish") && !printed.contains("sesame"), "{printed}");
        assert_eq!(target.redact("bad key sk-swordfish or open-sesame"), "bad key *** or ***");
        assert_eq!(target.headers()[AUTHORIZATION], "Bearer sk-swordfish");
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused_without_their_values() {
        for (name, value) in [("sp ace", "v"), ("x", "sword\nfish"), ("Content-Length", "5")] {
            let error = Target::new("http://h", "m", None, &[(name.to_owned(), value.to_owned())]).unwrap_err();
            assert!(matches!(&error, PlanError::BadHeader { .. }));
            assert!(!error.to_string().contains("fish"));
        }
    }
}
