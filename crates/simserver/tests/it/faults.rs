//! Clients that go away and servers that die.

use std::net::TcpStream;

use simserver::{SimConfig, SimServer};

use crate::client::{Connection, ask, chat, completion, quick_profile, quick_server};

/// Reads lines up to the first one with `mark`.
fn skip_until(connection: &mut Connection, mark: &str) {
    loop {
        let line = connection.line();
        assert_ne!(line, "", "closed before {mark}");
        if line.contains(mark) {
            return;
        }
    }
}

#[test]
fn a_client_that_goes_away_aborts_its_request() {
    let server = quick_server();
    let mut connection = Connection::open(&server);
    let endless = chat(r#","stream":true,"ignore_eos":true,"max_tokens":2000"#);
    connection.send("POST", "/v1/chat/completions", &endless);
    skip_until(&mut connection, "\"finish_reason\":null,\"token_ids\"");
    drop(connection);
    // Left alone, the request would end after two seconds and count as a success.
    let page = loop {
        let page = ask(&server, "GET", "/metrics", "").body();
        if page.contains("vllm:num_requests_running{engine=\"0\",model_name=\"smollm2-135m\"} 0.0") {
            break page;
        }
    };
    for reason in ["stop", "length", "abort"] {
        let none = format!(
            "vllm:request_success_total{{engine=\"0\",finished_reason=\"{reason}\",model_name=\"smollm2-135m\"}} 0.0"
        );
        assert!(page.contains(&none), "{page}");
    }
    assert!(page.contains("vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"smollm2-135m\"} 0.0\n"));
}

#[test]
fn a_dying_server_cuts_what_it_was_doing_and_is_gone() {
    let server = SimServer::start(SimConfig { die_after: Some(3), ..SimConfig::new(quick_profile()) }).unwrap();
    let short = completion(r#","ignore_eos":true,"max_tokens":2"#);
    for _ in 0..2 {
        assert_eq!(ask(&server, "POST", "/v1/completions", &short).status, "HTTP/1.1 200 OK");
    }
    let mut cut = Connection::open(&server);
    cut.send("POST", "/v1/completions", &completion(r#","stream":true,"ignore_eos":true,"max_tokens":2000"#));
    skip_until(&mut cut, "data: {");
    // Pages do not count; the fourth generation is one too many.
    assert_eq!(ask(&server, "GET", "/health", "").status, "HTTP/1.1 200 OK");
    let mut refused = Connection::open(&server);
    refused.send("POST", "/v1/completions", &short);
    assert_eq!(refused.line(), "");
    let mut last = String::new();
    loop {
        let line = cut.line();
        if line.is_empty() {
            break;
        }
        last = line;
    }
    assert_ne!(last, "0\r\n", "the stream was cut, not ended");
    assert!(!last.contains("[DONE]"));
    assert!(TcpStream::connect(server.url().replace("http://", "")).is_err());
    server.stop();
}

#[test]
fn a_stopped_server_frees_its_port_and_another_takes_it() {
    let server = quick_server();
    let address = server.url().replace("http://", "");
    let taken = SimServer::start(SimConfig { listen: address.parse().unwrap(), ..SimConfig::new(quick_profile()) });
    assert!(taken.unwrap_err().to_string().contains(&address));
    server.stop();
    assert!(TcpStream::connect(&address).is_err());
}
