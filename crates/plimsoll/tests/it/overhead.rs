//! The client's own error: measured on request, kept beside the results, quoted by the runs that follow.

use std::{fs, process::Stdio, thread, time::Duration};

use serde_json::Value;

use crate::binary::{Sim, json, run, signal, stderr, xtask};

#[test]
fn the_clients_error_is_measured_stored_and_quoted() {
    let results = tempfile::tempdir().expect("a folder");
    let folder = results.path().to_str().expect("UTF-8");
    let output = run(&["overhead", "--streams", "1,8", "--result-dir", folder, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let measured = json(&output);
    let levels = measured["levels"].as_array().expect("levels");
    for (level, streams) in levels.iter().zip([1, 8]) {
        assert_eq!(level["streams"], streams);
        assert_eq!((&level["failed"], &level["in_flight_max"]), (&0.into(), &streams.into()));
        // A first token cannot arrive before it was sent, by the server's own stamp.
        assert!(level["ttft_error_p50_ms"].as_f64() > Some(0.0), "{level}");
        assert!(level["cpu_us_per_event"].as_f64() > Some(0.0), "{level}");
        // Nor was it sent before its time: the server's lateness is the server's.
        assert!(level["server_late_p99_ms"].as_f64() > Some(0.0), "{level}");
        assert!(level["request_read_p99_ms"].as_f64() > Some(0.0), "{level}");
    }
    let name = format!("overhead-{}.json", measured["host_name"].as_str().expect("a name"));
    let stored: Value = serde_json::from_slice(&fs::read(results.path().join(name)).expect("the file")).expect("JSON");
    assert_eq!(stored, measured);

    let sim = Sim::start(&["--profile", "fixed"]);
    let load = ["--concurrency", "1", "--request-count", "1", "--osl", "2", "--result-dir", folder];
    let output = run(&[&["bench", "--url", &sim.url, "--run-id", "quotes"], &load[..]].concat());
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", stderr(&output));
    let manifest = fs::read_to_string(results.path().join("quotes/manifest.json")).expect("a manifest");
    assert!(
        manifest.contains("the client's own error on this machine") && manifest.contains("8 streams: TTFT"),
        "{manifest}"
    );
}

#[test]
fn a_level_at_which_the_client_was_the_limit_is_not_valid() {
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    let folder = results.path().to_str().expect("UTF-8");
    let load = ["--concurrency", "4", "--request-count", "16", "--osl", "40"];
    let arguments = [&["bench", "--url", &sim.url, "--json", "--result-dir", folder], &load[..]];
    let mut client =
        xtask(&arguments.concat()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    // A machine that gives the client every other 40 ms only: nobody could stamp a token of 10 ms on it.
    while client.try_wait().expect("a child").is_none() {
        signal(&client, "STOP");
        thread::sleep(Duration::from_millis(40));
        signal(&client, "CONT");
        thread::sleep(Duration::from_millis(40));
    }
    let output = client.wait_with_output().expect("it ended");
    assert_eq!(output.status.code(), Some(5));
    let level = &json(&output)["summary"]["levels"][0];
    assert_eq!(level["requests"]["completed"], 16, "it is marked, not hidden");
    assert!(level["invalid"].to_string().contains("client_late"), "{level}");
}
