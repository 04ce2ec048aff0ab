//! The agent over the loopback interface, asked by our client and as an exporter.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use gpumon::{Access, Agent, AgentSource, ExporterSource, Line, Occasion, Selection, Source, is_agent, telemetry_url};
use records::{Clock, GpuDevice, GpuLine, GpuSample, GpuState, Offset, ServerUrl};

/// An agent whose clock began an hour before ours.
fn agent() -> (Agent, ServerUrl, Clock) {
    let ours = Instant::now();
    let theirs = ours.checked_sub(Duration::from_hours(1)).unwrap();
    let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let agent = Agent::start(local, Clock::new(theirs)).unwrap();
    let base = telemetry_url(&format!("http://{}", agent.address())).unwrap();
    (agent, base, Clock::new(ours))
}

fn device(uuid: &str) -> Line {
    Line::Gpu(GpuLine::Device(GpuDevice {
        uuid: uuid.to_owned(),
        name: "NVIDIA \"H100\"".to_owned(),
        source: "nvml".to_owned(),
        power_limit_mw: Some(700_000),
        ..GpuDevice::default()
    }))
}

fn sample(uuid: &str, t_ns: Offset) -> Line {
    Line::Gpu(GpuLine::Sample(GpuSample {
        t_ns,
        read_ns: 1,
        uuid: uuid.to_owned(),
        gpu_util_percent: Some(97),
        memory_used_bytes: Some(76_235_669_504),
        memory_free_bytes: Some(1 << 30),
        power_average_mw: Some(512_345),
        power_instant_mw: Some(600_001),
        energy_mj: Some(9_007_199_254_740_993),
        temperature_c: Some(61),
        memory_temperature_c: Some(70),
        sm_clock_mhz: Some(1_755),
        throttle_bits: Some(4),
        dram_active_percent: Some(50.0),
        nvlink_rx_bytes_per_s: Some(2.5e11),
        ..GpuSample::default()
    }))
}

fn read(source: &mut impl Source, clock: Clock) -> Vec<Line> {
    let mut lines = Vec::new();
    source.sample(clock, Occasion::Requested, &mut lines);
    lines
}

#[test]
fn lines_arrive_once_and_on_our_clock() {
    let (agent, base, clock) = agent();
    assert!(is_agent(&base, &Access::default()));
    agent.publish(&[device("GPU-1"), device("GPU-2"), sample("GPU-1", Offset(1))]);
    let mut source = AgentSource::new(&base, &Access::default(), Selection::of(&["GPU-1".to_owned()]));
    let first = read(&mut source, clock);
    let [Line::Gpu(GpuLine::Clock(offset)), Line::Gpu(GpuLine::Device(gpu))] = &first[..] else {
        panic!("{first:?}");
    };
    assert_eq!(offset.exchanges, 9);
    let hour = 3_600_000_000_000_i64;
    assert!(offset.add_ns.abs_diff(-hour) <= offset.rtt_min_ns, "{offset:?}");
    assert_eq!(gpu.source, format!("nvml via agent {base}"));

    let theirs = Offset(3_600_000_000_000 + clock.at(Instant::now()).0);
    agent.publish(&[sample("GPU-1", theirs), sample("GPU-2", theirs)]);
    let second = read(&mut source, clock);
    let [Line::Gpu(GpuLine::Sample(one))] = &second[..] else {
        panic!("{second:?}");
    };
    let ours = theirs.0 - 3_600_000_000_000;
    assert!(one.t_ns.0.abs_diff(ours) <= offset.rtt_min_ns, "{} is not {ours}", one.t_ns.0);
    assert_eq!(one.energy_mj, Some(9_007_199_254_740_993), "exact beyond 2^53");
    assert_eq!(read(&mut source, clock), []);
}

#[test]
fn an_agent_that_was_started_anew_is_met_anew() {
    let (agent, base, clock) = agent();
    agent.publish(&[device("GPU-1")]);
    let mut source = AgentSource::new(&base, &Access::default(), Selection::All);
    assert_eq!(read(&mut source, clock).len(), 2);
    let address = agent.address();
    drop(agent);
    assert!(matches!(&read(&mut source, clock)[..], [Line::Gpu(GpuLine::Gap { .. }), Line::Note(_)]));
    let agent = Agent::start(address, clock).unwrap();
    agent.publish(&[device("GPU-1")]);
    let back = read(&mut source, clock);
    let [Line::Gpu(GpuLine::Clock(offset)), _] = &back[..] else {
        panic!("{back:?}");
    };
    assert!(offset.add_ns.unsigned_abs() <= offset.rtt_min_ns, "it has our clock now: {offset:?}");
}

#[test]
fn as_an_exporter_it_says_the_same_in_dcgms_names() {
    let (agent, base, clock) = agent();
    let state = GpuState { uuid: "GPU-1".into(), pcie_replays: Some(3), ..GpuState::default() };
    agent.publish(&[device("GPU-1"), sample("GPU-1", Offset(1)), Line::Gpu(GpuLine::State(state))]);
    let mut source = ExporterSource::new(&base, &Access::default(), Selection::All);
    let lines = read(&mut source, clock);
    let [Line::Gpu(GpuLine::Device(gpu)), Line::Gpu(GpuLine::State(state)), Line::Gpu(GpuLine::Sample(read))] =
        &lines[..]
    else {
        panic!("{lines:?}");
    };
    assert_eq!((gpu.name.as_str(), gpu.power_limit_mw), ("NVIDIA \"H100\"", Some(700_000)));
    assert_eq!(state.pcie_replays, Some(3));
    let Line::Gpu(GpuLine::Sample(said)) = sample("GPU-1", read.t_ns) else { panic!() };
    let same = GpuSample { read_ns: read.read_ns, rtt_ns: read.rtt_ns, energy_mj: read.energy_mj, ..said };
    assert_eq!(read, &same);
    assert_eq!(read.energy_mj, Some(9_007_199_254_740_992), "the text format carries 53 bits");
}

/// The page byte by byte; `.ci/prometheus-parser` has the official client read the same file.
#[test]
fn the_page_is_as_recorded() {
    let (agent, _, _) = agent();
    agent.publish(&[device("GPU-1"), sample("GPU-1", Offset(1))]);
    let answer = ask(agent.address(), "GET /metrics HTTP/1.1\r\n\r\n");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let recorded = include_str!("../../../../fixtures/prometheus/gpumon-agent.txt");
    assert_eq!(body, recorded);
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_answers_get_and_nothing_else() {
    let (agent, _, _) = agent();
    let status = |request| ask(agent.address(), request).lines().next().unwrap_or_default().to_owned();
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 OK");
    assert_eq!(status("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 200 OK");
    assert_eq!(status("GET /etc/passwd HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
    assert_eq!(status("POST /v1/lines HTTP/1.1\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(status("\u{0}\u{1} garbage\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed");
    assert!(ask(agent.address(), "GET /v1/lines?after=999999 HTTP/1.1\r\n\r\n").contains("\"lines\":[]"));
}

#[test]
fn what_is_no_agent_is_not_taken_for_one() {
    let server = crate::loopback::Loopback::start(crate::loopback::Pages::default().with("/v1/time", 200, "{}"));
    assert!(!is_agent(server.url(), &Access::default()));
    assert!(!is_agent(&crate::loopback::nobody(), &Access::default()));
}
