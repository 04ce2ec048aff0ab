//! TLS on the real binary: own authority, any certificate, and what is refused.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    thread,
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::binary::{Sim, json, run, stderr};

/// TLS in front of a plain server; gives its address and its certificate in PEM.
fn tls_in_front_of(address: String) -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let front = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            loop {
                let near = listener.accept().await.expect("a connection").0;
                near.set_nodelay(true).expect("a socket");
                let (acceptor, address) = (acceptor.clone(), address.clone());
                tokio::spawn(async move {
                    // Clients that trust nobody hang up here.
                    let mut near = acceptor.accept(near).await.ok()?;
                    let mut far = TcpStream::connect(address).await.ok()?;
                    far.set_nodelay(true).ok()?;
                    tokio::io::copy_bidirectional(&mut near, &mut far).await.ok()
                });
            }
        });
    });
    (front, made.cert.pem())
}

#[test]
fn a_server_behind_tls_is_measured_with_its_telemetry_by_whom_it_can_trust() {
    let sim = Sim::start(&["--profile", "fixed"]);
    let (front, certificate) = tls_in_front_of(sim.url.trim_start_matches("http://").to_owned());
    let (_, other) = tls_in_front_of("127.0.0.1:1".to_owned());
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path: PathBuf = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (own, foreign) = (file("own.pem", &certificate), file("foreign.pem", &other));
    let results = folder.path().to_str().expect("UTF-8");
    let url = format!("https://{front}");
    let bench = |trust: &[&str]| {
        let id = format!("trust{}", trust.concat().len());
        let load = ["bench", "--url", &url, "--json", "--result-dir", results, "--run-id", &id];
        let size = ["--concurrency", "4", "--osl", "4", "--request-count", "12"];
        run(&[&load[..], &size, trust].concat())
    };
    for trust in [&["--ca-cert", &own][..], &["--insecure"]] {
        let output = bench(trust);
        assert!(matches!(output.status.code(), Some(0 | 5)), "{trust:?}: {}", stderr(&output));
        let level = &json(&output)["summary"]["levels"][0];
        assert_eq!(level["requests"]["completed"], 12, "{trust:?}");
        let counted = &level["server"]["output_tokens"];
        assert!(counted["server"].as_f64() > Some(0.0), "{trust:?}: {level}");
        assert_eq!(counted["client"], counted["server"], "{trust:?}");
    }
    for distrust in [&[][..], &["--ca-cert", &foreign]] {
        let output = bench(distrust);
        assert_eq!(output.status.code(), Some(3), "{distrust:?}");
        assert!(output.stdout.is_empty(), "{distrust:?}");
    }
}

#[test]
fn http2_by_prior_knowledge_is_spoken_when_asked_for() {
    // The simulated server speaks HTTP/1.1 only: it refuses, and the run says what was spoken.
    let sim = Sim::start(&["--profile", "fixed"]);
    let folder = tempfile::tempdir().expect("a folder");
    let results = folder.path().to_str().expect("UTF-8");
    let load = ["bench", "--url", &sim.url, "--http2", "--result-dir", results];
    let output = run(&load);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("HTTP/2"), "{}", stderr(&output));
}
