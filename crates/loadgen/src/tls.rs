//! TLS through rustls: whom to trust, and the handshake.

use std::{io, sync::Arc};

use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    },
};

use crate::{
    protocol::{Offer, Protocol},
    socket::StampedSocket,
    target::Trust,
};

/// Names of the protocols in TLS (RFC 7301, 6).
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// An encrypted connection.
pub(crate) type Stream = tokio_rustls::client::TlsStream<StampedSocket>;

/// Settings for one server.
#[derive(Clone)]
pub(crate) struct Client {
    /// Offers HTTP/2 and HTTP/1.1.
    either: TlsConnector,
    /// Offers one of them.
    http1: TlsConnector,
    http2: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Client {
    /// For the server of this name or address.
    pub(crate) fn new(host: &str, trust: &Trust) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?;
        let mut config = match trust {
            Trust::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(NoVerifier(provider)))
                .with_no_client_auth(),
            Trust::System => builder.with_root_certificates(of_system()?).with_no_client_auth(),
            Trust::Authority(pem) => builder.with_root_certificates(of_pem(pem)?).with_no_client_auth(),
        };
        let mut offering = |protocols: &[&[u8]]| {
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            TlsConnector::from(Arc::new(config.clone()))
        };
        let name = ServerName::try_from(host.to_owned());
        Ok(Self {
            either: offering(&[HTTP2, HTTP1]),
            http1: offering(&[HTTP1]),
            http2: offering(&[HTTP2]),
            name: name.map_err(|_| format!("{host} is no name that a certificate could hold"))?,
        })
    }

    /// An encrypted connection, and what is to be spoken over it: the server chooses among `offer`, and one that does not
    /// know the extension speaks HTTP/1.1.
    pub(crate) async fn handshake(&self, socket: StampedSocket, offer: Offer) -> io::Result<(Stream, Protocol)> {
        let connector = match offer {
            Offer::Either => &self.either,
            Offer::Http1 => &self.http1,
            Offer::Http2 => &self.http2,
        };
        let stream = connector.connect(self.name.clone(), socket).await?;
        match (stream.get_ref().1.alpn_protocol(), offer) {
            (Some(HTTP2), _) => Ok((stream, Protocol::Http2)),
            (_, Offer::Http2) => Err(io::Error::other("the server does not offer HTTP/2")),
            _ => Ok((stream, Protocol::Http1)),
        }
    }
}

fn of_system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this system has no certificate authorities\nhint: install them (on Debian: ca-certificates), or name the server's with --ca-cert".to_owned());
    }
    Ok(roots)
}

fn of_pem(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| format!("the authority's certificate is no PEM: {e}"))?;
        roots.add(certificate).map_err(|e| format!("the authority's certificate cannot be used: {e}"))?;
    }
    if roots.is_empty() {
        return Err("the authority's file holds no certificate".to_owned());
    }
    Ok(roots)
}

/// Takes whatever certificate is shown; signatures of the handshake must still be right.
#[derive(Debug)]
struct NoVerifier(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
