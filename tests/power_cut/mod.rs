//! Power cuts: the writes and flushes of a real server are recorded, and the files are rebuilt as a power cut at each flush and at
//! each answer could have left them.
mod disk;
mod trace;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use self::disk::{Disk, Unsynced};
use self::trace::Step;
use crate::support::{Session, World, skip};

/// What was kept after a power cut, and what had been acknowledged before.
struct Cut {
    /// How many messages were acknowledged.
    acknowledged: usize,
    /// How many of the messages are there.
    stored: usize,
    unsynced: Unsynced,
}

/// Returns whether this user may trace programs, after reporting why the calling test is skipped.
fn can_trace() -> bool {
    let tried = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    let works = tried.is_ok_and(|status| status.success());
    if !works {
        skip("power cuts", "there is no strace that works here");
    }
    works
}

/// Posts messages of this size in a traced session. Returns the steps of its server, and the ids of its calls in their order.
fn record(world: &World, sync: &str, (messages, bytes): (usize, usize)) -> (Vec<Step>, Vec<i64>) {
    let script = format!(
        "strace -f -y -xx -s 1000000 -o \"$TRACE\" -e {} \"$SERVER\"; :",
        trace::CALLS
    );
    let trace = world.home().join("trace");
    let environment = [
        ("CLAUDE_MESH_SYNC", sync),
        ("TRACE", trace.to_str().unwrap()),
    ];
    let ada = open(world, &environment, &script);
    let calls = (0..messages).map(|number| {
        let body = format!("{number} {}", "y".repeat(bytes));
        let call = ada.start("post", json!({ "to": "#log", "body": body }));
        assert!(call.result()["message_id"].is_string());
        call.id
    });
    let calls = calls.collect();
    ada.close_stdin();
    ada.wait_for_end();
    let text = std::fs::read_to_string(trace).unwrap();
    (trace::steps(&text), calls)
}

fn open(world: &World, environment: &[(&str, &str)], script: &str) -> Session {
    let ada = world.bare_session_with_script("ada", environment, "/bin/sh", script);
    ada.discover();
    ada
}

/// Cuts the power at each flush and each answer.
fn cut_everywhere(world: &World, (steps, calls): &(Vec<Step>, Vec<i64>)) -> Vec<Cut> {
    let mut disk = Disk::new(&world.home().join(".claude-mesh"));
    let (mut acknowledged, mut cuts) = (0, Vec::new());
    for (number, step) in steps.iter().enumerate() {
        let is_next_flush = matches!(steps.get(number + 1), Some(Step::Sync { .. }));
        let is_flush = disk.apply(step);
        let is_answer = match step {
            Step::Output(line) => is_answer_to(line, calls[acknowledged.min(calls.len() - 1)]),
            _ => false,
        };
        acknowledged += usize::from(is_answer);
        // Answers between two flushes differ in what is lost, and that is checked for some of them.
        let is_answer = is_answer && (calls.len() < 30 || acknowledged % 5 == 0);
        if !is_flush && !is_answer && !is_next_flush {
            continue;
        }
        let seed = number as u64;
        for unsynced in [Unsynced::Lost, Unsynced::Kept, Unsynced::Mixed(seed)] {
            let folder = tempfile::tempdir().unwrap();
            let stored = if disk.write_image(folder.path(), unsynced) {
                stored_messages(&folder.path().join("mesh.db"))
            } else {
                0
            };
            cuts.push(Cut {
                acknowledged,
                stored,
                unsynced,
            });
        }
    }
    assert_eq!(acknowledged, calls.len(), "all answers are in the trace");
    cuts
}

fn is_answer_to(line: &[u8], id: i64) -> bool {
    serde_json::from_slice::<Value>(line).is_ok_and(|line| line["id"] == id)
}

/// Checks a file and returns how many messages it has, which are the first ones without a gap.
#[track_caller]
fn stored_messages(database: &Path) -> usize {
    let rows = rusqlite::Connection::open(database).unwrap();
    let found: String = rows
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, "ok");
    let mut statement = rows
        .prepare("SELECT body FROM message ORDER BY id")
        .unwrap();
    let bodies = statement
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    let mut count = 0;
    for body in bodies {
        let body = body.unwrap();
        assert_eq!(body.split(' ').next(), Some(count.to_string().as_str()));
        count += 1;
    }
    let events: usize = rows
        .query_row(
            "SELECT count(*) FROM event WHERE type = 'message.posted'",
            [],
            |row| row.get::<_, i64>(0),
        )
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(events, count, "a message and its event are one commit");
    count
}

#[test]
fn with_full_sync_a_power_cut_loses_nothing_acknowledged() {
    if !can_trace() {
        return;
    }
    let world = World::new();
    let recorded = record(&world, "full", (25, 40));
    let cuts = cut_everywhere(&world, &recorded);
    assert!(cuts.len() > 100, "only {} power cuts", cuts.len());
    for cut in &cuts {
        assert!(
            cut.stored >= cut.acknowledged,
            "{} of {} messages are left, unsynced changes: {:?}",
            cut.stored,
            cut.acknowledged,
            cut.unsynced
        );
    }
}

/// The messages are large enough that the WAL is checkpointed and begins again.
#[test]
fn with_normal_sync_a_power_cut_loses_only_the_last_commits() {
    if !can_trace() {
        return;
    }
    let world = World::new();
    let recorded = record(&world, "normal", (75, 60_000));
    let is_answer =
        |step: &Step| matches!(step, Step::Output(line) if is_answer_to(line, recorded.1[74]));
    let last_answer = recorded.0.iter().position(is_answer).unwrap();
    let flushes = recorded.0[..last_answer].iter();
    let flushes =
        flushes.filter(|step| matches!(step, Step::Sync { path } if path.ends_with("/mesh.db")));
    assert!(
        flushes.count() > 0,
        "the WAL was checkpointed while messages came"
    );
    let cuts = cut_everywhere(&world, &recorded);
    let lost = cuts.iter().filter(|cut| cut.stored < cut.acknowledged);
    assert!(lost.count() > 0, "the test would notice a loss");
    let of_all = cuts
        .iter()
        .filter(|cut| matches!(cut.unsynced, Unsynced::Kept));
    for cut in of_all {
        assert!(cut.stored >= cut.acknowledged, "what was written is there");
    }
}

#[test]
fn a_mesh_opens_after_every_power_cut_of_its_creation() {
    if !can_trace() {
        return;
    }
    let world = World::new();
    let recorded = record(&world, "full", (1, 40));
    let mut disk = Disk::new(&world.home().join(".claude-mesh"));
    for (number, step) in recorded.0.iter().enumerate() {
        disk.apply(step);
        for unsynced in [
            Unsynced::Lost,
            Unsynced::Kept,
            Unsynced::Mixed(number as u64),
        ] {
            let folder = tempfile::tempdir().unwrap();
            if disk.write_image(folder.path(), unsynced) {
                stored_messages(&folder.path().join("mesh.db"));
            }
        }
    }
}
