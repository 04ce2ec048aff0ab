//! How many streams the server holds at once, and how late it is with them: streams on loopback, the server's own account of its lateness,
//! and the processor time that its two threads took, as a share of one core. Linux only.
//!
//! ```text
//! cargo run --release -p simserver --example streams -- [STREAMS] [ITL_MS] [TOKENS]
//! ```

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use simserver::{Profile, SimConfig, SimServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Clock ticks of `/proc`, fixed at 100 a second on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = |index: usize, default: u32| {
        let given = std::env::args().nth(index);
        given.map_or(Ok(default), |text| text.parse())
    };
    let (streams, itl_ms, tokens) = (argument(1, 5000)?, argument(2, 100)?, argument(3, 100)?);
    let profile = profile(itl_ms)?;
    let server = SimServer::start(SimConfig::new(profile))?;
    let address = server.address();
    let before = server_seconds()?;
    let begun = Instant::now();
    let client = thread::spawn(move || read_all(address, streams, tokens));
    let (bytes, complete) = client.join().map_err(|_| "the client panicked")??;
    let wall = begun.elapsed().as_secs_f64();
    let server_share = (server_seconds()? - before) / wall;
    let lateness = lateness(address)?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{streams} streams of {tokens} tokens, one each {itl_ms} ms: {complete} complete in {wall:.1} s, {:.0} tokens/s, {:.0} MB/s",
        f64::from(streams) * f64::from(tokens) / wall,
        bytes as f64 / wall / 1e6
    )?;
    writeln!(out, "the server's threads: {:.0} % of a core\nits lateness: {lateness}", 100.0 * server_share)?;
    Ok(())
}

/// Every stream on a schedule of its own; connections and requests come over the first two seconds.
fn profile(itl_ms: u32) -> Result<Profile, simserver::profile::ProfileError> {
    Profile::from_toml(&format!(
        r#"
        name = "streams"
        description = "many streams"
        source = "by definition"
        served_model = "streams"
        seed = 1
        eos_mean_tokens = 100
        [limits]
        max_model_len = 8192
        max_num_seqs = 65536
        max_num_batched_tokens = 8192
        [kv_cache]
        block_size = 16
        num_gpu_blocks = 65536
        groups = 1
        [timing]
        kind = "fixed"
        ttft_ms = 500
        itl_ms = {itl_ms}
        "#
    ))
}

/// Bytes read, and streams that came to their end.
fn read_all(address: SocketAddr, streams: u32, tokens: u32) -> io::Result<(u64, u32)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let body = format!(r#"{{"prompt":"x","stream":true,"ignore_eos":true,"max_tokens":{tokens}}}"#);
    let request = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for index in 0..streams {
            let request = request.clone();
            let start = Duration::from_secs(2) * index / streams;
            tasks.push(tokio::spawn(async move {
                tokio::time::sleep(start).await;
                read_one(address, &request).await
            }));
        }
        let (mut bytes, mut complete) = (0, 0);
        for task in tasks {
            if let Ok(Ok((read, done))) = task.await {
                bytes += read;
                complete += u32::from(done);
            }
        }
        Ok((bytes, complete))
    })
}

async fn read_one(address: SocketAddr, request: &str) -> io::Result<(u64, bool)> {
    let mut socket = tokio::net::TcpStream::connect(address).await?;
    socket.write_all(request.as_bytes()).await?;
    let mut buffer = [0; 4096];
    let (mut bytes, mut done) = (0, false);
    loop {
        let read = socket.read(&mut buffer).await?;
        if read == 0 {
            return Ok((bytes, done));
        }
        bytes += read as u64;
        done = buffer[..read].ends_with(b"0\r\n\r\n");
    }
}

/// Processor time of the threads of the server, in s.
fn server_seconds() -> io::Result<f64> {
    let mut ticks = 0.0;
    for task in fs::read_dir("/proc/self/task")? {
        let stat = fs::read_to_string(task?.path().join("stat"))?;
        // "tid (name) state …": user and system time are the 12th and 13th field after the name.
        let Some((name, rest)) = stat.rsplit_once(')') else {
            continue;
        };
        if name.contains("(simserver-") {
            let fields = rest.split_whitespace().skip(11).take(2);
            ticks += fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>();
        }
    }
    Ok(ticks / TICKS_PER_SECOND)
}

/// What the server says of itself.
fn lateness(address: SocketAddr) -> io::Result<String> {
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut page = String::new();
    socket.read_to_string(&mut page)?;
    let statistics = page.lines().filter(|line| line.starts_with("simserver:lateness_seconds")).filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let name = series.split("statistic=\"").nth(1)?.split('"').next()?;
        Some(format!("{name} {:.1} ms", value.parse::<f64>().ok()? * 1e3))
    });
    Ok(statistics.collect::<Vec<_>>().join(", "))
}
