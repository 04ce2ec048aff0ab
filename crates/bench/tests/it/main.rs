//! Measures a simulated server through the library alone: no command line, no terminal.

use std::path::Path;

use bench::{
    Bench, BenchError, EndReason, Event, Fault, Folder, LoadEvent, Secrets, Settings, StopHandle, settings::Arrivals,
};
use records::{RunData, Stage};
use simserver::{Profile, SimConfig, SimServer};

fn server() -> SimServer {
    SimServer::start(SimConfig::new(Profile::builtin("fixed").expect("a built-in"))).expect("it starts")
}

fn settings(server: &SimServer, results: &Path) -> Settings {
    let mut settings = Settings::for_server(&server.url());
    settings.load.arrivals = Arrivals::Concurrency { levels: vec![2, 1] };
    settings.load.requests = Some(4);
    settings.work.osl = Some(3);
    settings.telemetry.gpus = vec!["none".to_owned()];
    results.clone_into(&mut settings.output.results);
    settings
}

fn load(folder: &Folder) -> RunData {
    let Folder::Run(dir) = folder else { panic!("one run: {folder:?}") };
    RunData::load(dir).expect("it can be read")
}

#[test]
fn a_run_leaves_records_and_its_complete_settings() {
    let (server, results) = (server(), tempfile::tempdir().expect("a folder"));
    let settings = settings(&server, results.path());
    let mut seen = 0;
    let outcome = bench::run(&settings, |event| {
        seen += usize::from(matches!(event, Event::Load(LoadEvent::Request(_))));
    });
    let outcome = outcome.expect("it ran");
    assert_eq!(outcome.end, EndReason::Completed);
    let run = load(&outcome.folder);
    assert_eq!(run.requests.len(), seen, "every record was an event");
    assert_eq!(run.requests.iter().filter(|r| r.stage == Stage::Measured).count(), 8);
    let saved = outcome.folder.settings().expect("they are read").expect("they are there");
    let mut expected = settings;
    expected.load.seed = Some(run.manifest.plan.seed);
    expected.target.model = Some(run.manifest.plan.model.clone());
    expected.output.run_id = Some(run.manifest.run_id.clone());
    assert_eq!(saved, expected, "complete: seed, model and name are those that were used");

    let again = Bench::new(saved).resume(&outcome.folder, &mut |_| {}).expect_err("nothing is left");
    assert!(matches!(again, BenchError::Complete { .. }) && again.fault() == Fault::Usage, "{again}");
}

#[test]
fn a_stopped_run_goes_on_from_its_manifest() {
    let (server, results) = (server(), tempfile::tempdir().expect("a folder"));
    let secrets = || Secrets::default().with_header("X-Team", "a-value-that-is-secret");
    let stop = StopHandle::default();
    let bench = Bench::new(settings(&server, results.path())).with_secrets(secrets()).with_stop(stop.clone());
    let outcome = bench.run(&mut |event| {
        if let Event::Load(LoadEvent::LevelStarted { level: 1, .. }) = event {
            stop.stop();
        }
    });
    let outcome = outcome.expect("it ran");
    assert_eq!(outcome.end, EndReason::Interrupted);
    let manifest = std::fs::read_to_string(outcome.folder.path().join("manifest.json")).expect("a manifest");
    assert!(manifest.contains("X-Team") && !manifest.contains("a-value-that-is-secret"), "{manifest}");

    let saved = outcome.folder.settings().expect("they are read").expect("they are there");
    let missing = Bench::new(saved.clone()).resume(&outcome.folder, &mut |_| {}).expect_err("a header is missing");
    assert!(matches!(missing, BenchError::HeaderMissing { .. }), "{missing}");
    let finished = Bench::new(saved).with_secrets(secrets()).resume(&outcome.folder, &mut |_| {});
    assert_eq!(finished.expect("it goes on").end, EndReason::Completed);
    let run = load(&outcome.folder);
    assert_eq!(run.manifest.resumed.len(), 1);
    assert_eq!(run.requests.iter().filter(|r| r.stage == Stage::Measured).count(), 8);
}

#[test]
fn a_stop_before_the_load_leaves_no_folder() {
    let (server, results) = (server(), tempfile::tempdir().expect("a folder"));
    let stop = StopHandle::default();
    stop.stop();
    let bench = Bench::new(settings(&server, results.path())).with_stop(stop);
    let error = bench.run(&mut |_| {}).expect_err("it was stopped");
    assert_eq!(error.fault(), Fault::Interrupted, "{error}");
    assert_eq!(results.path().read_dir().expect("a folder").count(), 0);
}

#[test]
fn a_server_that_does_not_answer_is_the_servers_fault() {
    let results = tempfile::tempdir().expect("a folder");
    let mut settings = Settings::for_server("http://127.0.0.1:9");
    settings.output.results = results.path().to_owned();
    let error = bench::run(&settings, |_| {}).expect_err("nothing answers there");
    assert_eq!(error.fault(), Fault::Server);
    assert!(error.to_string().contains("hint:"), "{error}");
}
