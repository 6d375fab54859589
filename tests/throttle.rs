//! The depth limit of questions, and how throttles are reported. What quiet and pause hold back is in `wake_budget.rs`.
use serde_json::{Value, json};

use crate::support::ask_and_answer;
use crate::support::{InboxSession, attached_context, start_ask};
use crate::support::{Session, World, wait_until};

/// Two sessions ask each other this many questions, each answered before the next.
#[track_caller]
fn ping_pong(sides: [&Session; 2], rounds: usize) {
    for round in 0..rounds {
        let (asker, other) = (sides[round % 2], sides[(round + 1) % 2]);
        ask_and_answer(asker, other, &format!("question {round}?"), "yes");
    }
}

/// Starts a turn without a typed prompt, as the end of a background task does.
fn submit_notification(session: &Session, turn: &str) -> Value {
    session.hook(
        "UserPromptSubmit",
        json!({ "prompt": "<task-notification>\n<task-id>k</task-id>", "prompt_id": turn }),
    )
}

/// Returns the depth of the newest stored question.
fn last_depth(world: &World) -> i64 {
    world
        .rows()
        .query_row(
            "SELECT depth FROM question ORDER BY id DESC LIMIT 1",
            [],
            |row| row.get(0),
        )
        .unwrap()
}

#[test]
fn depth_limit_refuses_a_long_chain_of_answered_questions() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    ping_pong([&ada, &bo], 9);
    assert_eq!(last_depth(&world), 8);
    let refused = bo.call("ask_peer", json!({ "to": "ada", "question": "once more?" }));
    assert_eq!(refused["error"]["code"], "rate_limited", "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("this question would be number 9 in a chain of questions"),
        "{message}"
    );
    assert_eq!(
        ada.questions().len(),
        0,
        "the refused question is not stored"
    );
    // A typed prompt resets the depth, in that session only.
    assert_eq!(bo.prompt("t1"), None);
    ask_and_answer(&bo, &ada, "which port?", "yes");
    assert_eq!(last_depth(&world), 0);
}

#[test]
fn question_depth_grows_in_the_turn_of_delivery_and_the_next() {
    let world = World::new();
    let (ada, cy) = (world.session("ada"), world.session("cy"));
    let bo = InboxSession::open(&world, "bo", "idle");
    let ask = start_ask(&ada, "bo", "which port?");
    assert!(
        attached_context(&bo.read_wake_line(&bo.next_wake_line(), "t1")).contains("which port?")
    );
    bo.session.send_reply(&bo.session.next_question(), "5433");
    assert_eq!(ask.result()["status"], "answered");
    for (turn, depth) in [("t1", 1), ("t2", 1), ("t3", 0), ("t4", 0)] {
        assert_eq!(submit_notification(&bo.session, turn), Value::Null);
        ask_and_answer(&bo.session, &cy, turn, "yes");
        assert_eq!(last_depth(&world), depth, "{turn}");
    }
}

#[test]
fn question_depth_counts_deliveries_by_call_and_typed_prompt() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let ask = start_ask(&ada, "bo", "which port?");
    ask.wait_for_progress("bo: stored");
    assert!(bo.prompt("t1").unwrap().contains("which port?"));
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["status"], "answered");
    submit_notification(&bo, "t2");
    ask_and_answer(&bo, &cy, "a?", "yes");
    assert_eq!(last_depth(&world), 1);
    bo.prompt("t3");
    ask_and_answer(&ada, &bo, "which schema?", "yes");
    submit_notification(&bo, "t4");
    ask_and_answer(&bo, &cy, "b?", "yes");
    assert_eq!(last_depth(&world), 1);
}

#[test]
fn question_depth_counts_an_open_question_from_any_turn() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let ask = start_ask(&ada, "bo", "which port?");
    bo.next_question();
    for turn in ["t1", "t2", "t3"] {
        submit_notification(&bo, turn);
    }
    let deeper = start_ask(&bo, &cy.name(), "a?");
    assert_eq!(deeper.result()["status"], "interrupted", "answer first");
    assert_eq!(last_depth(&world), 1);
    assert!(ask.is_open());
}

#[test]
fn typed_prompt_attaches_questions_under_a_held_write_lock() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    ask_and_answer(&ada, &bo, "which port?", "yes");
    let ask = start_ask(&ada, "bo", "which schema?");
    ask.wait_for_progress("bo: stored");
    let holder = world.rows();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let prompt = json!({ "prompt": "go on", "prompt_id": "t1" });
    let hook_output = bo.hook("UserPromptSubmit", prompt);
    holder.execute_batch("ROLLBACK").unwrap();
    assert!(
        attached_context(&hook_output).contains("which schema?"),
        "{hook_output}"
    );
}

/// Returns the event log at the command line, without times and ids.
#[cfg(feature = "cli")]
fn log_output(world: &World) -> String {
    world.cli(&world.home(), &["log"]).out
}

#[cfg(feature = "cli")]
#[test]
fn event_log_names_who_set_and_cleared_quiet() {
    let world = World::new();
    let (ada, _bo) = (world.session("ada"), world.session("bo"));
    let run_as_person = |arguments: &[&str]| {
        assert_eq!(world.cli(&world.home(), arguments).code, Some(0));
    };
    run_as_person(&["quiet", "bo", "--for", "1h"]);
    let held = start_ask(&ada, "bo", "which port?").result();
    assert_eq!(held["reason"], "quiet");
    let log = log_output(&world);
    let line = |text: &str| {
        let found = log.lines().find(|line| line.contains(text));
        found
            .unwrap_or_else(|| panic!("no line with {text:?} in {log}"))
            .to_owned()
    };
    let quieted = line("made bo quiet until 2");
    assert!(quieted.contains("person@"), "{quieted}");
    line("the question of ada to bo is held: bo is quiet");
    run_as_person(&["quiet", "bo", "--off"]);
    run_as_person(&["quiet", "bo", "--off"]);
    let log = log_output(&world);
    let ends = log.matches("ended quiet for bo").count();
    assert_eq!(ends, 1, "the second changed nothing: {log}");
    let events = ada.call(
        "events",
        json!({ "types": ["peer.quieted", "peer.resumed"] }),
    );
    let events = events["events"].as_array().unwrap();
    let kinds: Vec<&Value> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds, ["peer.quieted", "peer.resumed"]);
    assert_eq!(events[0]["subject"], "bo");
    assert!(events[0]["data"]["until"].as_str().unwrap().ends_with('Z'));
}

#[cfg(feature = "cli")]
#[test]
fn event_log_names_who_paused_the_mesh_and_what_was_held() {
    let world = World::new();
    let (ada, _bo) = (world.session("ada"), world.session("bo"));
    assert_eq!(world.cli(&world.home(), &["pause"]).code, Some(0));
    assert_eq!(
        start_ask(&ada, "bo", "which port?").result()["reason"],
        "paused"
    );
    assert_eq!(world.cli(&world.home(), &["pause", "--off"]).code, Some(0));
    let log = log_output(&world);
    for text in [
        "paused the whole mesh until further notice",
        "the question of ada to bo is held: the mesh is paused",
        "ended the pause of the mesh",
    ] {
        assert!(log.contains(text), "{text}: {log}");
    }
    let events = ada.call("events", json!({ "types": ["mesh.*"] }));
    let events = events["events"].as_array().unwrap();
    assert_eq!(events[0]["type"], "mesh.paused");
    assert_eq!(events[0]["data"]["until"], "forever");
    assert_eq!(events[1]["type"], "mesh.resumed");
}

/// Asks an idle session, whose woken turn answers.
#[track_caller]
fn wake_and_receive(asker: &Session, bo: &InboxSession, turn: &str) {
    bo.session.register("idle");
    let ask = start_ask(asker, "bo", &format!("question {turn}?"));
    assert!(attached_context(&bo.read_wake_line(&bo.next_wake_line(), turn)).contains(turn));
    bo.session.send_reply(&bo.session.next_question(), "yes");
    assert_eq!(ask.result()["status"], "answered");
}

#[cfg(feature = "cli")]
#[test]
fn wake_budget_use_is_shown_in_peers_status_and_log() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "2");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let table = || world.cli(&world.home(), &["peers"]).out;
    let seen = || ada.call("list_peers", json!({}))["peers"][0].clone();
    assert!(!table().contains("TURNS"), "nothing to tell: {}", table());
    assert_eq!(
        (&seen()["posted_turns"], &seen()["held"]),
        (&json!(0), &Value::Null)
    );
    wake_and_receive(&ada, &bo, "t1");
    assert_eq!(seen()["posted_turns"], 1);
    assert!(
        table().contains("TURNS") && table().contains("1 of 2"),
        "{}",
        table()
    );
    wake_and_receive(&ada, &bo, "t2");
    let held = start_ask(&ada, "bo", "once more?").result();
    assert_eq!(
        (&held["reason"], &held["posted_turns"]),
        (&json!("wake_budget"), &json!(2))
    );
    assert_eq!(
        (&seen()["posted_turns"], &seen()["held"]),
        (&json!(2), &json!("wake_budget"))
    );
    assert!(table().contains("2 of 2"), "{}", table());
    let figures = ada.call("mesh_status", json!({}))["brakes"].clone();
    assert_eq!(
        figures,
        json!({ "wake_budget": 2, "posted_turns": 2, "spent": 1, "held": 1, "stops": 0 })
    );
    let status = world.cli(&world.home(), &["status"]).out;
    assert!(
        status.contains("peers started 2 turns (at most 2 each until you type), 1 session has spent them, 1 question held"),
        "{status}"
    );
    let log = log_output(&world);
    for text in [
        "bo was shown the question of ada (inbox, turn 2 by peers)",
        "peers have started 2 turns of bo, as many as they may until its person types",
        "the question of ada to bo is held: peers have started",
    ] {
        assert!(log.contains(text), "{text}: {log}");
    }
    bo.session.prompt("t3");
    assert_eq!(
        (&seen()["posted_turns"], &seen()["held"]),
        (&json!(0), &Value::Null)
    );
    assert!(!table().contains("TURNS"), "{}", table());
}

#[cfg(feature = "cli")]
#[test]
fn stop_blocks_are_counted_in_peers_status_and_log() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let patient = json!({ "to": "bo", "question": "which port?", "timeout_seconds": 3600 });
    let ask = ada.start("ask_peer", patient);
    ask.wait_for_progress("bo: stored");
    assert!(bo.stop("t1", false).is_some());
    ask.wait_for_progress("kept going for it once");
    assert!(bo.stop("t1", true).is_some());
    ask.wait_for_progress("kept going for it 2 times");
    assert_eq!(ada.call("list_peers", json!({}))["peers"][0]["stops"], 2);
    let table = world.cli(&world.home(), &["peers"]).out;
    assert!(table.contains("kept 2"), "{table}");
    assert_eq!(ada.call("mesh_status", json!({}))["brakes"]["stops"], 2);
    assert!(
        log_output(&world).contains("bo continued its turn for the question of ada (2 in a row)")
    );
    // The next turn starts at depth 0.
    bo.prompt("t2");
    assert_eq!(ada.call("list_peers", json!({}))["peers"][0]["stops"], 0);
    ask.cancel();
    let question = bo.next_question();
    let again = json!({ "question_id": question, "timeout_seconds": 1 });
    assert_eq!(ada.call("await_reply", again)["delivery"]["stops"], 2);
}

/// Sets a notification command that appends each notification to a file. Returns the file.
fn set_notify_command(world: &mut World) -> std::path::PathBuf {
    let log_output = world.home().join("notified");
    let content = format!(
        "#!/bin/sh\nprintf '%s|%s\\n' \"$CLAUDE_MESH_PEER\" \"$CLAUDE_MESH_REASON\" >> {}\n",
        log_output.display()
    );
    let script = world.executable("notify", content.as_bytes());
    world.set("CLAUDE_MESH_NOTIFY_CMD", script.to_str().unwrap());
    log_output
}

#[cfg(feature = "cli")]
#[test]
fn notify_command_runs_once_per_spent_budget_or_open_pause() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "1");
    let log_output = set_notify_command(&mut world);
    let lines = || -> Vec<String> {
        let text = std::fs::read_to_string(&log_output).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let assert_notified = |text: &str| {
        wait_until(text, || {
            lines().last().is_some_and(|line| line.contains(text))
        });
    };
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let assert_held = |question: &str, reason: &str| {
        assert_eq!(start_ask(&ada, "bo", question).result()["reason"], reason);
    };
    wake_and_receive(&ada, &bo, "t1");
    assert_eq!(lines().len(), 0, "nothing is held yet");
    assert_held("a?", "wake_budget");
    assert_notified("bo|peers have started as many turns of a session as they may");
    assert_held("b?", "wake_budget");
    // One notification lasts until the budget is free again; a prompt frees it.
    assert!(bo.session.prompt("t2").unwrap().contains("b?"));
    for _ in 0..2 {
        bo.session.send_reply(&bo.session.next_question(), "yes");
    }
    // Quiet and a pause that ends by itself are intended by the person.
    for (on, off) in [
        (&["quiet", "bo"][..], &["quiet", "bo", "--off"][..]),
        (&["pause", "--for", "1h"], &["pause", "--off"]),
    ] {
        assert_eq!(world.cli(&world.home(), on).code, Some(0));
        let held = start_ask(&ada, "bo", on[0]).result();
        assert_eq!(held["status"], "held");
        bo.session.send_reply(&bo.session.next_question(), "yes");
        assert_eq!(world.cli(&world.home(), off).code, Some(0));
    }
    assert_eq!(world.cli(&world.home(), &["pause"]).code, Some(0));
    assert_held("c?", "paused");
    assert_notified("bo|the mesh is paused until you end it");
    bo.session.send_reply(&bo.session.next_question(), "yes");
    assert_eq!(world.cli(&world.home(), &["pause", "--off"]).code, Some(0));
    // A second notification when the budget is spent again.
    wake_and_receive(&ada, &bo, "t3");
    assert_held("d?", "wake_budget");
    assert_notified("as many turns of a session as they may");
    assert_eq!(lines().len(), 3, "{:?}", lines());
}

#[cfg(feature = "cli")]
#[test]
fn peers_with_held_questions_sort_between_dialogs_and_others() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "1");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let _cy = world.session("cy");
    let dialog = world.session("zoe");
    dialog.register("waiting");
    let order = || {
        let listed = world.cli(&world.home(), &["peers", "--json"]).json();
        let names = listed["peers"].as_array().unwrap().iter();
        let names: Vec<&str> = names.map(|peer| peer["peer"].as_str().unwrap()).collect();
        names.join(" ")
    };
    assert_eq!(order(), "zoe ada bo cy");
    wake_and_receive(&ada, &bo, "t1");
    assert_eq!(
        order(),
        "zoe bo ada cy",
        "a peer whose wake budget is used is ranked last"
    );
    assert_eq!(world.cli(&world.home(), &["quiet", "cy"]).code, Some(0));
    for to in ["cy", "bo"] {
        assert_eq!(start_ask(&ada, to, "and now?").result()["status"], "held");
    }
    assert_eq!(order(), "zoe bo cy ada");
}
