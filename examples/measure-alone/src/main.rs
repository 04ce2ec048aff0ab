//! Measures the server at the URL of the first argument at three concurrencies, in twenty lines.

use bench::{Event, LoadEvent, Settings, settings::Arrivals};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("name the server, such as http://127.0.0.1:8000")?;
    let mut settings = Settings::for_server(&url);
    settings.load.arrivals = Arrivals::Concurrency { levels: vec![1, 4, 16] };
    settings.work.osl = Some(50);
    let mut requests = 0;
    let outcome = bench::run(&settings, |event| {
        if let Event::Load(LoadEvent::Request(request)) = event {
            requests += 1;
            println!("request {}: {:?} to the first token", request.request, request.ttft());
        }
    })?;
    println!("{requests} requests in {}: {:?}", outcome.folder.path().display(), outcome.end);
    Ok(())
}
