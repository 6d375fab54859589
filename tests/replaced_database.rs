//! The file of the mesh is replaced while sessions run: moved away, or written over in place.
use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::support::{Session, World, ask_and_answer, post_message};

const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

fn path(world: &World, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", world.database().display()))
}

/// Moves the files of the mesh away.
fn move_away(world: &World) {
    for suffix in SUFFIXES {
        let _ = fs::rename(path(world, suffix), path(world, &format!("{suffix}.old")));
    }
}

/// Asserts that servers, hooks and commands of two sessions work together.
#[track_caller]
fn assert_works(world: &World, [ada, bo]: [&Session; 2]) {
    assert_eq!((ada.name(), bo.name()), ("ada".into(), "bo".into()));
    ask_and_answer(ada, bo, "which port?", "5433");
    post_message(ada, "bo", "hello");
    let mentioned = bo.prompt("t9").unwrap_or_default();
    assert!(mentioned.contains("message"), "{mentioned}");
    let listed = world.cli(&ada.folder, &["peers"]);
    assert!(
        listed.out.contains("ada") && listed.out.contains("bo"),
        "{listed:?}"
    );
    let found: String = world
        .rows()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, "ok");
}

#[test]
fn sessions_go_on_with_a_file_that_replaces_theirs() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    ask_and_answer(&ada, &bo, "in the copy", "yes");
    let copied = world.cli(&world.home(), &["backup", "copy.db"]);
    assert_eq!(copied.code, Some(0), "{copied:?}");
    ask_and_answer(&ada, &bo, "not in the copy", "yes");
    move_away(&world);
    let old = fs::read(path(&world, "-wal.old")).unwrap();
    fs::rename(world.home().join("copy.db"), world.database()).unwrap();
    assert_works(&world, [&ada, &bo]);
    assert_eq!(
        ada.call("mesh_status", json!({}))["questions"]["answered"],
        2
    );
    assert!(
        fs::read(path(&world, "-wal.old")).unwrap() == old,
        "nobody writes to the old file"
    );
}

#[test]
fn waiting_call_ends_when_the_file_is_replaced() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = ada.start(
        "ask_peer",
        json!({ "to": "bo", "question": "which port?", "timeout_seconds": 8 }),
    );
    ask.wait_for_progress("bo: stored");
    move_away(&world);
    let created = world.cli(&world.home(), &["state", "set", "stage", "1"]);
    assert_eq!(created.code, Some(0), "{created:?}");
    assert!(bo.questions().is_empty(), "the new file has no question");
    let ended = ask.result();
    assert_eq!(ended["error"]["code"], "not_found", "{ended}");
    assert_works(&world, [&ada, &bo]);
}

/// Overwrites the file in place with an earlier copy of it, as `cp` does. Returns the sessions that have it open.
fn copy_in_place(world: &World, change: &str) -> [Session; 2] {
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    ask_and_answer(&ada, &bo, "in the copy", "yes");
    let copied = world.cli(&world.home(), &["backup", "copy.db"]);
    assert_eq!(copied.code, Some(0), "{copied:?}");
    for number in 0..50 {
        post_message(&ada, "bo", &format!("not in the copy {number}"));
    }
    world.rows().execute_batch(change).unwrap();
    let content = fs::read(world.home().join("copy.db")).unwrap();
    fs::write(world.database(), &content).unwrap();
    [ada, bo]
}

#[test]
fn copy_over_the_file_in_place_changes_nothing_in_the_wal() {
    let world = World::new();
    let [ada, bo] = copy_in_place(&world, "SELECT 1");
    assert_works(&world, [&ada, &bo]);
    let rows = world.rows();
    let count = rows.query_row("SELECT count(*) FROM message", [], |row| row.get(0));
    assert_eq!(count, Ok(51));
}

#[test]
fn sessions_go_on_with_a_copy_over_a_checkpointed_file() {
    let world = World::new();
    let [ada, bo] = copy_in_place(&world, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_works(&world, [&ada, &bo]);
    let rows = world.rows();
    let count = rows.query_row("SELECT count(*) FROM message", [], |row| row.get(0));
    assert_eq!(count, Ok(1), "it is the copy");
}
