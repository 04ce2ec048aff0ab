//! Bytes on the wire against those of vLLM 0.11.2, after normalising ids, times and the words of the text.

use std::time::{Duration, Instant};

use simserver::{Profile, SimConfig, SimServer};

use crate::client::{Connection, ask, capture, chat, completion, quick_server, talkative_server};

/// Replaces what may differ: hexadecimal ids, times, the path that a model was loaded from, and the text of a token.
fn normalised(text: &str) -> String {
    let mut text = text.to_owned();
    for (opening, closing, word) in [
        (r#""id":"chatcmpl-"#, '"', "ID"),
        (r#""id":"cmpl-"#, '"', "ID"),
        (r#""id":"modelperm-"#, '"', "ID"),
        (r#""id":"embd-"#, '"', "ID"),
        (r#""id":"resp_"#, '"', "ID"),
        (r#""id":"msg_"#, '"', "ID"),
        (r#""item":{"id":""#, '"', "ID"),
        (r#""item_id":""#, '"', "ID"),
        (r#""created_at":"#, ',', "TIME"),
        (r#""delta":""#, '"', "WORD"),
        (r#""root":""#, '"', "ROOT"),
        (r#""created":"#, ',', "TIME"),
        (r#""content":""#, '"', "WORD"),
        (r#""text":""#, '"', "WORD"),
        (r#""stop_reason":""#, '"', "STRING"),
    ] {
        let mut rest = std::mem::take(&mut text);
        while let Some(at) = rest.find(opening) {
            let value = at + opening.len();
            let end = value + rest[value..].find(closing).expect("a closing quote or comma");
            text.push_str(&rest[..value]);
            // A token without text stays one.
            text.push_str(if value == end { "" } else { word });
            rest.drain(..end);
        }
        text.push_str(&rest);
    }
    text
}

fn events(stream: &str) -> Vec<String> {
    stream.split_inclusive("\n\n").map(str::to_owned).collect()
}

#[test]
fn streams_are_vllms_byte_for_byte() {
    let server = quick_server();
    let stream = |tokens: u32, more: &str| format!(r#","stream":true,"ignore_eos":true,"max_tokens":{tokens}{more}"#);
    let usage = r#","stream_options":{"include_usage":true}"#;
    let continuous = r#","stream_options":{"include_usage":true,"continuous_usage_stats":true}"#;
    let eos = r#","stream":true,"min_tokens":31,"max_tokens":200,"stream_options":{"include_usage":true}"#;
    for (file, path, body) in [
        ("chat_stream_usage", "/v1/chat/completions", chat(&stream(12, usage))),
        ("chat_stream_nousage", "/v1/chat/completions", chat(&stream(6, ""))),
        ("chat_stream_usage_continuous", "/v1/chat/completions", chat(&stream(6, continuous))),
        ("chat_stream_eos_allowed", "/v1/chat/completions", chat(eos)),
        ("chat_stream_n2", "/v1/chat/completions", chat(&stream(4, &format!(r#","n":2{usage}"#)))),
        (
            // There it was "e", met in the first token; here "b" of "harbor" is.
            "chat_stream_stop_string",
            "/v1/chat/completions",
            chat(&stream(40, &format!(r#","stop":["b"]{usage}"#))),
        ),
        ("completions_stream_usage", "/v1/completions", completion(&stream(8, usage))),
        ("completions_stream_max_tokens_1", "/v1/completions", completion(&stream(1, usage))),
    ] {
        let (head, body_of_vllm) = capture(&format!("{file}.txt"));
        let reply = ask(&server, "POST", path, &body);
        assert_eq!(reply.status, head[0], "{file}");
        let kind = format!("content-type: {}", reply.header("content-type").unwrap());
        assert!(head.contains(&kind), "{file}: {kind}");
        assert_eq!(reply.header("transfer-encoding"), Some("chunked"), "{file}");
        assert_eq!(reply.header("x-simulated"), Some("plimsoll quick"), "{file}");
        assert_eq!(by_choice(&normalised(&reply.body())), by_choice(&normalised(&body_of_vllm)), "{file}");
        // One HTTP chunk per event, see chat_stream_usage_rawchunks.txt.
        assert_eq!(reply.chunks, events(&reply.body()), "{file}");
    }
}

/// The events of a stream, those of the first choice before those of the second: how two choices of one request
/// interleave is a matter of scheduling, there and here.
fn by_choice(body: &str) -> Vec<String> {
    let mut events: Vec<_> = body.split_inclusive("\n\n").map(str::to_owned).collect();
    events.sort_by_key(|event| {
        let last = !event.contains("\"choices\":[{");
        (last, event.contains("\"choices\":[{\"index\":1"))
    });
    events
}

#[test]
fn the_responses_api_is_vllms_byte_for_byte() {
    let server = talkative_server();
    // 116 bytes make 29 tokens, the template adds 10: 39, as the captures have.
    let input = "x".repeat(116);
    for (file, stream) in [("responses_stream", true), ("responses_whole", false)] {
        let (head, body_of_vllm) = capture(&format!("../sse/vllm_0.11.2_smollm2/{file}.txt"));
        let body = format!(
            r#"{{"model":"smollm2-135m","input":"{input}","max_output_tokens":12,"temperature":0,"stream":{stream}}}"#
        );
        let reply = ask(&server, "POST", "/v1/responses", &body);
        assert_eq!(reply.status, head[0], "{file}");
        let kind = format!("content-type: {}", reply.header("content-type").unwrap());
        assert!(head.contains(&kind), "{file}: {kind}");
        assert_eq!(normalised(&reply.body()), normalised(&body_of_vllm), "{file}");
        if stream {
            assert_eq!(reply.chunks, events(&reply.body()), "{file}");
        }
    }
    // What was found in the prefix cache is told: the second time all full blocks of the prompt but the last token's.
    let long = format!(r#"{{"model":"smollm2-135m","input":"{}","max_output_tokens":2}}"#, "y".repeat(4 * 300));
    let cached = |reply: &str| {
        let reply: serde_json::Value = serde_json::from_str(reply).unwrap();
        reply["usage"]["input_tokens_details"]["cached_tokens"].as_u64()
    };
    let asked = || cached(&ask(&server, "POST", "/v1/responses", &long).body());
    assert_eq!((asked(), asked()), (Some(0), Some(256)));
}

#[test]
fn embeddings_have_vllms_form() {
    let (head, body_of_vllm) = capture("../sse/vllm_0.11.2_smollm2/embeddings_whole.txt");
    // 24 bytes are six tokens, as the capture has.
    let body = r#"{"model":"smollm2-135m","input":"xxxxxxxxxxxxxxxxxxxxxxxx"}"#;
    let reply = ask(&quick_server(), "POST", "/v1/embeddings", body);
    assert_eq!(reply.status, head[0]);
    // The vectors are the model's.
    let without_vector = |text: &str| {
        let (before, rest) = text.split_once(r#""embedding":["#).unwrap();
        let (vector, after) = rest.split_once(']').unwrap();
        assert!(vector.split(',').all(|number| number.parse::<f64>().is_ok()));
        normalised(&format!("{before}{after}"))
    };
    assert_eq!(without_vector(&reply.body()), without_vector(&body_of_vllm));
    let two = r#"{"model":"smollm2-135m","input":["a","b"]}"#;
    let reply = ask(&quick_server(), "POST", "/v1/embeddings", two).body();
    assert_eq!(reply.matches(r#""object":"embedding""#).count(), 2);
}

#[test]
fn captured_chunk_framing_is_one_event_each() {
    // The premise of the last assertion above, read off the capture that kept its framing.
    let (_, raw) = capture("chat_stream_usage_rawchunks.txt");
    let mut rest = raw.as_str();
    let mut count = 0;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        let event = &after[..size];
        if size == 0 {
            break;
        }
        assert!(event.starts_with("data: ") && event.ends_with("\n\n") && event.matches("\n\n").count() == 1);
        rest = &after[size + 2..];
        count += 1;
    }
    assert_eq!(count, 9); // role, six tokens, usage, [DONE]
}

#[test]
fn whole_responses_and_pages_are_vllms_byte_for_byte() {
    let server = quick_server();
    let asked = |tokens: u32| format!(r#","ignore_eos":true,"max_tokens":{tokens}"#);
    for (file, method, path, body) in [
        ("chat_nonstream", "POST", "/v1/chat/completions", chat(&asked(6))),
        ("completions_nonstream", "POST", "/v1/completions", completion(&asked(4))),
        ("get_v1_models", "GET", "/v1/models", String::new()),
        ("get_health", "GET", "/health", String::new()),
        ("err_404", "GET", "/props", String::new()),
        ("err_get_405", "GET", "/v1/chat/completions", String::new()),
        ("err_bad_model", "POST", "/v1/chat/completions", chat("").replace("smollm2-135m", "no-such-model")),
        ("err_max_tokens_0", "POST", "/v1/chat/completions", chat(r#","max_tokens":0"#)),
        ("err_max_tokens_too_big", "POST", "/v1/chat/completions", chat(r#","max_tokens":100000,"stream":true"#)),
        (
            "err_prompt_too_long",
            "POST",
            "/v1/chat/completions",
            chat("").replace(&"x".repeat(108), &"x".repeat((27_031 - 10) * 4)),
        ),
    ] {
        let (head, body_of_vllm) = capture(&format!("{file}.txt"));
        let reply = ask(&server, method, path, &body);
        assert_eq!(reply.status, head[0], "{file}");
        assert_eq!(normalised(&reply.body()), normalised(&body_of_vllm), "{file}");
        for header in ["content-type", "allow"] {
            let captured = head.iter().find_map(|line| line.strip_prefix(&format!("{header}: ")));
            assert_eq!(reply.header(header), captured, "{file}: {header}");
        }
        assert_eq!(reply.header("x-simulated"), Some("plimsoll quick"), "{file}");
    }
}

#[test]
fn validation_errors_begin_like_vllms() {
    let server = quick_server();
    for (file, body) in [
        ("err_missing_messages", r#"{"model":"smollm2-135m"}"#.to_owned()),
        ("err_wrong_type", chat(r#","max_tokens":"four""#)),
        ("err_invalid_json", r#"{"model": "smollm2-135m", "messages":"#.to_owned()),
    ] {
        let (head, body_of_vllm) = capture(&format!("{file}.txt"));
        let reply = ask(&server, "POST", "/v1/chat/completions", &body);
        assert_eq!(reply.status, head[0], "{file}");
        let error = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["error"].clone();
        let (ours, theirs) = (error(&reply.body()), error(&body_of_vllm));
        for field in ["type", "param", "code"] {
            assert_eq!(ours[field], theirs[field], "{file}: {field}");
        }
        // vLLM goes on with an echo of the input and a traceback. Where the JSON breaks is the parser's opinion.
        let upto = if file == "err_invalid_json" { "'loc'" } else { ", 'input'" };
        let theirs = theirs["message"].as_str().unwrap().split(upto).next().unwrap().to_owned();
        let ours = ours["message"].as_str().unwrap();
        assert!(ours.starts_with(&theirs), "{file}: {ours}");
    }
}

#[test]
fn simulation_is_told_to_whoever_asks() {
    let server = quick_server();
    let version = ask(&server, "GET", "/version", "").body();
    assert_eq!(version, r#"{"version":"0.11.2+plimsoll.sim"}"#);
    let page: serde_json::Value = serde_json::from_str(&ask(&server, "GET", "/simulation", "").body()).unwrap();
    assert_eq!(page["simulated"], true);
    assert_eq!(page["profile"]["name"], "quick");
    assert_eq!(page["profile"]["timing"]["base_ms"], 1.0);
}

#[test]
fn tokenize_counts_by_the_same_rule_as_generation() {
    let server = quick_server();
    for (body, path) in [(chat(""), "/v1/chat/completions"), (completion(""), "/v1/completions")] {
        let tokenized: serde_json::Value =
            serde_json::from_str(&ask(&server, "POST", "/tokenize", &body).body()).unwrap();
        let generated: serde_json::Value = serde_json::from_str(&ask(&server, "POST", path, &body).body()).unwrap();
        assert_eq!(tokenized["count"], generated["usage"]["prompt_tokens"]);
        assert_eq!(tokenized["tokens"].as_array().unwrap().len() as u64, tokenized["count"].as_u64().unwrap());
        assert_eq!(tokenized["max_model_len"], 2048);
    }
}

#[test]
fn tokenize_answers_in_vllms_form() {
    // Same fields in the same order, same head; the ids and strings are the vocabulary's, which the simulated server has not.
    let server = quick_server();
    let with_strings = chat(r#","return_token_strs":true"#);
    for (file, body) in [("tokenize", completion("")), ("tokenize_chat_strings", with_strings)] {
        let (head, theirs) = capture(&format!("{file}.txt"));
        let reply = ask(&server, "POST", "/tokenize", &body);
        assert_eq!(reply.status, head[0]);
        let kind = format!("content-type: {}", reply.header("content-type").unwrap());
        assert!(head.contains(&kind), "{kind}");
        let shape = |text: &str| {
            // What is in brackets is the vocabulary's; count and context differ by server.
            let mut shape = String::new();
            let mut inside = false;
            for c in text.chars() {
                match c {
                    '[' => inside = true,
                    ']' => inside = false,
                    _ if inside || c.is_ascii_digit() => continue,
                    _ => {}
                }
                shape.push(c);
            }
            shape
        };
        assert_eq!(shape(&reply.body()), shape(&theirs), "{file}");
        let json: serde_json::Value = serde_json::from_str(&reply.body()).unwrap();
        let ids = json["tokens"].as_array().unwrap();
        assert!(ids.iter().all(serde_json::Value::is_u64));
        if let Some(strings) = json["token_strs"].as_array() {
            assert_eq!(strings.len(), ids.len());
            assert!(strings.iter().all(serde_json::Value::is_string));
        }
    }
}

#[test]
fn one_connection_serves_many_requests() {
    let server = quick_server();
    let mut connection = Connection::open(&server);
    for tokens in 1..=5 {
        let rest = format!(r#","stream":true,"ignore_eos":true,"max_tokens":{tokens}"#);
        connection.send("POST", "/v1/chat/completions", &chat(&rest));
        // The role, the tokens, [DONE].
        assert_eq!(connection.receive().chunks.len(), tokens + 2);
    }
}

#[test]
fn no_token_comes_before_its_time() {
    let server = SimServer::start(SimConfig::new(Profile::builtin("fixed").unwrap())).unwrap();
    let mut connection = Connection::open(&server);
    let begun = Instant::now();
    connection.send("POST", "/v1/completions", r#"{"prompt":"x","stream":true,"ignore_eos":true,"max_tokens":3}"#);
    let mut arrivals = Vec::new();
    while arrivals.len() < 3 {
        if connection.line().starts_with("data: {") {
            arrivals.push(begun.elapsed());
        }
    }
    for (index, arrival) in arrivals.iter().enumerate() {
        let due = Duration::from_millis(100 + 10 * index as u64);
        assert!(*arrival >= due, "token {index} at {arrival:?}, due at {due:?}");
    }
}
