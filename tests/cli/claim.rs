//! Claims at the command line, beside sessions that hold and request the same resources.

use serde_json::json;

use crate::support::start_command;
use crate::support::{ProcessOutput, Session, World, program, wait_until};

fn queue_length(session: &Session) -> usize {
    let listed = session.call("claims", json!({}));
    let queue = listed["claims"][0]["queue"].as_array();
    queue.map_or(0, Vec::len)
}

// Requirement: Sharing 6
#[test]
fn cli_claim_excludes_sessions_until_it_is_released() {
    let world = World::new();
    let ada = world.session("ada");
    let run_cli = |arguments: &[&str]| world.cli(&ada.folder, arguments);
    let ran = run_cli(&["claim", "deploy", "--lease", "1h", "--note", "release"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out.starts_with("granted: deploy, exclusive until "),
        "{ran:?}"
    );
    assert!(ran.out.ends_with(" min from now, fence 1\n"), "{ran:?}");
    let denied = ada.call("claim", json!({ "resource": "deploy" }));
    assert_eq!(denied["status"], "denied");
    let again = run_cli(&["claim", "deploy", "--json"]).json();
    assert_eq!(
        (&again["renewed"], &again["fence"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(
        ada.call("claim", json!({ "resource": "deploy", "wait": "queue" }))["status"],
        "queued"
    );
    let ran = run_cli(&["release", "deploy"]);
    assert_eq!(
        (ran.out.as_str(), ran.code),
        ("released: deploy; now held by ada\n", Some(0))
    );
    let ran = run_cli(&["release", "deploy"]);
    assert!(ran.out.starts_with("nothing to release: "), "{ran:?}");
    let log = run_cli(&["log"]).out;
    for sentence in [
        "holds deploy (fence 1)",
        "ada is queued for deploy",
        "released deploy",
        "ada holds deploy (fence 2)",
    ] {
        assert!(log.contains(sentence), "{sentence} in {log}");
    }
}

#[test]
fn cli_denied_claim_names_the_holder_and_suggests_waiting() {
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
        "hint: `claude-mesh claim file:./a.rs --wait 10m` joins the queue"
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
            .starts_with("queued: file:~/ada/a.rs, position 1, held by ada until "),
        "{ran:?}"
    );
}

#[test]
fn cli_claim_wait_is_granted_in_turn_or_leaves_on_interrupt() {
    let world = World::new();
    let ada = world.session("ada");
    ada.call("claim", json!({ "resource": "deploy" }));
    let wait = ["claim", "deploy", "--wait", "5m"];
    let stopped = start_command(&world, &ada.folder, &wait);
    wait_until("the ticket is queued", || queue_length(&ada) == 1);
    let pid = rustix::process::Pid::from_child(&stopped);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ran = ProcessOutput::of(&stopped.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(queue_length(&ada), 0, "the place is given up");
    let waits = start_command(&world, &ada.folder, &wait);
    wait_until("the ticket is queued", || queue_length(&ada) == 1);
    ada.call("release", json!({ "resource": "deploy" }));
    let ran = ProcessOutput::of(&waits.wait_with_output().unwrap());
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
fn cli_claim_fails_while_it_has_only_a_ticket() {
    let world = World::new();
    let ada = world.session("ada");
    ada.call("claim", json!({ "resource": "deploy" }));
    let run_cli = |arguments: &[&str]| world.cli(&ada.folder, arguments);
    assert_eq!(run_cli(&["claim", "deploy", "--queue"]).code, Some(0));
    let ran = run_cli(&["claim", "deploy"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(
        lines[0].starts_with("claude-mesh: deploy is held by ada until "),
        "{ran:?}"
    );
    assert!(
        lines[0].ends_with("; you are at position 1 in the queue"),
        "{ran:?}"
    );
    assert_eq!(
        lines[1],
        "hint: `claude-mesh claim deploy --wait 10m` waits for the claim, `claude-mesh release deploy` leaves the queue"
    );
    let ran = run_cli(&["claim", "deploy", "--json"]);
    assert_eq!(
        (ran.code, &ran.json()["status"]),
        (Some(1), &json!("queued"))
    );
}

#[test]
fn cli_claim_timeout_leaves_the_queue_without_the_queue_flag() {
    let world = World::new();
    let ada = world.session("ada");
    ada.call("claim", json!({ "resource": "deploy" }));
    let run_cli = |arguments: &[&str]| world.cli(&ada.folder, arguments);
    let ran = run_cli(&["claim", "deploy", "--wait", "1s"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!((ran.out.as_str(), queue_length(&ada)), ("", 0), "{ran:?}");
    assert!(
        ran.err
            .starts_with("claude-mesh: deploy is held by ada until "),
        "{ran:?}"
    );
    let ran = run_cli(&["claim", "deploy", "--wait", "1s", "--queue"]);
    assert_eq!((ran.code, queue_length(&ada)), (Some(3), 1), "{ran:?}");
    assert!(
        ran.out.starts_with("queued: deploy, position 1, "),
        "{ran:?}"
    );
}

#[test]
fn cli_claim_timeout_keeps_a_ticket_that_another_command_uses() {
    let world = World::new();
    let ada = world.session("ada");
    ada.call("claim", json!({ "resource": "deploy" }));
    let waits = start_command(&world, &ada.folder, &["claim", "deploy", "--wait", "5m"]);
    wait_until("the ticket is queued", || queue_length(&ada) == 1);
    let ran = world.cli(&ada.folder, &["claim", "deploy", "--wait", "1s", "--json"]);
    assert_eq!(
        (ran.code, &ran.json()["status"], queue_length(&ada)),
        (Some(3), &json!("queued"), 1)
    );
    ada.call("release", json!({ "resource": "deploy" }));
    let ran = ProcessOutput::of(&waits.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn cli_claim_ticket_of_a_killed_command_is_reaped() {
    let world = World::new();
    let [ada, bo] = ["ada", "bo"].map(|name| world.session(name));
    let kill_waiting_command = || {
        let mut child = start_command(&world, &ada.folder, &["claim", "deploy", "--wait", "5m"]);
        wait_until("the ticket is queued", || queue_length(&ada) == 1);
        child.kill().unwrap();
        child.wait().unwrap();
        child.id()
    };
    ada.call("claim", json!({ "resource": "deploy" }));
    kill_waiting_command();
    assert_eq!(
        queue_length(&ada),
        0,
        "a read finds that the waiting process has ended"
    );
    let log = world.cli(&ada.folder, &["log", "--json"]).out;
    assert!(log.contains("claim.reaped"), "{log}");
    kill_waiting_command();
    let released = ada.call("release", json!({ "resource": "deploy" }));
    assert_eq!(released["promoted"], json!([]));
    ada.call("claim", json!({ "resource": "deploy" }));
    let pid = kill_waiting_command();
    bo.call("list_peers", json!({}));
    let found: i64 = world
        .rows()
        .query_row(
            "SELECT count(*) FROM session WHERE ended_at_ms IS NULL AND pid = ?1",
            [pid],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(
        found, 0,
        "another session noticed first that its process has ended"
    );
    bo.call("claim", json!({ "resource": "deploy", "wait": "queue" }));
    let released = ada.call("release", json!({ "resource": "deploy" }));
    assert_eq!(released["promoted"], json!(["bo"]));
}

// Requirement: Mesh 10
#[test]
fn cli_claims_prints_a_table_without_control_characters() {
    let world = World::new();
    let ada = world.session("ada");
    let cli_output = |arguments: &[&str]| world.cli(&ada.folder, arguments).out;
    assert_eq!(cli_output(&["claims"]), "nothing is claimed\n");
    ada.call(
        "claim",
        json!({ "resource": "deploy", "note": "a\u{1b}[31mb\u{202e}c" }),
    );
    ada.call("claim", json!({ "resource": "docs", "mode": "shared" }));
    world.cli(&ada.folder, &["claim", "deploy", "--queue"]);
    let table = cli_output(&["claims"]);
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
        table
            .lines()
            .nth(2)
            .unwrap()
            .contains("position 1 in the queue"),
        "{table}"
    );
    assert_eq!(cli_output(&["claims", "--prefix", "do"]).lines().count(), 2);
    assert_eq!(cli_output(&["claims", "deploy"]).lines().count(), 3);
    let listed = world.cli(&ada.folder, &["claims", "--json"]).json();
    assert_eq!(listed["claims"][0]["holders"][0]["peer"], "ada");
    assert_eq!(
        world.cli(&ada.folder, &["status", "--json"]).json()["claims"],
        2
    );
}

#[test]
fn cli_claim_in_a_session_shell_belongs_to_that_session() {
    let world = World::new();
    let claim = [("CLAIM", program("claude-mesh"))];
    let script = "read go; \"$CLAIM\" claim deploy; read end";
    let ada = world.bare_session_with_script("ada", &claim, "/bin/sh", script);
    ada.register("busy");
    ada.line("go");
    ada.wait_for(|line| {
        let said = line["not_json"].as_str().unwrap_or_default();
        said.starts_with("granted: deploy")
    });
    let observer = world.session("looker");
    let holder = |observer: &Session| {
        let listed = observer.call("claims", json!({ "resource": "deploy" }));
        listed["claims"][0]["holders"][0]["peer"].clone()
    };
    assert_eq!(holder(&observer), "ada");
    ada.kill();
    assert_eq!(holder(&observer), json!(null), "it ends with its session");
}

#[test]
fn cli_refusals_hint_at_the_next_step_and_active_peers() {
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
        "hint: run the command with --help; nothing was changed"
    );
    assert_eq!(
        refused(&["peers", "--forget", "ada"]),
        "hint: it can be removed after that session has ended; nothing was changed"
    );
    assert_eq!(
        refused(&["messages", "--from", "nobody-like-it"]),
        "hint: here now: ada"
    );
    ada.kill();
    let bo = world.project("bo");
    let ran = world.cli(&bo, &["messages", "--from", "nobody-like-it"]);
    assert!(ran.err.contains("no session can be asked now"), "{ran:?}");
}
