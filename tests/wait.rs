//! Waits: for an offline peer, for several answers, and waits that end otherwise than by an answer.
//!
//! A session in a blocking call gets no wake line, because the call returns what arrives. So a call that has ended, however
//! it ended, must not count as one that waits.
use std::time::Duration;

use claude_mesh::mesh::{Member, Wait};
use claude_mesh::model::QuestionState;
use claude_mesh::model::peer::Address;
use serde_json::{Value, json};

use crate::support::{BackgroundProcess, MeshFixture, Session, World, has_ended, wait_until};
use crate::support::{InboxClient, InboxSession, attached_context, start_ask};

/// Asserts that a question of `asker` wakes the idle session.
#[track_caller]
fn assert_wakes(asker: &Session, inbox_session: &InboxSession) {
    let ask = start_ask(asker, &inbox_session.session.name(), "are you there?");
    let line = inbox_session.next_wake_line();
    assert!(
        attached_context(&inbox_session.read_wake_line(&line, "t9")).contains("are you there?")
    );
    ask.cancel();
}

#[test]
fn erased_question_ends_its_wait_and_wakes_work_again() {
    let world = World::new();
    let (ada, bo) = (
        world.session("ada"),
        InboxSession::open(&world, "bo", "idle"),
    );
    let ask = start_ask(&bo.session, "ada", "which port?");
    ask.wait_for_progress("ada: stored");
    let question = ada.next_question();
    let ran = world.cli(&world.home(), &["log", "--forget", &question]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let refused = ask.result();
    assert_eq!(refused["error"]["code"], "not_found", "{refused}");
    assert_wakes(&ada, &bo);
}

#[test]
fn server_killed_during_a_call_leaves_the_session_wakeable() {
    let world = World::new();
    let ada = world.session("ada");
    // The client keeps running and starts another server.
    let twice = "\"$SERVER\"; \"$SERVER\"; :";
    let client = InboxClient {
        script: twice,
        ..InboxClient::new("bo", "idle")
    };
    let bo = InboxSession::open_client(&world, &client, || true);
    let ask = start_ask(&bo.session, "ada", "which port?");
    ask.wait_for_progress("ada: stored");
    let first = bo.session.server_pid().unwrap();
    BackgroundProcess(first).kill();
    wait_until("the server ends", || has_ended(first));
    bo.session.discover();
    bo.session.call("mesh_status", json!({}));
    assert_wakes(&ada, &bo);
    let late = ada.send_reply(&ada.next_question(), "5433");
    assert_eq!(late["asker_waiting"], false, "{late}");
}

#[test]
fn command_killed_while_waiting_leaves_the_session_wakeable() {
    let world = World::new();
    let ada = world.session("ada");
    let folder = world.project("bo");
    let script = BackgroundProcess::background_cli_script(&world, &folder, "ask ada 'which port?'");
    let client = InboxClient {
        script: &script,
        ..InboxClient::new("bo", "idle")
    };
    let bo = InboxSession::open_client(&world, &client, || true);
    let asker = BackgroundProcess::release(&folder);
    wait_until("the command has asked", || !ada.questions().is_empty());
    assert_eq!(ada.questions()[0]["from"], "bo", "the session is the asker");
    asker.kill();
    wait_until("the command ends", || has_ended(asker.0));
    assert_wakes(&ada, &bo);
}

/// One member asks and polls once; then the other answers, after the last poll.
fn answer_after_last_poll([ada, bo]: &mut [Member; 2]) -> (Wait, claude_mesh::mesh::WaitPoll) {
    let to = Address::parse("bo").unwrap();
    let (asked, wait) = ada.ask(&to, "which port?", None).unwrap();
    let (wait, me) = (wait.unwrap(), ada.handle().clone());
    let poll = ada.mesh().poll(&me, &wait, true).unwrap();
    assert!(!poll.done);
    bo.next_questions(Duration::ZERO).unwrap();
    bo.answer(asked.question, "5433").unwrap();
    (wait, poll)
}

#[test]
fn answer_after_the_last_poll_is_in_the_result() {
    let fixture = MeshFixture::new();
    let mut members = [fixture.member("ada", 1), fixture.member("bo", 2)];
    let (wait, poll) = answer_after_last_poll(&mut members);
    let [ada, _] = &mut members;
    let me = ada.handle().clone();
    let end = ada.mesh().finish_wait(&me, &wait, &poll, &[]).unwrap();
    let question = &end.question_statuses[0].question;
    assert!(end.done);
    assert_eq!(question.answer.as_deref(), Some("5433"));
    assert!(ada.mesh().inbox(&me).unwrap().answers.is_empty());
}

#[test]
fn answer_to_an_abandoned_call_goes_to_the_inbox() {
    let fixture = MeshFixture::new();
    let mut members = [fixture.member("ada", 1), fixture.member("bo", 2)];
    let (wait, _) = answer_after_last_poll(&mut members);
    let [ada, _] = &mut members;
    let me = ada.handle().clone();
    ada.mesh()
        .abandon_wait(&me, &wait, &wait.questions)
        .unwrap();
    let inbox = ada.mesh().inbox(&me).unwrap();
    assert_eq!(inbox.answers.len(), 1);
    assert_eq!(inbox.answers[0].question.state, QuestionState::Answered);
}

#[test]
fn withdrawn_question_reports_the_activity_of_its_peer() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    cy.register("idle");
    let to = json!({ "to": ["bo", "cy"], "question": "which port?", "wait_for": "any" });
    let ask = ada.start("ask_peer", to);
    bo.send_reply(&bo.next_question(), "5433");
    let result: Value = ask.result();
    let withdrawn = &result["answers"][1];
    assert_eq!(withdrawn["withdrawn"], true, "{result}");
    assert_eq!(withdrawn["delivery"]["peer_activity"], "idle", "{result}");
}

#[test]
fn if_offline_wait_blocks_until_the_peer_joins() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = world.session("bo");
    bo.hook("SessionEnd", json!({ "reason": "prompt_input_exit" }));
    bo.kill();
    let asked = json!({ "to": "bo", "question": "which port?", "if_offline": "wait" });
    let waits = ada.start("ask_peer", asked);
    waits.wait_for_progress("bo: stored");
    let bo = world.session("bo");
    assert!(waits.is_open(), "the call still waits");
    bo.send_reply(&bo.next_question(), "5433");
    let result = waits.result();
    assert_eq!(
        (&result["status"], &result["answer"]),
        (&json!("answered"), &json!("5433"))
    );
    drop(bo);
    let nobody =
        json!({ "to": "bo", "question": "still?", "if_offline": "wait", "timeout_seconds": 1 });
    assert_eq!(ada.call("ask_peer", nobody)["status"], "timed_out");
}

#[test]
fn one_call_awaits_several_answers_in_question_order() {
    let world = World::new();
    let [ada, bo, cy] = ["ada", "bo", "cy"].map(|name| world.session(name));
    let ids: Vec<Value> = ["bo", "cy"]
        .map(|to| json!({ "to": to, "question": "ready?", "timeout_seconds": 1 }))
        .map(|asked| ada.call("ask_peer", asked)["question_id"].clone())
        .into();
    let wait = |ids: &[Value], seconds: u32| {
        let wanted = json!({ "question_id": ids, "timeout_seconds": seconds });
        ada.start("await_reply", wanted)
    };
    let neither = wait(&ids, 1).result();
    assert_eq!(neither["status"], "timed_out", "{neither}");
    let both = wait(&[ids[1].clone(), ids[0].clone()], 60);
    both.wait_for_progress("bo: stored");
    cy.send_reply(&cy.next_question(), "no");
    assert!(both.is_open(), "the call waits for the second answer");
    bo.send_reply(&bo.next_question(), "yes");
    let both = both.result();
    assert_eq!(both["status"], "answered", "{both}");
    assert_eq!(both["question_ids"], json!([ids[1], ids[0]]));
    let one = |at: usize| {
        let one = &both["answers"][at];
        (one["from"].clone(), one["answer"].clone())
    };
    assert_eq!(
        [one(0), one(1)],
        [(json!("cy"), json!("no")), (json!("bo"), json!("yes"))]
    );
    let later = ada.call(
        "ask_peer",
        json!({ "to": "bo", "question": "and now?", "timeout_seconds": 1 }),
    );
    let part = wait(&[ids[0].clone(), later["question_id"].clone()], 1).result();
    assert_eq!(part["status"], "partial", "{part}");
    assert_eq!(
        [&part["answers"][0]["status"], &part["answers"][1]["status"]],
        ["answered", "timed_out"]
    );
    assert_eq!(wait(&[], 1).result()["error"]["code"], "invalid_argument");
}
