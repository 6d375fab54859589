//! Stories of waits: for somebody who is not there yet, for several answers; and for waits that end otherwise than by an
//! answer, after which nothing is lost and nobody is left deaf.
//!
//! A session with a call that waits is not rung, because the call returns with what comes. So a call that is over must not
//! be taken for one that waits, however it ended.
use std::path::Path;
use std::time::Duration;

use claude_mesh::mesh::{Member, Wait};
use claude_mesh::model::QuestionState;
use claude_mesh::model::peer::Address;
use serde_json::{Value, json};

use crate::ring::{Rung, asks, attached};
use crate::world::{Session, Stray, World, has_ended, within};

/// A question of `asker` wakes the idle session, whatever happened there before.
#[track_caller]
fn is_rung(asker: &Session, rung: &Rung) {
    let ask = asks(asker, &rung.session.name(), "are you there?");
    let line = rung.bell();
    assert!(attached(&rung.reads(&line, "t9")).contains("are you there?"));
    ask.cancel();
}

#[test]
fn a_question_that_is_forgotten_ends_the_wait_for_it_and_the_session_is_rung_again() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), Rung::open(&world, "bo", "idle"));
    let ask = asks(&bo.session, "ada", "which port?");
    ask.wait_for_progress("ada: stored");
    let question = ada.next_question();
    let ran = world.cli(&world.home(), &["log", "--forget", &question]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let refused = ask.result();
    assert_eq!(refused["error"]["code"], "not_found", "{refused}");
    is_rung(&ada, &bo);
}

#[test]
fn a_server_killed_while_a_call_waits_leaves_no_deaf_session_behind() {
    let world = World::new();
    let ada = world.session("ada");
    // The client lives on, and starts another server.
    let twice = "\"$SERVER\"; \"$SERVER\"; :";
    let bo = Rung::open_as(&world, "bo", "idle", &[], twice, || true);
    let ask = asks(&bo.session, "ada", "which port?");
    ask.wait_for_progress("ada: stored");
    let first = bo.session.server_pid().unwrap();
    Stray(first).kill();
    within("the server ends", || has_ended(first));
    bo.session.discover();
    bo.session.call("mesh_status", json!({}));
    is_rung(&ada, &bo);
    let late = ada.replies(&ada.next_question(), "5433");
    assert_eq!(late["asker_waiting"], false, "{late}");
}

#[test]
fn a_command_killed_while_it_waits_in_a_sessions_shell_leaves_no_deaf_session_behind() {
    let world = World::new();
    let ada = world.session("ada");
    let folder = world.project("bo");
    let script = Stray::beside_a_server(&world, &folder, "ask ada 'which port?'");
    let bo = Rung::open_as(&world, "bo", "idle", &[], &script, || true);
    let asker = Stray::goes(&folder);
    within("it has asked", || !ada.questions().is_empty());
    assert_eq!(ada.questions()[0]["from"], "bo", "the session speaks");
    asker.kill();
    within("it ends", || has_ended(asker.0));
    is_rung(&ada, &bo);
}

/// Two who use the library alone.
fn members(place: &Path) -> [Member; 2] {
    ["ada", "bo"].map(|name| {
        let project = place.join(name);
        std::fs::create_dir_all(&project).unwrap();
        let clock = std::sync::Arc::new(claude_mesh::platform::SystemClock::new());
        let mesh = claude_mesh::mesh::Mesh::open(&place.join("mesh.db"), clock).unwrap();
        let arrival = claude_mesh::mesh::Arrival::here(&project).unwrap();
        let instance = if name == "ada" { 1 } else { 2 };
        mesh.join(&arrival.instance(instance)).unwrap()
    })
}

/// The first asks, looks once, and then the second answers: what a look has not seen any more.
fn answered_after_the_last_look([ada, bo]: &mut [Member; 2]) -> (Wait, claude_mesh::mesh::Look) {
    let to = Address::parse("bo").unwrap();
    let (asked, wait) = ada.ask(&to, "which port?", None).unwrap();
    let (wait, me) = (wait.unwrap(), ada.sitting().clone());
    let look = ada.mesh().look(&me, &wait, true).unwrap();
    assert!(!look.done);
    bo.next_questions(Duration::ZERO).unwrap();
    bo.answer(asked.question, "5433").unwrap();
    (wait, look)
}

#[test]
fn an_answer_that_comes_after_the_last_look_is_in_the_result() {
    let place = tempfile::tempdir().unwrap();
    let mut members = members(place.path());
    let (wait, look) = answered_after_the_last_look(&mut members);
    let [ada, _] = &mut members;
    let me = ada.sitting().clone();
    let end = ada.mesh().finish(&me, &wait, &look, &[]).unwrap();
    let question = &end.standings[0].question;
    assert!(end.done);
    assert_eq!(question.answer.as_deref(), Some("5433"));
    assert!(ada.mesh().inbox(&me).unwrap().answers.is_empty());
}

#[test]
fn an_answer_whose_call_nobody_reads_any_more_comes_to_the_inbox() {
    let place = tempfile::tempdir().unwrap();
    let mut members = members(place.path());
    let (wait, _) = answered_after_the_last_look(&mut members);
    let [ada, _] = &mut members;
    let me = ada.sitting().clone();
    ada.mesh().abandon(&me, &wait, &wait.questions).unwrap();
    let inbox = ada.mesh().inbox(&me).unwrap();
    assert_eq!(inbox.answers.len(), 1);
    assert_eq!(inbox.answers[0].question.state, QuestionState::Answered);
}

#[test]
fn who_was_asked_in_vain_is_told_as_what_it_is() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    cy.register("idle");
    let to = json!({ "to": ["bo", "cy"], "question": "which port?", "wait_for": "any" });
    let ask = ada.start("ask_peer", to);
    bo.replies(&bo.next_question(), "5433");
    let result: Value = ask.result();
    let in_vain = &result["answers"][1];
    assert_eq!(in_vain["withdrawn"], true, "{result}");
    assert_eq!(in_vain["delivery"]["peer_activity"], "idle", "{result}");
}

#[test]
fn who_wants_to_waits_for_a_peer_that_is_not_there_until_somebody_sits_down_and_answers() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = world.session("bo");
    bo.hook("SessionEnd", json!({ "reason": "prompt_input_exit" }));
    bo.kill();
    let asked = json!({ "to": "bo", "question": "which port?", "if_offline": "wait" });
    let waits = ada.start("ask_peer", asked);
    waits.wait_for_progress("bo: stored");
    let bo = world.session("bo");
    assert!(waits.is_open(), "nobody has answered");
    bo.replies(&bo.next_question(), "5433");
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
fn several_answers_are_awaited_by_one_call_in_the_order_of_their_questions() {
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
    cy.replies(&cy.next_question(), "no");
    assert!(both.is_open(), "one is not all");
    bo.replies(&bo.next_question(), "yes");
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
