//! Foreign and damaged databases, and writers that died: refused or recovered, and never changed by accident.
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::fault_reports::{
    assert_all_tools_refuse, assert_cli_reports, assert_hooks_print_nothing,
};
use crate::support::skip;

/// Creates the private folder with this database in it, and returns its path.
fn place(world: &World, content: &[u8]) -> PathBuf {
    let path = world.database();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Returns the bytes of a database that a session has used, without a WAL.
fn closed_database_bytes(change: &str) -> Vec<u8> {
    let world = World::new();
    let bo = world.session("bo");
    bo.close_stdin();
    bo.wait_for_end();
    let rows = world.rows();
    rows.execute_batch(&format!("{change}; PRAGMA wal_checkpoint(TRUNCATE)"))
        .unwrap();
    drop(rows);
    fs::read(world.database()).unwrap()
}

#[test]
fn foreign_or_damaged_database_is_refused_and_unchanged() {
    let other = {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("other.db");
        let rows = rusqlite::Connection::open(&path).unwrap();
        rows.execute_batch("CREATE TABLE mine (x); INSERT INTO mine VALUES (1)")
            .unwrap();
        drop(rows);
        fs::read(path).unwrap()
    };
    let newer = closed_database_bytes(
        "PRAGMA user_version = 99; UPDATE meta SET value = '99' WHERE key = 'min_reader'",
    );
    let mut damaged = closed_database_bytes("SELECT 1");
    let (start, end) = (4096, damaged.len() - 4096);
    let mut noise = 1_u64;
    for byte in &mut damaged[start..end] {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *byte = noise.to_be_bytes()[0];
    }
    let cases: [(&str, Vec<u8>, &str); 5] = [
        (
            "no database",
            b"dear diary\n".repeat(100),
            "file is not a database",
        ),
        ("another program's", other, "belongs to another program"),
        ("empty", Vec::new(), "the file is empty"),
        ("newer", newer, "has schema 99, this program knows up to 8"),
        ("damaged", damaged, "the file is damaged"),
    ];
    for (what, content, expected) in cases {
        let world = World::new();
        let path = place(&world, &content);
        let ada = world.bare_session("ada", &[]);
        ada.discover();
        assert_all_tools_refuse(&ada, &["mesh.db", expected]);
        assert_hooks_print_nothing(&world, &ada, Some(expected));
        assert_cli_reports(&world, &["mesh.db", expected]);
        ada.close_stdin();
        ada.wait_for_end();
        assert!(
            fs::read(&path).unwrap() == content,
            "{what}: the file has changed"
        );
        let remaining = fs::read_dir(path.parent().unwrap()).unwrap();
        for entry in remaining.map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            // A database must be opened to know its version or its damage; the files that this creates beside it are empty.
            let is_beside = name == "mesh.db-shm"
                || (name == "mesh.db-wal" && entry.metadata().unwrap().len() == 0);
            assert!(
                is_beside || name == "faults.log" || name == "mesh.db",
                "{what}: {name}"
            );
        }
    }
}

#[test]
fn database_writable_or_owned_by_others_is_refused() {
    let refuses = |world: &World, expected: &str| {
        let ada = world.bare_session("ada", &[]);
        ada.discover();
        assert_all_tools_refuse(&ada, &[".claude-mesh", expected]);
        assert_hooks_print_nothing(world, &ada, Some(expected));
        assert_cli_reports(world, &[expected]);
    };
    let content = closed_database_bytes("SELECT 1");
    for (folder, file) in [(0o777, 0o600), (0o770, 0o600), (0o700, 0o666)] {
        let world = World::new();
        let path = place(&world, &content);
        fs::set_permissions(&path, fs::Permissions::from_mode(file)).unwrap();
        fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(folder)).unwrap();
        refuses(&world, "can be written by others");
        assert!(fs::read(&path).unwrap() == content);
    }
    if !rustix::process::geteuid().is_root() {
        return skip("another owner", "only root can give a folder away");
    }
    for give_folder in [true, false] {
        let world = World::new();
        let path = place(&world, &content);
        let given = if give_folder {
            path.parent().unwrap()
        } else {
            &path
        };
        std::os::unix::fs::chown(given, Some(12_345), None).unwrap();
        refuses(&world, "belongs to user 12345");
        assert!(fs::read(&path).unwrap() == content);
    }
}

// Requirement: Mesh 18
#[test]
fn killed_writer_releases_the_write_lock_and_rolls_back() {
    const HOLD: &str = "CLAUDE_MESH_TEST_HOLD";
    if let Ok(path) = std::env::var(HOLD) {
        // The second role of this test: a program that is killed while it writes.
        let rows = rusqlite::Connection::open(path).unwrap();
        rows.execute_batch("BEGIN IMMEDIATE; UPDATE peer SET summary = 'half a write'")
            .unwrap();
        std::io::stdout().write_all(b"holds\n").unwrap();
        std::thread::sleep(crate::support::WAIT_TIMEOUT);
        return;
    }
    let world = World::new();
    let ada = world.session("ada");
    let free = rusqlite::Connection::open(world.database()).unwrap();
    free.busy_timeout(std::time::Duration::ZERO).unwrap();
    for _ in 0..5 {
        let own = std::env::current_exe().unwrap();
        let mut writer = std::process::Command::new(own)
            .args([
                "--exact",
                "--nocapture",
                "damaged_database::killed_writer_releases_the_write_lock_and_rolls_back",
            ])
            .env(HOLD, world.database())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(writer.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().ends_with("holds")));
        assert!(
            free.execute_batch("BEGIN IMMEDIATE").is_err(),
            "the other process holds the lock"
        );
        writer.kill().unwrap();
        writer.wait().unwrap();
        free.execute_batch("BEGIN IMMEDIATE; ROLLBACK")
            .expect("free without any waiting");
        let put = ada.call("state", json!({ "action": "set", "key": "k", "value": 1 }));
        assert_eq!(put["error"], Value::Null);
    }
    let result = ada.call("register", json!({}));
    assert_eq!(
        result["you"]["summary"],
        Value::Null,
        "a partial write is rolled back"
    );
}
