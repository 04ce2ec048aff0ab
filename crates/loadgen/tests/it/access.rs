//! Ways to a server: TLS with whose certificates, socket files, several servers, and the tunnel for telemetry.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use loadgen::{RunEnd, Target, Trust, Tunnel};
use records::{ConnectPhase, Connection, Outcome, RequestRecord};
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::server::{good_response, level, requests, run, serve, spec};

/// Answers every request on a connection until its end.
fn answer_all(stream: impl Read + Write) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |l| l.parse().unwrap())];
        stream.read_exact(&mut body).unwrap();
        let sent = stream.get_mut().write_all(good_response().as_bytes());
        if sent.and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}

/// A TLS server for 127.0.0.1 and its certificate in PEM.
fn tls_server() -> (String, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let stream: TcpStream = stream.unwrap();
            thread::spawn(move || answer_all(StreamOwned::new(connection, stream)));
        }
    });
    (url, made.cert.pem().into_bytes())
}

fn through(target: Target, count: u64) -> (Vec<RequestRecord>, RunEnd) {
    let mut spec = spec("http://unused:1", &[level(1, 0, count)]);
    spec.target = target;
    let (events, end) = run(spec);
    (requests(&events), end.unwrap())
}

fn is_completed(record: &RequestRecord) -> bool {
    matches!(record.outcome, Outcome::Completed { .. }) && record.chunks.count == 2
}

#[test]
fn tls_takes_whom_it_is_told_to_trust() {
    let (url, certificate) = tls_server();
    let target = || Target::new(&url, "tiny", None, &[]).unwrap();
    for trust in [Trust::Authority(certificate.clone()), Trust::Anyone] {
        let (records, end) = through(target().trusting(trust), 400);
        assert_eq!(end, RunEnd::Completed);
        assert!(records.iter().all(is_completed));
        assert!(records.iter().any(|r| r.connection == Connection::Reused), "kept alive");
        let ordered = |r: &RequestRecord| r.intended_ns <= r.sent_ns && r.sent_ns <= r.head_ns.unwrap();
        assert!(records.iter().all(ordered));
    }
    let other = tls_server().1;
    let (records, end) = through(target().trusting(Trust::Authority(other)), 100);
    assert!(matches!(end, RunEnd::ServerLost { .. }), "{end:?}");
    for record in &records {
        let Outcome::ConnectFailed { phase, message } = &record.outcome else { unreachable!("{record:?}") };
        assert_eq!(*phase, ConnectPhase::Tls);
        assert!(message.contains("certificate"), "{message}");
    }
}

#[test]
fn a_plain_server_is_no_tls_server() {
    let url = serve(|mut request| request.send(good_response())).replace("http://", "https://");
    let target = Target::new(&url, "tiny", None, &[]).unwrap().trusting(Trust::Anyone);
    let probe = through(target, 100);
    let phase = ConnectPhase::Tls;
    assert!(matches!(&probe.0[0].outcome, Outcome::ConnectFailed { phase: p, .. } if *p == phase), "{:?}", probe.0[0]);
}

#[test]
fn a_socket_file_is_a_server_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vllm.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || answer_all(stream));
        }
    });
    let url = format!("unix:{}", path.display());
    let target = Target::new(&url, "tiny", None, &[]).unwrap();
    let (records, end) = through(target.clone(), 50);
    assert_eq!((end, records.iter().all(is_completed)), (RunEnd::Completed, true));

    let tunnel = Tunnel::open(&target).unwrap();
    let near = Target::new(&tunnel.url(&target), "tiny", None, &[]).unwrap();
    assert!(near.is_plain());
    let (records, end) = through(near, 50);
    assert_eq!((end, records.iter().all(is_completed)), (RunEnd::Completed, true));
}

#[test]
fn several_servers_share_the_slots() {
    let seen: [Arc<AtomicUsize>; 3] = Default::default();
    let urls = seen.clone().map(|count| {
        serve(move |mut request| {
            count.fetch_add(1, Ordering::Relaxed);
            request.send(good_response());
        })
    });
    let mut spec = spec(&urls[0], &[level(6, 0, 60)]);
    spec.replicas = urls[1..].iter().map(|url| Target::new(url, "tiny", None, &[]).unwrap()).collect();
    let (events, end) = run(spec);
    assert_eq!(end.unwrap(), RunEnd::Completed);
    let records = requests(&events);
    for (server, count) in seen.iter().enumerate() {
        let of_slots = records.iter().filter(|r| r.slot as usize % 3 == server).count();
        assert_eq!(count.load(Ordering::Relaxed), of_slots, "server {server}");
        assert!(of_slots > 0);
    }
}
