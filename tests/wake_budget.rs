//! What holds a wake-up back: the wake budget, quiet and pause.
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::{InboxClient, InboxSession, attached_context, start_ask};

// Requirement: Beyond 16
#[test]
fn wake_budget_limits_turns_until_the_person_types() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "2");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    for turn in ["t1", "t2"] {
        bo.session.register("idle");
        let ask = start_ask(&ada, "bo", &format!("question {turn}"));
        let said = bo.read_wake_line(&bo.next_wake_line(), turn);
        assert!(attached_context(&said).contains(turn));
        bo.session.send_reply(&bo.session.next_question(), "yes");
        assert_eq!(ask.result()["status"], "answered");
    }
    let held = start_ask(&ada, "bo", "once more?").result();
    assert_eq!(held["status"], "held");
    assert_eq!(
        (&held["reason"], &held["until"]),
        (&json!("wake_budget"), &Value::Null)
    );
    bo.assert_no_line(Duration::from_millis(300));
    assert_eq!(
        bo.session.stop("t2", false),
        None,
        "a held question continues no turn"
    );
    assert_eq!(bo.session.call("poll_inbox", json!({}))["held"], 1);
    assert!(
        bo.session.prompt("t3").unwrap().contains("once more?"),
        "a typed prompt delivers the question"
    );
    let after = start_ask(&ada, "bo", "and now?");
    bo.next_wake_line();
    after.wait_for_progress("bo: ");
}

#[test]
fn wake_lines_read_in_one_turn_spend_one_turn_of_the_budget() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "2");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    for (turn, question) in [("t1", "a?"), ("t1", "b?"), ("t2", "c?")] {
        let ask = start_ask(&ada, "bo", question);
        assert!(
            attached_context(&bo.read_wake_line(&bo.next_wake_line(), turn)).contains(question)
        );
        bo.session.send_reply(&bo.session.next_question(), "yes");
        assert_eq!(ask.result()["status"], "answered");
    }
    assert_eq!(start_ask(&ada, "bo", "d?").result()["status"], "held");
}

#[test]
fn wake_budget_setting_of_the_asked_session_applies() {
    let world = World::new();
    let ada = InboxSession::open(&world, "ada", "idle");
    let client = InboxClient {
        environment: &[("CLAUDE_MESH_WAKE_BUDGET", "1")],
        ..InboxClient::new("bo", "idle")
    };
    let bo = InboxSession::open_client(&world, &client, || true);
    let (from_bo, from_ada) = (
        |question| start_ask(&bo.session, "ada", question),
        |question| start_ask(&ada.session, "bo", question),
    );
    for (turn, question) in [("t1", "a?"), ("t2", "b?")] {
        let ask = from_bo(question);
        assert!(
            attached_context(&ada.read_wake_line(&ada.next_wake_line(), turn)).contains(question)
        );
        ada.session.send_reply(&ada.session.next_question(), "yes");
        assert_eq!(ask.result()["status"], "answered");
    }
    let ask = from_ada("c?");
    assert!(attached_context(&bo.read_wake_line(&bo.next_wake_line(), "t1")).contains("c?"));
    bo.session.send_reply(&bo.session.next_question(), "yes");
    assert_eq!(ask.result()["status"], "answered");
    let held = from_ada("d?").result();
    assert_eq!(
        (&held["status"], &held["reason"]),
        (&json!("held"), &json!("wake_budget"))
    );
    let seen = ada.session.call("list_peers", json!({}))["peers"][0].clone();
    assert_eq!(
        seen["held"], "wake_budget",
        "the budget of the asker does not matter"
    );
}

// Requirement: Beyond 16
#[test]
fn quiet_session_is_not_woken_until_quiet_ends() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let folder = world.home();
    assert_eq!(
        world.cli(&folder, &["quiet", "bo", "--for", "1h"]).code,
        Some(0)
    );
    // It returns at once: otherwise the call would wait for an hour.
    let patient = json!({ "to": "bo", "question": "which port?", "timeout_seconds": 3600 });
    let held = ada.call("ask_peer", patient);
    assert_eq!(
        (&held["status"], &held["reason"]),
        (&json!("held"), &json!("quiet"))
    );
    assert!(held["until"].as_str().unwrap().ends_with('Z'));
    assert!(ada.call("list_peers", json!({}))["peers"][0]["quiet_until"].is_string());
    assert!(
        world
            .cli(&folder, &["peers"])
            .out
            .contains("idle, is quiet until 2")
    );
    assert_eq!(bo.session.stop("t1", false), None);
    bo.assert_no_line(Duration::from_millis(300));
    assert_eq!(world.cli(&folder, &["quiet", "bo", "--off"]).code, Some(0));
    let line = bo.next_wake_line();
    assert!(attached_context(&bo.read_wake_line(&line, "t2")).contains("which port?"));
}

// Requirement: Beyond 16
#[test]
fn pause_holds_the_whole_mesh_and_drops_posted_wake_lines() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    assert_eq!(world.cli(&world.home(), &["pause"]).code, Some(0));
    let said = bo.read_wake_line(&line, "t1");
    assert_eq!(said["decision"], "block");
    assert_eq!(ask.result()["reason"], "paused");
    assert!(
        world
            .cli(&world.home(), &["status"])
            .out
            .starts_with("paused until forever")
    );
    assert_eq!(world.cli(&world.home(), &["pause", "--off"]).code, Some(0));
    assert!(
        attached_context(&bo.read_wake_line(&bo.next_wake_line(), "t2")).contains("which port?")
    );
}

#[test]
fn pause_before_the_first_session_holds_later_sessions() {
    let world = World::new();
    let off = world
        .cli(&world.home(), &["pause", "--off", "--json"])
        .json();
    assert_eq!(
        off,
        json!({ "peer": "this mesh", "paused": false, "until": null })
    );
    assert!(
        !world.database().exists(),
        "ending a quiet that is not set changes nothing"
    );
    for arguments in [&["quiet", "bo"][..], &["quiet", "bo", "--off"]] {
        let ran = world.cli(&world.home(), arguments);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains("no peer called \"bo\""), "{ran:?}");
    }
    assert!(!world.database().exists());
    let on = world.cli(&world.home(), &["pause", "--json"]).json();
    assert_eq!(
        on,
        json!({ "peer": "this mesh", "paused": true, "until": null })
    );
    let (ada, _bo) = (world.session("ada"), world.session("bo"));
    assert_eq!(
        start_ask(&ada, "bo", "which port?").result()["reason"],
        "paused"
    );
    let ran = world.cli(&world.home(), &["quiet", "nobody"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn person_asking_a_quiet_session_is_informed_at_once() {
    let world = World::new();
    let bo = InboxSession::open(&world, "bo", "idle");
    let folder = world.home();
    assert_eq!(world.cli(&folder, &["quiet", "bo"]).code, Some(0));
    let asked = world.cli(&folder, &["ask", "bo", "which port?"]);
    assert_eq!(asked.code, Some(3));
    assert!(
        asked
            .err
            .starts_with("claude-mesh: bo is quiet\nhint: question "),
        "{asked:?}"
    );
    let asked = world.cli(&folder, &["ask", "bo", "which schema?", "--json"]);
    assert_eq!(asked.json()["status"], "held");
    let delivery = &asked.json()["delivery"];
    assert_eq!(
        (&delivery["wake"], &delivery["peer_activity"]),
        (&json!("none"), &json!("idle"))
    );
    bo.assert_no_line(Duration::from_millis(200));
}
