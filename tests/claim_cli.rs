//! Claims as people type them, beside sessions that hold and want the same.
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::json;

use crate::world::{Ran, Session, World, program, within};

/// Starts a command that waits.
fn starts(world: &World, folder: &Path, arguments: &[&str]) -> Child {
    world
        .command(program("claude-mesh"), folder)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn in_line(session: &Session) -> usize {
    let listed = session.call("claims", json!({}));
    let queue = listed["claims"][0]["queue"].as_array();
    queue.map_or(0, Vec::len)
}

#[test]
fn a_person_claims_renews_and_gives_back_and_a_session_is_denied_meanwhile() {
    let world = World::new();
    let ada = world.session("ada");
    let types = |arguments: &[&str]| world.cli(&ada.folder, arguments);
    let ran = types(&["claim", "deploy", "--lease", "1h", "--note", "release"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out.starts_with("granted: deploy, exclusive until "),
        "{ran:?}"
    );
    assert!(ran.out.ends_with(" min from now, fence 1\n"), "{ran:?}");
    let denied = ada.call("claim", json!({ "resource": "deploy" }));
    assert_eq!(denied["status"], "denied");
    let again = types(&["claim", "deploy", "--json"]).json();
    assert_eq!(
        (&again["renewed"], &again["fence"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(
        ada.call("claim", json!({ "resource": "deploy", "wait": "queue" }))["status"],
        "queued"
    );
    let ran = types(&["release", "deploy"]);
    assert_eq!(
        (ran.out.as_str(), ran.code),
        ("released: deploy; now held by ada\n", Some(0))
    );
    let ran = types(&["release", "deploy"]);
    assert!(ran.out.starts_with("nothing to release: "), "{ran:?}");
    let log = types(&["log"]).out;
    for sentence in [
        "holds deploy (fence 1)",
        "ada stands in line for deploy",
        "gave deploy back",
        "ada holds deploy (fence 2)",
    ] {
        assert!(log.contains(sentence), "{sentence} in {log}");
    }
}

#[test]
fn a_denied_claim_says_who_holds_it_and_how_to_join_the_line() {
    let world = World::new();
    let ada = world.session("ada");
    ada.call("claim", json!({ "resource": "file:a.rs" }));
    let ran = world.cli(&ada.folder, &["claim", "file:./a.rs"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(
        lines[0].starts_with("claude-mesh: file:~/ada/a.rs is held by ada until "),
        "{ran:?}"
    );
    assert_eq!(
        lines[1],
        "hint: `claude-mesh claim file:./a.rs --wait 10m` joins the line"
    );
    let ran = world.cli(&ada.folder, &["claim", "file:a.rs", "--json"]);
    assert_eq!(
        (ran.code, &ran.json()["status"]),
        (Some(1), &json!("denied"))
    );
    let ran = world.cli(&ada.folder, &["claim", "file:a.rs", "--queue"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out
            .starts_with("in line: file:~/ada/a.rs, place 1, held by ada until "),
        "{ran:?}"
    );
}

#[test]
fn a_command_that_waits_gets_its_turn_and_one_that_is_stopped_gives_up_its_place() {
    let world = World::new();
    let ada = world.session("ada");
    ada.call("claim", json!({ "resource": "deploy" }));
    let wait = ["claim", "deploy", "--wait", "5m"];
    let stopped = starts(&world, &ada.folder, &wait);
    within("it stands in line", || in_line(&ada) == 1);
    let pid = rustix::process::Pid::from_child(&stopped);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ran = Ran::of(&stopped.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(in_line(&ada), 0, "the place is given up");
    let waits = starts(&world, &ada.folder, &wait);
    within("it stands in line", || in_line(&ada) == 1);
    ada.call("release", json!({ "resource": "deploy" }));
    let ran = Ran::of(&waits.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("granted: deploy, "), "{ran:?}");
    let out = world.cli(&ada.folder, &["claim", "x", "--shared"]);
    assert_eq!(out.code, Some(0));
    assert_eq!(
        ada.call("claim", json!({ "resource": "x", "mode": "shared" }))["status"],
        "granted"
    );
    let late = world.cli(&ada.folder, &["claim", "x", "--wait", "1s", "--json"]);
    assert_eq!(
        (late.code, &late.json()["status"]),
        (Some(3), &json!("denied"))
    );
}

#[test]
fn a_claim_that_is_not_held_fails_also_when_a_place_in_line_is_left_over() {
    let world = World::new();
    let ada = world.session("ada");
    ada.call("claim", json!({ "resource": "deploy" }));
    let types = |arguments: &[&str]| world.cli(&ada.folder, arguments);
    assert_eq!(types(&["claim", "deploy", "--queue"]).code, Some(0));
    let ran = types(&["claim", "deploy"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(
        lines[0].starts_with("claude-mesh: deploy is held by ada until "),
        "{ran:?}"
    );
    assert!(
        lines[0].ends_with("; you have place 1 in line for it"),
        "{ran:?}"
    );
    assert_eq!(
        lines[1],
        "hint: `claude-mesh claim deploy --wait 10m` waits for the turn, `claude-mesh release deploy` leaves the line"
    );
    let ran = types(&["claim", "deploy", "--json"]);
    assert_eq!(
        (ran.code, &ran.json()["status"]),
        (Some(1), &json!("queued"))
    );
}

#[test]
fn a_command_whose_turn_does_not_come_in_time_leaves_the_line_unless_told_to_queue() {
    let world = World::new();
    let ada = world.session("ada");
    ada.call("claim", json!({ "resource": "deploy" }));
    let types = |arguments: &[&str]| world.cli(&ada.folder, arguments);
    let ran = types(&["claim", "deploy", "--wait", "1s"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!((ran.out.as_str(), in_line(&ada)), ("", 0), "{ran:?}");
    assert!(
        ran.err
            .starts_with("claude-mesh: deploy is held by ada until "),
        "{ran:?}"
    );
    let ran = types(&["claim", "deploy", "--wait", "1s", "--queue"]);
    assert_eq!((ran.code, in_line(&ada)), (Some(3), 1), "{ran:?}");
    assert!(ran.out.starts_with("in line: deploy, place 1, "), "{ran:?}");
}

#[test]
fn a_command_that_ends_leaves_the_place_in_line_to_another_of_the_same_person() {
    let world = World::new();
    let ada = world.session("ada");
    ada.call("claim", json!({ "resource": "deploy" }));
    let waits = starts(&world, &ada.folder, &["claim", "deploy", "--wait", "5m"]);
    within("it stands in line", || in_line(&ada) == 1);
    let ran = world.cli(&ada.folder, &["claim", "deploy", "--wait", "1s", "--json"]);
    assert_eq!(
        (ran.code, &ran.json()["status"], in_line(&ada)),
        (Some(3), &json!("queued"), 1)
    );
    ada.call("release", json!({ "resource": "deploy" }));
    let ran = Ran::of(&waits.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn the_place_in_line_of_a_command_that_was_killed_goes_to_nobody() {
    let world = World::new();
    let [ada, bo] = ["ada", "bo"].map(|name| world.session(name));
    let kills = || {
        let mut child = starts(&world, &ada.folder, &["claim", "deploy", "--wait", "5m"]);
        within("it stands in line", || in_line(&ada) == 1);
        child.kill().unwrap();
        child.wait().unwrap();
        child.id()
    };
    ada.call("claim", json!({ "resource": "deploy" }));
    kills();
    assert_eq!(in_line(&ada), 0, "a look finds that nobody waits there");
    let log = world.cli(&ada.folder, &["log", "--json"]).out;
    assert!(log.contains("claim.reaped"), "{log}");
    kills();
    let released = ada.call("release", json!({ "resource": "deploy" }));
    assert_eq!(released["promoted"], json!([]));
    ada.call("claim", json!({ "resource": "deploy" }));
    let pid = kills();
    bo.call("list_peers", json!({}));
    let found: i64 = world
        .rows()
        .query_row(
            "SELECT count(*) FROM session WHERE ended_at_ms IS NULL AND pid = ?1",
            [pid],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(found, 0, "somebody else saw first that its process is gone");
    bo.call("claim", json!({ "resource": "deploy", "wait": "queue" }));
    let released = ada.call("release", json!({ "resource": "deploy" }));
    assert_eq!(released["promoted"], json!(["bo"]));
}

#[test]
fn claims_are_a_table_without_what_steers_a_terminal() {
    let world = World::new();
    let ada = world.session("ada");
    let looks = |arguments: &[&str]| world.cli(&ada.folder, arguments).out;
    assert_eq!(looks(&["claims"]), "nobody holds anything\n");
    ada.call(
        "claim",
        json!({ "resource": "deploy", "note": "a\u{1b}[31mb\u{202e}c" }),
    );
    ada.call("claim", json!({ "resource": "docs", "mode": "shared" }));
    world.cli(&ada.folder, &["claim", "deploy", "--queue"]);
    let table = looks(&["claims"]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["RESOURCE", "PEER", "MODE", "UNTIL", "FENCE", "NOTE"]
    );
    assert_eq!(
        (rows[1][0], rows[1][1], rows[1].last()),
        ("deploy", "ada", Some(&"abc"))
    );
    assert!(
        table.lines().nth(2).unwrap().contains("place 1 in line"),
        "{table}"
    );
    assert_eq!(looks(&["claims", "--prefix", "do"]).lines().count(), 2);
    assert_eq!(looks(&["claims", "deploy"]).lines().count(), 3);
    let listed = world.cli(&ada.folder, &["claims", "--json"]).json();
    assert_eq!(listed["claims"][0]["holders"][0]["peer"], "ada");
    assert_eq!(
        world.cli(&ada.folder, &["status", "--json"]).json()["claims"],
        2
    );
}

#[test]
fn in_the_shell_of_a_session_a_claim_is_that_sessions() {
    let world = World::new();
    let claim = [("CLAIM", program("claude-mesh"))];
    let script = "read go; \"$CLAIM\" claim deploy; read end";
    let ada = world.window_of("ada", &claim, "/bin/sh", script);
    ada.register("busy");
    ada.line("go");
    ada.wait_for(|line| {
        let said = line["not_json"].as_str().unwrap_or_default();
        said.starts_with("granted: deploy")
    });
    let looker = world.session("looker");
    let holder = |looker: &Session| {
        let listed = looker.call("claims", json!({ "resource": "deploy" }));
        listed["claims"][0]["holders"][0]["peer"].clone()
    };
    assert_eq!(holder(&looker), "ada");
    ada.kill();
    assert_eq!(holder(&looker), json!(null), "it ends with its session");
}

#[test]
fn what_is_refused_names_what_can_be_done_now_and_who_else_is_here() {
    let world = World::new();
    let ada = world.session("ada");
    let refused = |arguments: &[&str]| {
        let ran = world.cli(&ada.folder, arguments);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        let lines: Vec<String> = ran.err.lines().map(str::to_owned).collect();
        assert!(lines[1].starts_with("hint: "), "{lines:?}");
        lines[1].clone()
    };
    assert_eq!(
        refused(&["claim", "file:"]),
        "hint: `--help` behind the command tells what it takes; nothing was changed"
    );
    assert_eq!(
        refused(&["peers", "--forget", "ada"]),
        "hint: it can be forgotten once that session has ended; nothing was changed"
    );
    assert_eq!(
        refused(&["messages", "--from", "nobody-like-it"]),
        "hint: here now: ada"
    );
    ada.kill();
    let bo = world.project("bo");
    let ran = world.cli(&bo, &["messages", "--from", "nobody-like-it"]);
    assert!(ran.err.contains("nobody is here now"), "{ran:?}");
}
