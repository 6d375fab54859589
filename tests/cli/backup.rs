//! `claude-mesh backup` and `restore` of a mesh in a file: what the copy has, what is refused, and what is kept.
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use claude_mesh::mesh::Mesh;
use claude_mesh::platform::SystemClock;
use serde_json::json;

use super::fixture::CliFixture;
use crate::support::{World, program, start_command};

/// Claims a resource as a session that ends then. Returns the fencing token.
fn claim_once(world: &World, resource: &str) -> i64 {
    let session = world.session("api");
    let claimed = session.call("claim", json!({ "resource": resource }));
    assert_eq!(claimed["status"], "granted", "{claimed}");
    let fence = claimed["fence"].as_i64().unwrap();
    session.kill();
    fence
}

/// Returns the files beside the database whose names contain a text.
fn files_with(fixture: &CliFixture, part: &str) -> Vec<PathBuf> {
    let folder = fixture.database().parent().unwrap().to_owned();
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.to_str().unwrap().contains(part))
        .collect()
}

fn quick_check(path: &Path) -> String {
    let rows = rusqlite::Connection::open(path).unwrap();
    rows.query_row("PRAGMA quick_check", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn backup_is_a_private_mesh_file_and_never_replaces_one() {
    let fixture = CliFixture::new();
    let (mut ada, _bo) = (fixture.peer("ada"), fixture.peer("bo"));
    CliFixture::question(&mut ada, "bo", "which port?");
    let printed = fixture.run_ok(&["backup", "copy.db"]);
    assert!(printed.contains("only you can read it"), "{printed}");
    let copy = fixture.folder.join("copy.db");
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(quick_check(&copy), "ok");
    let mut mesh = Mesh::open(&copy, std::sync::Arc::new(SystemClock::new())).unwrap();
    assert_eq!(mesh.status().unwrap().questions, [1, 0, 0]);
    drop(mesh);
    let before = std::fs::read(&copy).unwrap();
    let (code, text) = fixture.run_refused(&["backup", "copy.db"]);
    assert_eq!(code, "storage");
    assert!(text.contains("exists already"), "{text}");
    assert_eq!(std::fs::read(&copy).unwrap(), before);
    let left = std::fs::read_dir(&fixture.folder).unwrap().count();
    assert_eq!(left, 1, "no temporary file stays");
}

#[test]
fn restored_mesh_is_as_in_the_backup_but_fences_only_grow() {
    let fixture = CliFixture::new();
    let world = &fixture.world;
    assert_eq!(claim_once(world, "deploy"), 1);
    fixture.run_ok(&["state", "set", "stage", "\"before\""]);
    fixture.run_ok(&["backup", "copy.db"]);
    fixture.run_ok(&["state", "set", "stage", "\"after\""]);
    assert_eq!(claim_once(world, "deploy"), 2);
    assert_eq!(claim_once(world, "new"), 1);

    let ran = fixture.run(&["restore", "copy.db", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let restored = ran.json();
    assert_eq!(restored["continued_fences"], 2, "{restored}");
    let stage = fixture.run_ok(&["state", "get", "stage"]);
    assert!(stage.contains("before"), "{stage}");
    assert_eq!(claim_once(world, "deploy"), 3);
    assert_eq!(claim_once(world, "new"), 2);
    let replaced = PathBuf::from(restored["replaced"].as_str().unwrap());
    let rows = rusqlite::Connection::open(&replaced).unwrap();
    let stage: String = rows
        .query_row("SELECT value FROM state WHERE key = 'stage'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(stage, "\"after\"");
    assert_eq!(files_with(&fixture, ".restore-"), Vec::<PathBuf>::new());
}

#[test]
fn restore_is_refused_while_a_program_uses_the_file() {
    let fixture = CliFixture::new();
    let bo = fixture.peer("bo");
    fixture.run_ok(&["backup", "copy.db"]);
    let (code, text) = fixture.run_refused(&["restore", "copy.db"]);
    assert_eq!(code, "conflict");
    assert!(text.contains("sessions of this mesh run: bo"), "{text}");
    drop(bo);
    let mut other = fixture.open();
    other.status().unwrap();
    let (code, text) = fixture.run_refused(&["restore", "copy.db"]);
    assert_eq!(code, "conflict");
    let me = format!("process {}", std::process::id());
    assert!(text.contains(&me) && text.contains("open"), "{text}");
    assert_eq!(files_with(&fixture, ".replaced-"), Vec::<PathBuf>::new());
    drop(other);
    fixture.run_ok(&["restore", "copy.db"]);
    assert_eq!(files_with(&fixture, ".replaced-").len(), 1);
}

#[test]
fn unusable_backup_is_refused_and_the_mesh_stays() {
    let fixture = CliFixture::new();
    fixture.run_ok(&["state", "set", "stage", "1"]);
    fixture.run_ok(&["backup", "copy.db"]);
    let copy = fixture.folder.join("copy.db");
    let content = std::fs::read(&copy).unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = fixture.folder.join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    };
    write("text.db", b"not a database");
    let mut damaged = content.clone();
    damaged[8192..].fill(0xAA);
    write("damaged.db", &damaged);
    write("newer.db", &content);
    let rows = rusqlite::Connection::open(fixture.folder.join("newer.db")).unwrap();
    rows.execute("UPDATE meta SET value = '999' WHERE key = 'min_reader'", [])
        .unwrap();
    drop(rows);
    for (file, expected) in [
        ("text.db", "not a database"),
        ("damaged.db", "damaged"),
        ("newer.db", "this program knows up to"),
        ("missing.db", "cannot open"),
    ] {
        let (code, text) = fixture.run_refused(&["restore", file]);
        assert_eq!(code, "storage", "{text}");
        assert!(text.contains(expected), "{file}: {text}");
    }
    assert_eq!(fixture.run_ok(&["state", "get", "stage"]).trim(), "1");
    assert_eq!(files_with(&fixture, ".replaced-"), Vec::<PathBuf>::new());
    assert_eq!(files_with(&fixture, ".restore-"), Vec::<PathBuf>::new());
}

#[test]
fn restore_replaces_a_damaged_mesh_and_keeps_it() {
    let fixture = CliFixture::new();
    fixture.run_ok(&["state", "set", "stage", "1"]);
    fixture.run_ok(&["backup", "copy.db"]);
    let garbage = b"SQLite format 3\0 and then nothing of it".repeat(9);
    std::fs::write(fixture.database(), &garbage).unwrap();
    let ran = fixture.run(&["restore", "copy.db"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("fencing tokens"), "{ran:?}");
    assert_eq!(fixture.run_ok(&["state", "get", "stage"]).trim(), "1");
    let replaced = files_with(&fixture, ".replaced-");
    assert_eq!(std::fs::read(&replaced[0]).unwrap(), garbage);
}

#[test]
fn backup_works_while_a_session_writes_and_has_one_state() {
    let fixture = CliFixture::new();
    let session = fixture.world.session("api");
    for number in 0..5 {
        let writer = start_command(&fixture.world, &fixture.folder, &["post", "#log", "more"]);
        let name = format!("copy-{number}.db");
        fixture.run_ok(&["backup", &name]);
        assert!(writer.wait_with_output().unwrap().status.success());
        assert_eq!(quick_check(&fixture.folder.join(&name)), "ok");
    }
    session.kill();
}

#[test]
fn session_shell_may_not_copy_or_replace_a_mesh() {
    let fixture = CliFixture::new();
    let folder = fixture.world.project("ada");
    let script = format!(
        "read go; for words in 'backup a.db' 'restore a.db' 'doctor --salvage a.db'; do \"{}\" $words --json; done; :",
        program("claude-mesh")
    );
    let mut shell = fixture
        .world
        .command("/bin/sh", &fixture.folder)
        .args(["-c", &script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    fixture.register(shell.id(), &folder);
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), b"go\n").unwrap();
    let printed = shell.wait_with_output().unwrap().stdout;
    let printed = String::from_utf8(printed).unwrap();
    assert_eq!(printed.matches("not_yours").count(), 3, "{printed}");
    assert!(!fixture.folder.join("a.db").exists());
}
