//! Ways to a server on the real binary: a socket file, and several servers.

use std::{
    fs,
    io::{Read, Write, copy},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixListener,
    thread,
};

use crate::binary::{Sim, json, run, stderr};

/// A socket file in front of a TCP server.
fn relay(listener: UnixListener, address: String) {
    thread::spawn(move || {
        for near in listener.incoming() {
            let near = near.expect("a connection");
            let far = TcpStream::connect(&address).expect("the simulated server");
            let (mut near_in, mut far_out) = (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"));
            thread::spawn(move || {
                carry(&mut near_in, &mut far_out);
                // The other side may have ended first.
                drop(far_out.shutdown(Shutdown::Write));
            });
            thread::spawn(move || {
                let (mut near_out, mut far_in) = (near, far);
                carry(&mut far_in, &mut near_out);
                drop(near_out.shutdown(Shutdown::Write));
            });
        }
    });
}

/// Until one side ends, in whichever way.
fn carry(from: &mut impl Read, to: &mut impl Write) {
    drop(copy(from, to));
}

const SHORT: [&str; 6] = ["--concurrency", "4", "--osl", "4", "--request-count", "12"];

#[test]
fn a_socket_file_is_measured_with_its_telemetry() {
    let sim = Sim::start(&["--profile", "fixed"]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("engine.sock");
    relay(UnixListener::bind(&path).expect("a socket"), sim.url.trim_start_matches("http://").to_owned());
    let url = format!("unix:{}", path.display());
    let results = folder.path().to_str().expect("UTF-8");
    let output = run(&[&["bench", "--url", &url, "--json", "--result-dir", results], &SHORT[..]].concat());
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", stderr(&output));
    let level = &json(&output)["summary"]["levels"][0];
    assert_eq!(level["requests"]["completed"], 12);
    // The server's own count came through the tunnel.
    assert_eq!(level["server"]["output_tokens"]["client"], level["server"]["output_tokens"]["server"]);
    assert!(level["server"]["output_tokens"]["server"].as_f64() > Some(0.0), "{level}");
}

#[test]
fn several_servers_share_a_run_and_the_manifest_notes_it() {
    let (one, two) = (Sim::start(&["--profile", "fixed"]), Sim::start(&["--profile", "fixed"]));
    let folder = tempfile::tempdir().expect("a folder");
    let urls = format!("{},{}", one.url, two.url);
    let results = folder.path().to_str().expect("UTF-8");
    let output =
        run(&[&["bench", "--url", &urls, "--json", "--run-id", "two", "--result-dir", results], &SHORT[..]].concat());
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", stderr(&output));
    let level = &json(&output)["summary"]["levels"][0];
    assert_eq!(level["requests"]["completed"], 12);
    let counted = |which: &str| level["server"]["output_tokens"][which].as_f64().expect("a count");
    assert!(counted("server") < counted("client"), "the first server had a part: {level}");
    let manifest = fs::read_to_string(folder.path().join("two/manifest.json")).expect("a manifest");
    assert!(manifest.contains("shared by several servers") && manifest.contains(&two.url), "{manifest}");
}

#[test]
fn tls_flags_that_cannot_be_used_are_refused() {
    for (flags, hint) in [
        (&["--url", "https://127.0.0.1:1", "--ca-cert", "no/such.pem"][..], "no/such.pem"),
        (&["--url", "https://127.0.0.1:1", "--ca-cert", "Cargo.toml"], "no certificate"),
        (&["--url", "https://127.0.0.1:1", "--ca-cert", "x", "--insecure"], "--insecure"),
        (&["--url", "unix:relative.sock"], "slash"),
    ] {
        let output = run(&[&["bench"], flags].concat());
        assert!(matches!(output.status.code(), Some(2 | 3)), "{flags:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(hint), "{flags:?} names {hint:?}: {}", stderr(&output));
    }
}
