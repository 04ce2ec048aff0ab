//! HTTP/2: chosen in TLS where the server offers it, spoken from the first byte where that is asked for.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{Request, Response};
use loadgen::{Target, Trust};
use records::{ConnectPhase, Connection, Outcome, RequestRecord};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use crate::server::{good_response, level, requests, run, serve, spec};

/// What the server saw.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<(String, String, usize)>>,
}

/// How the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Well,
    /// Resets the stream after the first token.
    Reset,
    /// 503 with a body.
    Refuse,
}

const TOKEN: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
const REST: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n";

async fn answer(
    seen: Arc<Seen>,
    manner: Manner,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let mut length = 0;
    while let Some(part) = body.data().await {
        let part = part?;
        length += part.len();
        body.flow_control().release_capacity(part.len())?;
    }
    let authority = head.uri.authority().map(ToString::to_string);
    let told = (head.uri.path().to_owned(), authority.unwrap_or_default(), length);
    seen.requests.lock().unwrap().push(told);
    if manner == Manner::Refuse {
        let head = Response::builder().status(503).body(()).unwrap();
        return respond.send_response(head, false)?.send_data("too busy".into(), true);
    }
    let head = Response::builder().header("content-type", "text/event-stream");
    let mut stream = respond.send_response(head.body(()).unwrap(), false)?;
    stream.send_data(TOKEN.into(), false)?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    if manner == Manner::Reset {
        stream.send_reset(h2::Reason::INTERNAL_ERROR);
        return Ok(());
    }
    stream.send_data(TOKEN.into(), false)?;
    stream.send_data(REST.into(), true)
}

async fn converse<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(io: T, seen: Arc<Seen>, manner: Manner) {
    let Ok(mut connection) = h2::server::handshake(io).await else {
        return;
    };
    seen.connections.fetch_add(1, Ordering::Relaxed);
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(Arc::clone(&seen), manner, request, respond));
    }
}

/// A server of HTTP/2, over TLS with its certificate in PEM, or without.
fn http2_server(tls: bool, manner: Manner) -> (SocketAddr, Vec<u8>, Arc<Seen>) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    // A server of both, which like most prefers the newer.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Seen::default());
    let serving = Arc::clone(&seen);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let stream = listener.accept().await.unwrap().0;
                stream.set_nodelay(true).unwrap();
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&serving));
                tokio::spawn(async move {
                    if !tls {
                        converse(stream, seen, manner).await;
                    } else if let Ok(stream) = acceptor.accept(stream).await {
                        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                        converse(stream, seen, manner).await;
                    }
                    io::Result::Ok(())
                });
            }
        });
    });
    (address, made.cert.pem().into_bytes(), seen)
}

fn records_of(target: Target, slots: u32, count: u64) -> Vec<RequestRecord> {
    let mut spec = spec("http://unused:1", &[level(slots, 0, count)]);
    spec.target = target;
    let (events, end) = run(spec);
    assert!(end.is_ok(), "{end:?}");
    requests(&events)
}

fn check_good(records: &[RequestRecord], count: usize) {
    assert!(records.len() >= count);
    for record in records {
        let finish_reason = Some("length".to_owned());
        assert_eq!(record.outcome, Outcome::Completed { finish_reason });
        assert_eq!(record.chunks.count, 2);
        // The second token was sent 200 ms after the first, and its stamp is not that of the first. On a busy machine the
        // first may have been read late.
        let stamps = &record.chunks.since_sent_ns;
        assert!(stamps[1] - stamps[0] >= 50_000_000, "{record:?}");
        let head = record.head_ns.unwrap();
        assert!(record.intended_ns <= record.sent_ns && record.sent_ns <= head);
    }
    let reused = |record: &RequestRecord| record.connection == Connection::Reused;
    assert!(records.iter().any(reused), "kept alive");
}

#[test]
fn tls_speaks_http2_with_a_server_that_prefers_it() {
    let (address, certificate, seen) = http2_server(true, Manner::Well);
    let target = Target::new(&format!("https://{address}"), "tiny", None, &[]).unwrap();
    let records = records_of(target.trusting(Trust::Authority(certificate)), 4, 60);
    check_good(&records, 60);
    let asked = seen.requests.lock().unwrap();
    assert_eq!(asked.len(), records.len(), "nothing is sent twice");
    for (path, authority, length) in asked.iter() {
        let expected = ("/v1/chat/completions", address.to_string());
        assert_eq!((path.as_str(), authority), (expected.0, &expected.1));
        assert!(*length > 50, "the whole body came");
    }
}

#[test]
fn prior_knowledge_speaks_http2_without_tls() {
    let (address, _, seen) = http2_server(false, Manner::Well);
    let target = Target::new(&format!("http://{address}"), "tiny", None, &[]).unwrap();
    let records = records_of(target.over_http2(), 2, 40);
    check_good(&records, 40);
    let connections = seen.connections.load(Ordering::Relaxed);
    assert!(connections < records.len(), "{connections} connections");
}

#[test]
fn streams_that_break_are_cut_and_refusals_keep_their_words() {
    let target = |manner| {
        let address = http2_server(false, manner).0;
        let target = Target::new(&format!("http://{address}"), "tiny", None, &[]).unwrap();
        target.over_http2()
    };
    let record = &records_of(target(Manner::Reset), 1, 1)[0];
    assert!(matches!(&record.outcome, Outcome::Cut { .. }), "{record:?}");
    assert_eq!(record.chunks.count, 1, "what had arrived is kept");
    let record = &records_of(target(Manner::Refuse), 1, 1)[0];
    let refused = Outcome::HttpStatus { status: 503, body: "too busy".to_owned() };
    assert_eq!(record.outcome, refused);
}

#[test]
fn a_server_of_another_version_is_told() {
    // HTTP/1.1 where HTTP/2 was asked for.
    let url = serve(|mut request| request.send(good_response()));
    let target = Target::new(&url, "tiny", None, &[]).unwrap().over_http2();
    let record = &records_of(target, 1, 1)[0];
    let told = matches!(
        &record.outcome,
        Outcome::Malformed { .. } | Outcome::Cut { .. } | Outcome::ConnectFailed { phase: ConnectPhase::Connect, .. }
    );
    assert!(told, "{record:?}");
}
