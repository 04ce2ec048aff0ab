//! Keys and headers for exporters: they arrive there, the server's own do not, and neither is written down.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::binary::{Sim, run, stderr, xtask};

/// An exporter of one GPU that passes on every request's head.
fn exporter() -> (String, mpsc::Receiver<String>) {
    const PAGE: &str = "DCGM_FI_DEV_GPU_UTIL{gpu=\"0\",UUID=\"GPU-1\",modelName=\"NVIDIA H100\"} 97\n";
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (heads, seen) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let (status, body) =
                if head.starts_with("get /metrics") { ("200 OK", PAGE) } else { ("404 Not Found", "") };
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            if stream.write_all(answer.as_bytes()).is_err() || heads.send(head).is_err() {
                return;
            }
        }
    });
    (url, seen)
}

#[test]
fn an_exporter_gets_its_own_key_and_headers_and_the_servers_stay_away() {
    let (url, seen) = exporter();
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    let output = xtask(&["bench", "--url", &sim.url, "--gpu-telemetry", &url])
        .args(["--telemetry-header", "X-Scope: s3cret-scope"])
        .args(["--header", "X-Server: s3cret-server"])
        .args(["--concurrency", "1", "--request-count", "2", "--osl", "4", "--run-id", "keys"])
        .arg("--result-dir")
        .arg(results.path())
        .env("PLIMSOLL_TELEMETRY_KEY", "s3cret-telemetry")
        .env("OPENAI_API_KEY", "s3cret-openai")
        .output()
        .expect("the binary runs");
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", stderr(&output));
    let mut heads = 0;
    while let Ok(head) = seen.recv_timeout(Duration::from_millis(100)) {
        heads += 1;
        assert!(head.contains("authorization: bearer s3cret-telemetry\r\n"), "{head}");
        assert!(head.contains("x-scope: s3cret-scope\r\n"), "{head}");
        assert!(!head.contains("s3cret-openai") && !head.contains("s3cret-server"), "{head}");
    }
    assert!(heads > 2, "the exporter was read {heads} times");
    let folder = results.path().join("keys");
    let gpu = fs::read_to_string(folder.join("gpu.jsonl")).expect("gpu.jsonl");
    assert!(gpu.contains("GPU-1"), "what it said is in the run");
    for file in fs::read_dir(&folder).expect("a folder").flatten() {
        let text = fs::read(file.path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(!text.unwrap_or_default().contains("s3cret"), "{:?}", file.file_name());
    }
    assert!(!stderr(&output).contains("s3cret"));
}

#[test]
fn a_header_without_colon_is_refused_before_anything_is_begun() {
    let results = tempfile::tempdir().expect("a folder");
    let folder = results.path().to_str().expect("UTF-8");
    let url = "http://127.0.0.1:9";
    let output = run(&["bench", "--url", url, "--telemetry-header", "nonsense", "--result-dir", folder]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("cannot parse --telemetry-header: there is no colon"), "{said}");
    assert!(!said.contains("nonsense"));
}
