//! The small files beside a database, which any program of the user may write: an activity summary is within its bounds, a calm
//! marker counts only if every byte is right but for the ids that it is read for, and a file name is a session or nothing.
//!
//! The first byte of the input chooses the file, the rest is its content or its name.
#![no_main]

use std::cell::LazyCell;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use claude_mesh::model::activity_summary::EXCERPT_CHARS_MAX;
use claude_mesh::platform::id::{PeerId, SessionId};
use claude_mesh::platform::process::{self, ProcessKey};
use claude_mesh::wake::{CalmSession, Doorbells};
use libfuzzer_sys::fuzz_target;

const SESSION: &str = "01M8PQTWSKQXQGC0WJK82GP08J";
const PEER: &str = "01M8PQTWSK6668JT6Y0S63ZZNS";
/// Where a marker has session and peer, which nothing else says.
const IDS: Range<usize> = 19..19 + 2 * 27;

thread_local! {
    static FOLDER: LazyCell<tempfile::TempDir> = LazyCell::new(new_folder);
}

fn new_folder() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(home.path().join("mesh.db"), "").expect("it can be written");
    for folder in [
        "mesh.db.d",
        "mesh.db.d/bells",
        "mesh.db.d/sessions",
        "mesh.db.d/calm",
    ] {
        let folder = home.path().join(folder);
        std::fs::create_dir(&folder).expect("it can be made");
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).expect("it is ours");
    }
    home
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, content)) = input.split_first() else {
        return;
    };
    FOLDER.with(|home| {
        let database = home.path().join("mesh.db");
        match choice % 4 {
            0 | 1 => check_activity(&database, content),
            2 => check_marker(&database, content),
            _ => check_names(&database, content),
        }
    });
});

fn file(database: &Path, name: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".d/");
    path.push(name);
    path.into()
}

fn write(path: &Path, content: &[u8]) {
    std::fs::write(path, content).expect("the folder can be written");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("it is ours");
}

fn check_activity(database: &Path, content: &[u8]) {
    let doorbells = Doorbells::of(database);
    let session: SessionId = SESSION.parse().expect("it is an id");
    write(
        &file(database, &format!("sessions/{SESSION}.doing")),
        content,
    );
    let Some(summary) = doorbells.activity_summary(session) else {
        return;
    };
    for text in [&summary.asked, &summary.said].into_iter().flatten() {
        assert!(
            (1..=EXCERPT_CHARS_MAX).contains(&text.chars().count()),
            "{text:?}"
        );
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
    assert_eq!(
        summary.clone().normalized(),
        summary,
        "a normalized summary stays"
    );
    doorbells
        .update_activity_summary(session, |same| same)
        .expect("it can be written");
    assert_eq!(doorbells.activity_summary(session), Some(summary));
}

/// The bytes of the input replace those of a valid marker at one position.
fn check_marker(database: &Path, content: &[u8]) {
    let doorbells = Doorbells::of(database);
    let process = process::stat(process::own_pid())
        .expect("this process runs")
        .key;
    let calm = CalmSession {
        session: SESSION.parse().expect("it is an id"),
        peer: PEER.parse::<PeerId>().expect("it is an id"),
        process,
        database,
    };
    let sessions = doorbells.sessions_mark().expect("the folder is there");
    let marker = doorbells
        .make_calm_marker(&calm, sessions)
        .expect("it can be made");
    assert_eq!(
        doorbells.find_calm_session(database, process),
        Some(calm.session)
    );
    let path = file(database, &format!("calm/{PEER}"));
    let valid = std::fs::read(&path).expect("it is there");
    let mut changed = valid.clone();
    if let Some((at, bytes)) = content.split_first() {
        let at = usize::from(*at) % (valid.len() + 1);
        changed.splice(
            at..(at + bytes.len()).min(valid.len()),
            bytes.iter().copied(),
        );
    }
    std::fs::write(&path, &changed).expect("it can be written");
    let found = doorbells.find_calm_session(database, process);
    let shown = String::from_utf8_lossy(&changed);
    assert!(found.is_some() || changed != valid, "{shown:?}");
    if let Some(session) = found {
        assert_eq!(shown.lines().nth(1), Some(session.to_string().as_str()));
        let rest = |marker: &[u8]| [&marker[..IDS.start], &marker[IDS.end..]].concat();
        assert_eq!(rest(&changed), rest(&valid), "{shown:?}");
    }
    let other = ProcessKey {
        started: process.started + 1,
        ..process
    };
    assert_eq!(doorbells.find_calm_session(database, other), None);
    drop(marker);
}

fn check_names(database: &Path, content: &[u8]) {
    let Ok(name) = std::str::from_utf8(content) else {
        return;
    };
    if name.is_empty()
        || name.len() > 200
        || name.contains(['/', '\0'])
        || matches!(name, "." | "..")
    {
        return;
    }
    let doorbells = Doorbells::of(database);
    let places =
        ["bells", "sessions", "calm"].map(|folder| file(database, &format!("{folder}/{name}")));
    for place in &places {
        drop(File::create(place));
    }
    for session in doorbells.list_sessions() {
        let begin = name.split('.').next().expect("a text has a first part");
        let is_named = begin.parse::<SessionId>().is_ok_and(|it| it == session);
        assert!(
            is_named || session.to_string() == SESSION,
            "{session} of {name:?}"
        );
    }
    doorbells.calm_peers();
    doorbells.remove_stale_calm_files();
    for place in &places {
        drop(std::fs::remove_file(place));
    }
}
