//! Events at the command line: emitted, printed, waited for, followed.
use std::io::{BufRead, BufReader};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::event_calls::{
    CONSECUTIVE_EVENTS, emit, events, events_in, wait_for_listeners,
};
use crate::support::start_command;
use crate::support::{BackgroundProcess, ProcessOutput, WAIT_TIMEOUT, World};

#[test]
fn cli_events_wait_returns_on_a_match_or_timeout() {
    let world = World::new();
    let ada = world.session("ada");
    let waiting = start_command(
        &world,
        &world.project("person"),
        &[
            "events",
            "--wait",
            "--types",
            "project.deployed,project.failed",
            "--timeout",
            "1h",
            "--json",
        ],
    );
    wait_for_listeners(&world, 1);
    emit(&ada, "project.noise", json!({}));
    emit(&ada, "project.deployed", json!({ "version": "1.4" }));
    let ran = ProcessOutput::of(&waiting.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()["events"][0]["data"], json!({ "version": "1.4" }));
    let none = world.cli(
        &world.home(),
        &[
            "events",
            "--wait",
            "--types",
            "task.*",
            "--timeout",
            "1s",
            "--json",
        ],
    );
    assert_eq!(
        (none.code, &none.json()["status"]),
        (Some(3), &json!("timed_out"))
    );
    let empty = World::new();
    let none = empty.cli(&empty.home(), &["events", "--wait", "--timeout", "1s"]);
    assert_eq!(none.code, Some(3), "{none:?}");
    assert!(!empty.database().exists(), "waiting makes no database");
}

#[test]
fn cli_events_follow_is_woken_by_the_doorbell() {
    let world = World::new();
    let ada = world.session("ada");
    emit(&ada, "project.step", json!(0));
    let mut following = start_command(
        &world,
        &world.project("person"),
        &["events", "-f", "--types", "project.*", "--json"],
    );
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["data"], 0, "it begins with the newest");
    let began = Instant::now();
    for number in 1..=CONSECUTIVE_EVENTS {
        emit(&ada, "project.step", json!(number));
        assert_eq!(next()["data"], number);
    }
    assert!(began.elapsed() < WAIT_TIMEOUT, "no doorbell was written");
    let pid = i32::try_from(following.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(following.wait().unwrap().code(), Some(0));
    wait_for_listeners(&world, 0);
}

// Requirement: Tasks 11
#[test]
fn cli_events_emits_and_prints_events() {
    let world = World::new();
    let ada = world.session("ada");
    let types = |arguments: &[&str]| world.cli(&world.project("person"), arguments);
    let reported = types(&[
        "events",
        "--emit",
        "project.deployed",
        "--data",
        r#"{"to": "\u001b[31mx"}"#,
    ]);
    assert!(
        reported.out.starts_with("project.deployed is event "),
        "{reported:?}"
    );
    let seen = events(&ada, json!({ "types": ["project.*"] }));
    assert!(
        events_in(&seen)[0]["by"]
            .as_str()
            .unwrap()
            .starts_with("person@")
    );
    assert_eq!(
        events_in(&seen)[0]["subject"],
        json!(world.home().join("person"))
    );
    let lines = types(&["events", "--types", "project.*"]).out;
    assert!(
        lines.contains("project.deployed  person@") && !lines.contains('\u{1b}'),
        "{lines}"
    );
    let refused = |arguments: &[&str]| types(arguments).json()["error"]["code"].clone();
    assert_eq!(
        refused(&["events", "--emit", "task.done", "--json"]),
        "invalid_argument"
    );
    let no_json = ["events", "--emit", "project.x", "--data", "{", "--json"];
    assert_eq!(refused(&no_json), "invalid_argument");
    assert_eq!(types(&["events", "--data", "1"]).code, Some(2));
    assert_eq!(types(&["events", "--since", "soon"]).code, Some(2));
}

#[test]
fn cli_events_follow_prints_a_question_and_continues() {
    let world = World::new();
    let ada = world.session("ada");
    let mut following = start_command(
        &world,
        &world.project("person"),
        &["events", "-f", "--types", "project.*", "--json"],
    );
    wait_for_listeners(&world, 1);
    let person = world
        .rows()
        .query_row("SELECT name FROM peer WHERE kind = 'person'", [], |row| {
            row.get::<_, String>(0)
        });
    let ask = ada.start(
        "ask_peer",
        json!({ "to": person.unwrap(), "question": "may I push?" }),
    );
    let mut reported = BufReader::new(following.stderr.take().unwrap()).lines();
    assert_eq!(
        reported.next().unwrap().unwrap(),
        "claude-mesh: ada asks you: may I push?"
    );
    emit(&ada, "project.step", json!(1));
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("project.step"));
    following.kill().unwrap();
    following.wait().unwrap();
    ask.cancel();
}

#[test]
fn cli_events_follow_in_a_session_shell_delivers_no_question() {
    let world = World::new();
    let ada = world.session("ada");
    let folder = world.project("bo");
    let script =
        BackgroundProcess::background_cli_script(&world, &folder, "events -f --json > followed");
    let bo = world.bare_session_with_script("bo", &[], "/bin/sh", &script);
    bo.register("idle");
    bo.hook("SessionStart", json!({ "source": "startup" }));
    bo.discover();
    bo.call("mesh_status", json!({}));
    let _follower = BackgroundProcess::release(&folder);
    let followed = || std::fs::read_to_string(folder.join("followed")).unwrap_or_default();
    crate::support::wait_until("the log is followed", || followed().contains("peer.joined"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");
    crate::support::wait_until("the next event is printed", || {
        followed().contains("question.asked")
    });
    assert!(
        !followed().contains("question.shown"),
        "it was not delivered"
    );
    assert!(bo.prompt("t1").unwrap().contains("which port?"));
}
