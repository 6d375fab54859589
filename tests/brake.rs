//! Stories of the brakes: how deep questions may follow from questions, and who is told that one is on.
use serde_json::{Value, json};

use crate::ring::{Rung, asks, attached};
use crate::world::{Session, World, within};

/// Asks, and has the answer before it returns.
#[track_caller]
fn asks_and_gets(asker: &Session, other: &Session, question: &str) {
    let ask = asks(asker, &other.name(), question);
    other.replies(&other.next_question(), "yes");
    assert_eq!(ask.result()["status"], "answered", "{question}");
}

/// Plays so many questions to and fro, each answered before the next is asked.
#[track_caller]
fn ping_pong(sides: [&Session; 2], rounds: usize) {
    for round in 0..rounds {
        let (asker, other) = (sides[round % 2], sides[(round + 1) % 2]);
        asks_and_gets(asker, other, &format!("question {round}?"));
    }
}

/// A background task of the session ends, which starts a turn that nobody typed.
fn notified(session: &Session, turn: &str) -> Value {
    session.hook(
        "UserPromptSubmit",
        json!({ "prompt": "<task-notification>\n<task-id>k</task-id>", "prompt_id": turn }),
    )
}

/// How deep the last question lies that the store has.
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
fn questions_to_and_fro_end_at_the_limit_though_each_is_answered_before_the_next() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    ping_pong([&ada, &bo], 9);
    assert_eq!(last_depth(&world), 8);
    let refused = bo.call("ask_peer", json!({ "to": "ada", "question": "once more?" }));
    assert_eq!(refused["error"]["code"], "rate_limited", "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("followed from another"), "{message}");
    assert_eq!(ada.questions().len(), 0, "nothing was stored");
    // What a person types begins anew, at that session only.
    assert_eq!(bo.prompt("t1"), None);
    asks_and_gets(&bo, &ada, "which port?");
    assert_eq!(last_depth(&world), 0);
}

#[test]
fn a_question_is_deeper_in_the_turn_in_which_one_was_shown_and_in_the_next() {
    let world = World::new();
    let (ada, cy) = (world.session("ada"), world.session("cy"));
    let bo = Rung::open(&world, "bo", "idle");
    let ask = asks(&ada, "bo", "which port?");
    assert!(attached(&bo.reads(&bo.bell(), "t1")).contains("which port?"));
    bo.session.replies(&bo.session.next_question(), "5433");
    assert_eq!(ask.result()["status"], "answered");
    for (turn, depth) in [("t1", 1), ("t2", 1), ("t3", 0), ("t4", 0)] {
        assert_eq!(notified(&bo.session, turn), Value::Null);
        asks_and_gets(&bo.session, &cy, turn);
        assert_eq!(last_depth(&world), depth, "{turn}");
    }
}

#[test]
fn what_a_call_or_a_typed_prompt_has_shown_counts_for_the_next_turn_too() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let ask = asks(&ada, "bo", "which port?");
    ask.wait_for_progress("bo: stored");
    assert!(bo.prompt("t1").unwrap().contains("which port?"));
    bo.replies(&bo.next_question(), "5433");
    assert_eq!(ask.result()["status"], "answered");
    notified(&bo, "t2");
    asks_and_gets(&bo, &cy, "a?");
    assert_eq!(last_depth(&world), 1);
    bo.prompt("t3");
    asks_and_gets(&ada, &bo, "which schema?");
    notified(&bo, "t4");
    asks_and_gets(&bo, &cy, "b?");
    assert_eq!(last_depth(&world), 1);
}

#[test]
fn a_question_that_is_still_open_counts_however_long_ago_it_was_shown() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let ask = asks(&ada, "bo", "which port?");
    bo.next_question();
    for turn in ["t1", "t2", "t3"] {
        notified(&bo, turn);
    }
    let deeper = asks(&bo, &cy.name(), "a?");
    assert_eq!(deeper.result()["status"], "interrupted", "answer first");
    assert_eq!(last_depth(&world), 1);
    assert!(ask.is_open());
}

#[test]
fn a_typed_prompt_brings_what_waits_also_while_it_cannot_be_noted() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    asks_and_gets(&ada, &bo, "which port?");
    let ask = asks(&ada, "bo", "which schema?");
    ask.wait_for_progress("bo: stored");
    let holder = world.rows();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let prompt = json!({ "prompt": "go on", "prompt_id": "t1" });
    let said = bo.hook("UserPromptSubmit", prompt);
    holder.execute_batch("ROLLBACK").unwrap();
    assert!(attached(&said).contains("which schema?"), "{said}");
}

/// Returns what the log tells a person, without times and ids.
#[cfg(feature = "cli")]
fn told(world: &World) -> String {
    world.cli(&world.home(), &["log"]).out
}

#[cfg(feature = "cli")]
#[test]
fn the_log_tells_who_made_a_session_quiet_and_who_ended_it() {
    let world = World::new();
    let (ada, _bo) = (world.session("ada"), world.session("bo"));
    let person = |arguments: &[&str]| {
        assert_eq!(world.cli(&world.home(), arguments).code, Some(0));
    };
    person(&["quiet", "bo", "--for", "1h"]);
    let held = asks(&ada, "bo", "which port?").result();
    assert_eq!(held["reason"], "quiet");
    let log = told(&world);
    let line = |text: &str| {
        let found = log.lines().find(|line| line.contains(text));
        found
            .unwrap_or_else(|| panic!("no line with {text:?} in {log}"))
            .to_owned()
    };
    let quieted = line("made bo quiet until 2");
    assert!(quieted.contains("person@"), "{quieted}");
    line("the question of ada to bo is held: bo is quiet");
    person(&["quiet", "bo", "--off"]);
    person(&["quiet", "bo", "--off"]);
    let log = told(&world);
    let ends = log.matches("bo is not to be quiet any more").count();
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
fn the_log_tells_who_paused_the_mesh_and_what_that_held() {
    let world = World::new();
    let (ada, _bo) = (world.session("ada"), world.session("bo"));
    assert_eq!(world.cli(&world.home(), &["pause"]).code, Some(0));
    assert_eq!(asks(&ada, "bo", "which port?").result()["reason"], "paused");
    assert_eq!(world.cli(&world.home(), &["pause", "--off"]).code, Some(0));
    let log = told(&world);
    for text in [
        "paused the whole mesh until told otherwise",
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

/// Asks by the doorbell, in a turn of its own, and has the answer.
#[track_caller]
fn wakes_and_gets(asker: &Session, bo: &Rung, turn: &str) {
    bo.session.register("idle");
    let ask = asks(asker, "bo", &format!("question {turn}?"));
    assert!(attached(&bo.reads(&bo.bell(), turn)).contains(turn));
    bo.session.replies(&bo.session.next_question(), "yes");
    assert_eq!(ask.result()["status"], "answered");
}

#[cfg(feature = "cli")]
#[test]
fn the_turns_that_peers_started_are_shown_to_everybody() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "2");
    let ada = world.session("ada");
    let bo = Rung::open(&world, "bo", "idle");
    let table = || world.cli(&world.home(), &["peers"]).out;
    let seen = || ada.call("list_peers", json!({}))["peers"][0].clone();
    assert!(!table().contains("TURNS"), "nothing to tell: {}", table());
    assert_eq!(
        (&seen()["posted_turns"], &seen()["held"]),
        (&json!(0), &Value::Null)
    );
    wakes_and_gets(&ada, &bo, "t1");
    assert_eq!(seen()["posted_turns"], 1);
    assert!(
        table().contains("TURNS") && table().contains("1 of 2"),
        "{}",
        table()
    );
    wakes_and_gets(&ada, &bo, "t2");
    let held = asks(&ada, "bo", "once more?").result();
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
    let log = told(&world);
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
fn a_turn_that_was_kept_going_for_a_question_is_told() {
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
    assert!(told(&world).contains("bo was kept in its turn by the question of ada (2 in a row)"));
    // The next turn begins at nothing.
    bo.prompt("t2");
    assert_eq!(ada.call("list_peers", json!({}))["peers"][0]["stops"], 0);
    ask.cancel();
    let question = bo.next_question();
    let again = json!({ "question_id": question, "timeout_seconds": 1 });
    assert_eq!(ada.call("await_reply", again)["delivery"]["stops"], 2);
}

/// A program that writes down what the person was told, a line each time. Returns where.
fn told_to(world: &mut World) -> std::path::PathBuf {
    let told = world.home().join("told");
    let content = format!(
        "#!/bin/sh\nprintf '%s|%s\\n' \"$CLAUDE_MESH_PEER\" \"$CLAUDE_MESH_REASON\" >> {}\n",
        told.display()
    );
    let script = world.executable("notify", content.as_bytes());
    world.set("CLAUDE_MESH_NOTIFY_CMD", script.to_str().unwrap());
    told
}

#[cfg(feature = "cli")]
#[test]
fn the_person_is_told_once_when_a_spent_budget_or_a_pause_holds_questions() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "1");
    let told = told_to(&mut world);
    let lines = || -> Vec<String> {
        let text = std::fs::read_to_string(&told).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let is_told = |text: &str| {
        within(text, || {
            lines().last().is_some_and(|line| line.contains(text))
        });
    };
    let ada = world.session("ada");
    let bo = Rung::open(&world, "bo", "idle");
    let holds = |question: &str, reason: &str| {
        assert_eq!(asks(&ada, "bo", question).result()["reason"], reason);
    };
    wakes_and_gets(&ada, &bo, "t1");
    assert_eq!(lines().len(), 0, "nothing is held yet");
    holds("a?", "wake_budget");
    is_told("bo|peers have started as many turns of a session as they may");
    holds("b?", "wake_budget");
    // It was told for as long as it lasts; a prompt frees the budget.
    assert!(bo.session.prompt("t2").unwrap().contains("b?"));
    for _ in 0..2 {
        bo.session.replies(&bo.session.next_question(), "yes");
    }
    // Quiet is what its person wants, and so is a pause that ends by itself.
    for (on, off) in [
        (&["quiet", "bo"][..], &["quiet", "bo", "--off"][..]),
        (&["pause", "--for", "1h"], &["pause", "--off"]),
    ] {
        assert_eq!(world.cli(&world.home(), on).code, Some(0));
        let held = asks(&ada, "bo", on[0]).result();
        assert_eq!(held["status"], "held");
        bo.session.replies(&bo.session.next_question(), "yes");
        assert_eq!(world.cli(&world.home(), off).code, Some(0));
    }
    assert_eq!(world.cli(&world.home(), &["pause"]).code, Some(0));
    holds("c?", "paused");
    is_told("bo|the mesh is paused until you end it");
    bo.session.replies(&bo.session.next_question(), "yes");
    assert_eq!(world.cli(&world.home(), &["pause", "--off"]).code, Some(0));
    // And once more when the budget is spent once more.
    wakes_and_gets(&ada, &bo, "t3");
    holds("d?", "wake_budget");
    is_told("as many turns of a session as they may");
    assert_eq!(lines().len(), 3, "{:?}", lines());
}

#[cfg(feature = "cli")]
#[test]
fn who_has_questions_held_stands_above_who_works_and_below_a_dialog() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "1");
    let ada = world.session("ada");
    let bo = Rung::open(&world, "bo", "idle");
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
    wakes_and_gets(&ada, &bo, "t1");
    assert_eq!(order(), "zoe bo ada cy", "its budget is spent");
    assert_eq!(world.cli(&world.home(), &["quiet", "cy"]).code, Some(0));
    for to in ["cy", "bo"] {
        assert_eq!(asks(&ada, to, "and now?").result()["status"], "held");
    }
    assert_eq!(order(), "zoe bo cy ada");
}
