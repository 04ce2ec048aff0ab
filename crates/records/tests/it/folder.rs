//! The run folder: written first, readable after a kill, refused when it is from a newer version.

use std::{fs, path::Path};

use records::{
    ClockAnchor, EndReason, EngineFacts, GpuLine, Host, Manifest, Offset, Phase, Plan, RecordError, RequestRecord,
    RunData, RunDir, SCHEMA_VERSION, ServerSample, Target, Tool, run_dir,
};

use crate::wire::completed_request;

fn manifest() -> Manifest {
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id: "test".into(),
        tool: Tool { name: "plimsoll".into(), version: "0.1.0".into(), git_revision: None, profile: "release".into() },
        argv: vec!["bench".into()],
        settings: None,
        search: None,
        target: Target::Simulated { url: "http://127.0.0.1:1".into(), profile: "fixed".into() },
        plan: Plan {
            levels: vec![1, 2],
            requests: vec![4, 4],
            arrivals: Vec::new(),
            durations_ns: Vec::new(),
            warmup_requests: vec![1, 2],
            endpoint: "/v1/chat/completions".into(),
            model: "m".into(),
            stream: true,
            workload: "translation".into(),
            workload_options: serde_json::Map::new(),
            osl: 100,
            ignore_eos: true,
            extra_body: serde_json::Map::new(),
            seed: 7,
            request_timeout_ns: 1,
            stop_when: None,
            retries: 0,
        },
        host: Host::default(),
        engine: EngineFacts::default(),
        started: ClockAnchor { offset_ns: Offset::ZERO, unix_ns: 1_764_143_690_000_000_000 },
        ended: None,
        end: None,
        resumed: Vec::new(),
        notes: vec![],
        judgement: records::Judgement::default(),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let results = tempfile::tempdir().unwrap();
    let dir = RunDir::create(results.path(), "test").unwrap();
    let mut manifest = manifest();
    dir.write_manifest(&manifest).unwrap();
    manifest.end = Some(EndReason::Completed);
    dir.write_manifest(&manifest).unwrap();
    let mut requests = dir.append(run_dir::REQUESTS).unwrap();
    requests.append(&completed_request()).unwrap();
    requests.flush().unwrap();

    let run = RunData::load(&RunDir::open(dir.path()).unwrap()).unwrap();
    assert_eq!(run.manifest, manifest);
    assert_eq!(run.requests, vec![completed_request()]);
    assert_eq!(run.skipped, vec![]);
}

#[test]
fn a_killed_writer_leaves_a_readable_folder() {
    let results = tempfile::tempdir().unwrap();
    let dir = RunDir::create(results.path(), "killed").unwrap();
    dir.write_manifest(&manifest()).unwrap();
    let whole = serde_json::to_string(&completed_request()).unwrap();
    let torn = &whole[..whole.len() / 2];
    fs::write(dir.path().join(run_dir::REQUESTS), format!("{whole}\n{whole}\n{torn}")).unwrap();

    let run = RunData::load(&dir).unwrap();
    assert_eq!(run.requests.len(), 2);
    assert_eq!(run.manifest.end, None);
    let [skipped] = run.skipped.as_slice() else { panic!("one torn line: {:?}", run.skipped) };
    assert_eq!((skipped.file, skipped.line), (run_dir::REQUESTS, 3));
}

#[test]
fn unknown_fields_are_ignored_and_newer_versions_refused() {
    let results = tempfile::tempdir().unwrap();
    let dir = RunDir::create(results.path(), "newer").unwrap();
    let mut json = serde_json::to_value(manifest()).unwrap();
    json["from_the_future"] = true.into();
    fs::write(dir.path().join(run_dir::MANIFEST), json.to_string()).unwrap();
    assert_eq!(dir.read_manifest().unwrap(), manifest());

    json["schema_version"] = (SCHEMA_VERSION + 1).into();
    fs::write(dir.path().join(run_dir::MANIFEST), json.to_string()).unwrap();
    assert!(matches!(dir.read_manifest(), Err(RecordError::TooNew { found, .. }) if found == SCHEMA_VERSION + 1));
}

#[test]
fn a_folder_without_manifest_is_no_run_and_a_run_is_not_overwritten() {
    let results = tempfile::tempdir().unwrap();
    assert!(matches!(RunDir::open(results.path()), Err(RecordError::NotARun { .. })));
    RunDir::create(results.path(), "once").unwrap().append(run_dir::REQUESTS).unwrap();
    assert!(matches!(RunDir::create(results.path(), "once"), Err(RecordError::Exists { .. })));
}

#[test]
fn the_oldest_folder_is_still_readable() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/runs/schema-1");
    let run = RunData::load(&RunDir::open(&sample).unwrap()).unwrap();
    assert_eq!(run.manifest.schema_version, 1);
    assert_eq!(run.skipped, vec![]);
    let completed = |r: &&RequestRecord| matches!(r.outcome, records::Outcome::Completed { .. });
    assert!(run.requests.iter().filter(completed).count() > 0);
}

/// `serde_json` reads some floats one unit in the last place off, so lines with floats are compared after one reading.
#[test]
fn old_folders_are_written_again_byte_for_byte() {
    fn check<T: serde::Serialize + serde::de::DeserializeOwned>(file: &Path) {
        for line in fs::read_to_string(file).unwrap_or_default().lines() {
            let record: T = serde_json::from_str(line).unwrap();
            let written = serde_json::to_string(&record).unwrap();
            assert_eq!(value(&written), value(line), "{}", file.display());
            assert!(line.contains('.') || written == line, "{line}");
        }
    }
    fn value(json: &str) -> serde_json::Value {
        serde_json::from_str(json).unwrap()
    }
    let runs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/runs");
    let folders: Vec<_> = fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(folders.iter().any(|folder| folder.join(run_dir::SERVER).is_file()));
    for folder in folders {
        check::<RequestRecord>(&folder.join(run_dir::REQUESTS));
        check::<Phase>(&folder.join(run_dir::PHASES));
        check::<GpuLine>(&folder.join(run_dir::GPU));
        check::<ServerSample>(&folder.join(run_dir::SERVER));
        if let Ok(text) = fs::read_to_string(folder.join(run_dir::MANIFEST)) {
            let manifest: Manifest = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string_pretty(&manifest).unwrap() + "\n", text, "{}", folder.display());
        }
    }
}

#[test]
fn many_writers_of_one_document_do_not_disturb_each_other() {
    let results = tempfile::tempdir().unwrap();
    let dir = RunDir::create(results.path(), "test").unwrap();
    let texts: Vec<Vec<u8>> = (0..8u8).map(|i| vec![b'a' + i; 100_000]).collect();
    std::thread::scope(|scope| {
        for text in &texts {
            let dir = &dir;
            scope.spawn(move || (0..20).for_each(|_| dir.write("report.html", text).unwrap()));
        }
    });
    assert!(texts.contains(&fs::read(dir.path().join("report.html")).unwrap()), "one writer's text, whole");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[cfg(unix)]
#[test]
fn links_in_a_strangers_folder_are_not_followed() {
    use std::os::unix::fs::symlink;
    let results = tempfile::tempdir().unwrap();
    let dir = RunDir::create(results.path(), "test").unwrap();
    let outside = results.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let precious = outside.join("precious");
    fs::write(&precious, "untouched").unwrap();
    for link in ["report.html", "report.html.partial"] {
        symlink(&precious, dir.path().join(link)).unwrap();
    }
    symlink(&outside, dir.path().join("charts")).unwrap();
    dir.write("report.html", b"new").unwrap();
    assert_eq!(fs::read(dir.path().join("report.html")).unwrap(), b"new");
    let refused = dir.write("charts/ttft.svg", b"new").unwrap_err();
    assert!(matches!(refused, RecordError::Io { .. }), "{refused}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "untouched");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn a_run_id_is_the_name_of_one_free_folder() {
    let results = tempfile::tempdir().unwrap();
    for bad in ["../x", "/abs", "a/b", "", ".", ".."] {
        let refused = RunDir::create(results.path(), bad).unwrap_err();
        assert!(matches!(refused, RecordError::BadRunId { .. }), "{bad:?}: {refused}");
    }
    fs::create_dir(results.path().join("empty")).unwrap();
    let dir = RunDir::create(results.path(), "empty").unwrap();
    dir.write_manifest(&manifest()).unwrap();
    let refused = RunDir::create(results.path(), "empty").unwrap_err();
    assert!(matches!(refused, RecordError::Exists { .. }), "{refused}");
}
