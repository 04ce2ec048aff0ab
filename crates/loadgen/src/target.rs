//! Where requests go: URL, model, key and headers, validated once. Secrets are held so that they cannot be printed.

use std::fmt;

use http::{
    HeaderMap, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT},
};

use records::{Scheme, ServerUrl, UrlError};

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
    url: ServerUrl,
    trust: Trust,
    endpoint: Uri,
    model: String,
    headers: HeaderMap,
    secrets: Vec<Secret>,
    http2: bool,
}

/// Values of extra headers that are shorter than this (`1`, `true`) are no secrets, and redacting them would garble messages.
const SECRET_HEADER_MIN_CHARS: usize = 6;

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
        let url: ServerUrl = base_url.parse()?;
        if *url.scheme() == Scheme::Https && !cfg!(feature = "tls") {
            return Err(PlanError::Https);
        }
        if model.is_empty() {
            return Err(PlanError::NoModel);
        }
        let endpoint = uri(&url, Endpoint::Chat)?;
        let mut headers = HeaderMap::new();
        let host_value =
            HeaderValue::try_from(url.authority()).map_err(|_| UrlError::Invalid("its host cannot be sent"))?;
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
                [value.as_str(), last_word].into_iter().filter(|s| s.len() >= SECRET_HEADER_MIN_CHARS).map(Secret::new),
            );
        }
        Ok(Self { url, trust: Trust::System, endpoint, model: model.to_owned(), headers, secrets, http2: false })
    }

    /// The same server, asked through `endpoint` instead of the chat API.
    ///
    /// # Errors
    /// [`PlanError::Url`].
    pub fn with_endpoint(mut self, endpoint: Endpoint) -> Result<Self, PlanError> {
        self.endpoint = uri(&self.url, endpoint)?;
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
        *self.url.scheme() == Scheme::Http
    }

    /// The server's base URL.
    pub fn url(&self) -> &ServerUrl {
        &self.url
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

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

fn uri(url: &ServerUrl, endpoint: Endpoint) -> Result<Uri, UrlError> {
    Uri::try_from(format!("{}{}", url.path(), endpoint.path()))
        .map_err(|_| UrlError::Invalid("its path cannot be sent"))
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
    fn only_http_is_plain_and_https_needs_tls() {
        assert!(target("http://gpu-1/v1").unwrap().is_plain());
        assert!(!target("unix:///run/vllm.sock").unwrap().is_plain());
        match target("https://gpu-1/v1") {
            Ok(secure) => assert!(cfg!(feature = "tls") && !secure.is_plain()),
            Err(error) => assert!(!cfg!(feature = "tls") && error == PlanError::Https),
        }
        assert_eq!(target("http://me:swordfish@h").unwrap_err(), PlanError::Url(UrlError::Credentials));
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
