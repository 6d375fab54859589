//! Wake-ups by the inbox of a session, with a scripted socket: who is woken, when, and what the asker gets as its result.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use claude_mesh::mesh::{JoinRequest, Mesh, QuestionDraft};
use claude_mesh::model::peer::Address;
use claude_mesh::platform::clock::{Clock, ManualClock, SystemClock};
use serde_json::json;

use crate::support::{InboxSession, World, attached_context, start_ask};

/// Asks as a process that died between commit and doorbell some seconds ago: the question is stored, no doorbell is written.
/// The doorbells have another name meanwhile.
fn ask_without_doorbell(world: &World, to: &str, question: &str) {
    let doorbells = PathBuf::from(format!("{}.d/bells", world.database().display()));
    let hidden = doorbells.with_extension("hidden");
    let then = ManualClock::at(SystemClock::new().now().wall_ms - 3_000);
    let mut mesh = Mesh::open(&world.database(), Arc::new(then)).unwrap();
    let ada = JoinRequest::here(&world.project("ada")).unwrap();
    let ada = mesh.register(&ada).unwrap();
    let to = [Address::parse(to).unwrap()];
    std::fs::rename(&doorbells, &hidden).unwrap();
    mesh.ask(&ada, &to, &QuestionDraft::of(question)).unwrap();
    std::fs::rename(&hidden, &doorbells).unwrap();
}

#[test]
fn idle_session_gets_a_wake_line_and_its_hook_the_question() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    assert!(
        line.starts_with("<cross-session-message from-name=\"ada\">\nclaude-mesh doorbell "),
        "{line}"
    );
    assert!(
        line.contains("reply_to_peer") && line.ends_with("</cross-session-message>"),
        "{line}"
    );
    ask.wait_for_progress("bo: stored 0 s ago, posted into its inbox");
    let said = bo.read_wake_line(&line, "t1");
    assert!(attached_context(&said).contains("which port?"));
    ask.wait_for_progress("bo: shown");
    bo.session.send_reply(&bo.session.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

#[test]
fn later_questions_coalesce_into_the_open_wake_attempt() {
    let world = World::new();
    let (ada, cy) = (world.session("ada"), world.session("cy"));
    let bo = InboxSession::open(&world, "bo", "busy");
    let first = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    first.wait_for_progress("will be read with its next step");
    let second = start_ask(&cy, "bo", "which schema?");
    second.wait_for_progress("will be read with its next step");
    bo.assert_no_line(Duration::from_millis(300));
    let said = bo.read_wake_line(&line, "t1");
    assert!(
        attached_context(&said).contains("which port?")
            && attached_context(&said).contains("which schema?"),
        "{said}"
    );
}

// Requirement: Beyond 7
#[test]
fn unresponsive_session_is_reported_failed_after_two_wakes() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let ask = start_ask(&ada, "bo", "which port?");
    let (first, second) = (bo.next_wake_line(), bo.next_wake_line());
    assert_ne!(first, second, "an identical line would be dropped");
    let reported = ask.wait_for_progress("not woken");
    assert!(reported.contains("rung twice"), "{reported}");
    bo.assert_no_line(Duration::from_millis(300));
    // It is not lost: the next prompt delivers it.
    assert!(bo.session.prompt("t1").unwrap().contains("which port?"));
}

// Requirement: Beyond 7
#[test]
fn session_without_an_inbox_is_reported_not_woken() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = world.session("bo");
    bo.register("idle");
    let ask = start_ask(&ada, "bo", "which port?");
    let reported = ask.wait_for_progress("not woken");
    assert!(reported.contains("no inbox socket"), "{reported}");
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

#[test]
fn blocking_call_receives_the_question_without_a_wake_line() {
    let world = World::new();
    let (ada, cy) = (world.session("ada"), world.session("cy"));
    let bo = InboxSession::open(&world, "bo", "busy");
    let waits = start_ask(&bo.session, "cy", "which schema?");
    waits.wait_for_progress("cy: ");
    start_ask(&ada, "bo", "which port?");
    assert_eq!(waits.result()["status"], "interrupted");
    bo.assert_no_line(Duration::from_millis(300));
    drop(cy);
}

#[test]
fn wake_line_for_an_answered_question_starts_no_turn() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    bo.session.send_reply(&bo.session.next_question(), "5433");
    ask.result();
    let said = bo.read_wake_line(&line, "t1");
    assert_eq!(said["decision"], "block");
    assert!(said["reason"].as_str().unwrap().contains("already handled"));
}

#[test]
fn new_session_with_pending_questions_is_woken_once_idle() {
    let world = World::new();
    let ada = world.session("ada");
    drop(InboxSession::open(&world, "bo", "idle"));
    crate::support::wait_until("bo has left", || {
        ada.call("ask_peer", json!({ "to": "bo", "question": "x" }))["status"] == "offline"
    });
    std::fs::remove_file(world.home().join("bo.sock")).unwrap();
    let bo = InboxSession::open(&world, "bo", "idle");
    let line = bo.next_wake_line();
    assert!(attached_context(&bo.read_wake_line(&line, "t1")).contains('x'));
}

#[test]
fn late_answer_wakes_its_asker() {
    let world = World::new();
    let ada = InboxSession::open(&world, "ada", "idle");
    let bo = world.session("bo");
    let asked = ada.session.call(
        "ask_peer",
        json!({ "to": "bo", "question": "which port?", "timeout_seconds": 1 }),
    );
    assert_eq!(asked["status"], "timed_out");
    bo.send_reply(&bo.next_question(), "5433");
    let line = ada.next_wake_line();
    assert!(line.contains("reply to a question of yours"), "{line}");
    assert!(attached_context(&ada.read_wake_line(&line, "t1")).contains("5433"));
}

#[test]
fn corrected_answer_wakes_its_asker() {
    let world = World::new();
    let ada = InboxSession::open(&world, "ada", "busy");
    let bo = world.session("bo");
    let ask = start_ask(&ada.session, "bo", "which port?");
    let id = bo.next_question();
    bo.send_reply(&id, "5432");
    assert_eq!(ask.result()["answer"], "5432");
    ada.session.register("idle");
    let corrected = json!({ "question_id": id, "answer": "5433", "corrects": true });
    bo.call("reply_to_peer", corrected);
    let line = ada.next_wake_line();
    assert!(line.contains("reply to a question of yours"), "{line}");
    assert!(attached_context(&ada.read_wake_line(&line, "t1")).contains("5433"));
}

#[test]
fn wake_line_does_not_repeat_a_question_from_a_call() {
    let world = World::new();
    let (ada, _cy) = (world.session("ada"), world.session("cy"));
    let bo = InboxSession::open(&world, "bo", "busy");
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    ask.wait_for_progress("will be read with its next step");
    let interrupted = start_ask(&bo.session, "cy", "which schema?").result();
    assert_eq!(interrupted["questions"][0]["question"], "which port?");
    assert_eq!(bo.read_wake_line(&line, "t1")["decision"], "block");
    assert!(
        bo.session
            .stop("t1", false)
            .unwrap()
            .contains("which port?"),
        "the question is kept"
    );
}

#[test]
fn wake_line_for_an_answer_omits_a_question_from_a_call() {
    let world = World::new();
    let (ada, cy) = (world.session("ada"), world.session("cy"));
    let bo = InboxSession::open(&world, "bo", "busy");
    let ask = start_ask(&ada, "bo", "which port?");
    let line = bo.next_wake_line();
    ask.wait_for_progress("will be read with its next step");
    let interrupted = start_ask(&bo.session, "cy", "which schema?").result();
    assert_eq!(interrupted["questions"][0]["question"], "which port?");
    cy.send_reply(&cy.next_question(), "public");
    let said = bo.read_wake_line(&line, "t1");
    assert!(attached_context(&said).contains("public"), "{said}");
    assert!(!attached_context(&said).contains("which port?"), "{said}");
}

#[test]
fn person_is_notified_when_a_session_waits_at_a_dialog() {
    let mut world = World::new();
    let reported = world.home().join("notified");
    let content = format!(
        "#!/bin/sh\nprintf '%s|%s' \"$CLAUDE_MESH_PEER\" \"$CLAUDE_MESH_REASON\" > {0}.new && mv {0}.new {0}\n",
        reported.display()
    );
    let script = world.executable("notify", content.as_bytes());
    world.set("CLAUDE_MESH_NOTIFY_CMD", script.to_str().unwrap());
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "waiting");
    let ask = start_ask(&ada, "bo", "which port?");
    bo.next_wake_line();
    ask.wait_for_progress("waits at a dialog for its person");
    crate::support::wait_until("the person is notified", || reported.exists());
    let text = std::fs::read_to_string(PathBuf::from(&reported)).unwrap();
    assert!(text.starts_with("bo|a session waits at a dialog"), "{text}");
}

#[test]
fn question_unseen_by_a_killed_session_reaches_the_next_one() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "busy");
    let ask = start_ask(&ada, "bo", "which port?");
    bo.next_wake_line();
    bo.session.kill();
    let gone = ask.result();
    assert_eq!(gone["status"], "offline");
    let delivery = &gone["delivery"];
    assert_eq!(
        (
            &delivery["wake"],
            &delivery["shown_times"],
            &delivery["peer_activity"]
        ),
        (&json!("queued"), &json!(0), &json!("offline"))
    );
    std::fs::remove_file(world.home().join("bo.sock")).unwrap();
    let bo = InboxSession::open(&world, "bo", "idle");
    assert!(
        attached_context(&bo.read_wake_line(&bo.next_wake_line(), "t1")).contains("which port?")
    );
}

#[test]
fn question_that_woke_no_session_wakes_the_next_one() {
    let world = World::new();
    let ada = world.session("ada");
    let without_inbox = world.session("bo");
    let ask = start_ask(&ada, "bo", "which port?");
    ask.wait_for_progress("not woken");
    without_inbox.hook("SessionEnd", json!({ "reason": "prompt_input_exit" }));
    drop(without_inbox);
    assert_eq!(ask.result()["status"], "offline");
    let bo = InboxSession::open(&world, "bo", "idle");
    let line = bo.next_wake_line();
    assert!(attached_context(&bo.read_wake_line(&line, "t1")).contains("which port?"));
}

#[test]
fn any_call_sends_a_missing_wake_for_a_pending_question() {
    let world = World::new();
    let (ada, cy) = (world.session("ada"), world.session("cy"));
    let verbs: [(&str, &dyn Fn()); 5] = [
        ("list", &|| drop(cy.call("list_peers", json!({})))),
        ("poll", &|| drop(cy.call("poll_inbox", json!({})))),
        ("register", &|| drop(cy.call("register", json!({})))),
        ("peers", &|| drop(world.cli(&world.home(), &["peers"]))),
        ("ask", &|| {
            drop(start_ask(&cy, "ada", "ready?").wait_for_progress("ada: stored"));
        }),
    ];
    let asked: Vec<InboxSession> = verbs
        .iter()
        .map(|(name, _)| InboxSession::open(&world, name, "idle"))
        .collect();
    for session in asked.iter().map(|bo| &bo.session).chain([&ada, &cy]) {
        session.wait_until_idle();
    }
    for ((name, verb), bo) in verbs.iter().zip(&asked) {
        ask_without_doorbell(&world, name, "which port?");
        bo.assert_no_line(Duration::from_millis(100));
        verb();
        assert!(
            attached_context(&bo.read_wake_line(&bo.next_wake_line(), "t1"))
                .contains("which port?")
        );
        bo.session.send_reply(&bo.session.next_question(), "5433");
    }
}

#[test]
fn listing_does_not_block_when_it_cannot_wake_others() {
    let world = World::new();
    let cy = world.session("cy");
    let bo = InboxSession::open(&world, "bo", "idle");
    bo.session.wait_until_idle();
    ask_without_doorbell(&world, "bo", "which port?");
    let holder = world.rows();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(cy.call("list_peers", json!({}))["you"], "cy");
    holder.execute_batch("ROLLBACK").unwrap();
    bo.assert_no_line(Duration::from_millis(100));
    cy.call("list_peers", json!({}));
    bo.next_wake_line();
}
