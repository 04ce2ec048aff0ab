//! The address of a server, parsed by one set of rules for load, telemetry and records.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use http::Uri;

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP over TCP.
    Http,
    /// HTTP over TLS.
    Https,
    /// HTTP over the Unix socket at this absolute path.
    Unix(PathBuf),
}

/// Base URL of a server, without credentials, query or a trailing `/v1`, such as `http://127.0.0.1:8000`.
///
/// ```
/// let url: records::ServerUrl = "https://gpu-1/llm/v1/".parse()?;
/// assert_eq!(url.to_string(), "https://gpu-1/llm");
/// assert_eq!((url.host(), url.port(), url.path()), ("gpu-1", 443, "/llm"));
/// # Ok::<(), records::UrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    scheme: Scheme,
    host: String,
    port: Option<u16>,
    path: String,
}

/// Reason why a URL is refused. Messages do not repeat the URL: it may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The text is no usable URL.
    #[error(
        "the server's URL cannot be used: {0}\nhint: write it as http://host:port, for example http://127.0.0.1:8000"
    )]
    Invalid(&'static str),
    /// User name or password in the URL; they would end up in logs and shell histories.
    #[error(
        "the server's URL holds credentials\nhint: take them out of the URL and pass an API key or a header instead"
    )]
    Credentials,
}

impl FromStr for ServerUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        use UrlError::Invalid;

        let url = url.trim();
        if let Some(path) = url.strip_prefix("unix:") {
            return Self::unix(path.strip_prefix("//").unwrap_or(path));
        }
        let uri: Uri = url.parse().map_err(|_| Invalid("it does not follow RFC 3986"))?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) => return Err(Invalid("its scheme is none of http, https and unix")),
            None => return Err(Invalid("it does not begin with http://")),
        };
        let authority = uri.authority().ok_or(Invalid("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(UrlError::Credentials);
        }
        let host = authority.host();
        if host.is_empty() {
            return Err(Invalid("it names no host"));
        }
        let port = authority.port_u16();
        if port.is_none() && authority.as_str().len() > host.len() {
            return Err(Invalid("its port is not a number up to 65535"));
        }
        if uri.query().is_some() || url.contains('#') {
            return Err(Invalid("it has a query or a fragment"));
        }
        let path = uri.path().trim_end_matches('/');
        let path = path.strip_suffix("/chat/completions").unwrap_or(path);
        let path = path.strip_suffix("/v1").unwrap_or(path);
        Ok(Self { scheme, host: host.to_ascii_lowercase(), port, path: path.to_owned() })
    }
}

impl ServerUrl {
    fn unix(socket: &str) -> Result<Self, UrlError> {
        if !Path::new(socket).is_absolute() {
            return Err(UrlError::Invalid("the path of its socket does not begin with a slash"));
        }
        let scheme = Scheme::Unix(socket.into());
        Ok(Self { scheme, host: "localhost".to_owned(), port: None, path: String::new() })
    }

    /// How the server is reached.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Host name or address, an IPv6 address without its brackets; `localhost` for a Unix socket.
    pub fn host(&self) -> &str {
        self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host)
    }

    /// TCP port; the scheme's default where the URL names none.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.scheme == Scheme::Https { 443 } else { 80 })
    }

    /// Host and port as the `Host` header carries them.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port())
    }

    /// Path below which the endpoints lie; empty or with a leading and no trailing slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// URL of an endpoint, whose path begins with a slash.
    pub fn endpoint(&self, path: &str) -> String {
        format!("{self}{path}")
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scheme {
            Scheme::Unix(socket) => return write!(f, "unix:{}", socket.display()),
            Scheme::Http => f.write_str("http://")?,
            Scheme::Https => f.write_str("https://")?,
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

/// Replaces user information and query of the URL in `text` by `***`. Text without a URL is returned as it is.
///
/// Unlike [`ServerUrl`], this accepts any text, for command lines and messages.
pub fn redact_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    let authority = authority.rsplit_once('@').map_or(authority.to_owned(), |(_, host)| format!("***@{host}"));
    let path = path.split_once('?').map_or(path.to_owned(), |(path, _)| format!("{path}?***"));
    format!("{scheme}://{authority}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<ServerUrl, UrlError> {
        url.parse()
    }

    #[test]
    fn urls_are_split_into_host_port_and_path() {
        for (url, shown, authority, host) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "127.0.0.1:8000", "127.0.0.1"),
            ("http://gpu-1//", "http://gpu-1", "gpu-1:80", "gpu-1"),
            ("http://gpu-1:81/v1/", "http://gpu-1:81", "gpu-1:81", "gpu-1"),
            ("http://h/llm/v1", "http://h/llm", "h:80", "h"),
            ("http://h/v1/chat/completions", "http://h", "h:80", "h"),
            ("https://h", "https://h", "h:443", "h"),
            ("http://[::1]:8000/llm", "http://[::1]:8000/llm", "[::1]:8000", "::1"),
            ("unix:///run/vllm.sock", "unix:/run/vllm.sock", "localhost:80", "localhost"),
        ] {
            let parsed = parse(url).unwrap();
            assert_eq!(
                (parsed.to_string().as_str(), parsed.authority().as_str(), parsed.host()),
                (shown, authority, host)
            );
            assert_eq!(parse(&parsed.to_string()), Ok(parsed), "{url}");
        }
        assert_eq!(parse("http://h/llm").unwrap().endpoint("/metrics"), "http://h/llm/metrics");
    }

    #[test]
    fn unusable_urls_are_refused() {
        for url in [
            "",
            "h",
            "127.0.0.1:8000",
            "ftp://h",
            "http://h?x=1",
            "http://h/#x",
            "http://",
            "http://h:99999",
            "http://h:",
            "http://gpu 7",
            "unix:run/vllm.sock",
        ] {
            assert!(matches!(parse(url), Err(UrlError::Invalid(_))), "{url}");
        }
        assert_eq!(parse("http://me:swordfish@h"), Err(UrlError::Credentials));
    }

    #[test]
    fn credentials_and_queries_are_redacted() {
        assert_eq!(redact_url("http://user:s3cret@host:8000/base?token=s3cret"), "http://***@host:8000/base?***");
        assert_eq!(redact_url("http://host?token=s3cret"), "http://host?***");
        assert_eq!(redact_url("http://127.0.0.1:8000/v1"), "http://127.0.0.1:8000/v1");
        assert_eq!(redact_url("--concurrency=1,2"), "--concurrency=1,2");
    }
}
