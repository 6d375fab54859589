//! Forks of sessions that wait for an answer themselves, that crash, or that end.
use std::sync::Arc;

use claude_mesh::mesh::{InboxSocketState, JoinRequest, Mesh, MeshOptions, WakeAction};
use claude_mesh::model::peer::Address;
use claude_mesh::platform::Clock;
use claude_mesh::platform::clock::ManualClock;
use claude_mesh::platform::fork_setting::{ForkMode, ForkSettings};
use serde_json::json;

use super::{answer_from_fork, give_up, offer, offered, world_with};
use crate::support::{InboxSession, start_ask, wait_until};

// Requirement: Beyond 19
#[test]
fn waiting_session_whose_fork_answers_is_not_interrupted() {
    let world = world_with("CLAUDE_MESH_FORK=busy\n");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "busy");
    bo.session
        .call_from_plugin("poll_inbox", json!({ "fork": {} }));
    let waiting = start_ask(&bo.session, "ada", "are you there?");
    waiting.wait_for_progress("ada: ");
    let ask = start_ask(&ada, "bo", "which port?");
    let offer = offer(&bo.session, &bo.next_wake_line());
    assert_eq!(offer["takes_line"], true, "{offer}");
    answer_from_fork(&bo.session, &offered(&offer)[0], "5433");
    let result = ask.result();
    // The asker is interrupted by the question that it has got, or has its answer.
    assert!(["answered", "interrupted"].contains(&result["status"].as_str().unwrap()));
    ada.send_reply(&ada.next_question(), "yes");
    let result = waiting.result();
    assert_eq!(
        (&result["status"], &result["answer"]),
        (&json!("answered"), &json!("yes"))
    );
}

#[test]
fn waiting_session_is_interrupted_if_its_fork_gives_up() {
    let world = world_with("CLAUDE_MESH_FORK=busy\n");
    let _ada = world.session("ada");
    let cy = world.session("cy");
    let bo = InboxSession::open(&world, "bo", "busy");
    bo.session
        .call_from_plugin("poll_inbox", json!({ "fork": {} }));
    let waiting = start_ask(&bo.session, "ada", "are you there?");
    waiting.wait_for_progress("ada: ");
    let _ask = start_ask(&cy, "bo", "which port?");
    let id = offered(&offer(&bo.session, &bo.next_wake_line())).remove(0);
    give_up(&bo.session, &id);
    let result = waiting.result();
    assert_eq!(result["status"], "interrupted", "{result}");
    assert_eq!(result["questions"][0]["question"], "which port?");
}

#[test]
fn question_of_a_fork_that_crashed_comes_back() {
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(1_800_000_000_000));
    let open = |options: &MeshOptions| {
        let clock = Arc::clone(&clock) as Arc<dyn Clock>;
        Mesh::open_with(&place.path().join("mesh.db"), clock, options).unwrap()
    };
    let request = |name: &str, instance| {
        let project = place.path().join(name);
        std::fs::create_dir_all(&project).unwrap();
        JoinRequest::here(&project).unwrap().instance(instance)
    };
    let options = MeshOptions {
        fork: ForkSettings {
            mode: ForkMode::Always,
            ..ForkSettings::default()
        },
        ..MeshOptions::default()
    };
    let mut ada = open(&options).join(&request("ada", 0)).unwrap();
    let mut bo = open(&options).join(&request("bo", 1)).unwrap();
    let me = bo.handle().clone();
    let (asked, _wait) = ada
        .ask(&Address::parse("bo").unwrap(), "which port?", None)
        .unwrap();
    let posted = bo.mesh().next_wake_action(&me, || InboxSocketState::Open);
    let WakeAction::Post { nonce, .. } = posted.unwrap() else {
        panic!("a line is due")
    };
    let offer = bo.mesh().offer_forks(&me, &nonce).unwrap();
    assert_eq!(offer.questions[0].question.id, asked.question);
    assert!(bo.mesh().inbox(&me).unwrap().questions.is_empty());
    let next = bo.mesh().next_wake_action(&me, || InboxSocketState::Open);
    let WakeAction::Wait {
        after_ms: Some(after_ms),
        ..
    } = next.unwrap()
    else {
        panic!("the fork may crash")
    };
    clock.advance_ms(after_ms);
    assert_eq!(bo.mesh().inbox(&me).unwrap().questions.len(), 1);
    let next = bo.mesh().next_wake_action(&me, || InboxSocketState::Open);
    assert!(matches!(next.unwrap(), WakeAction::Post { .. }));
}

#[test]
fn fork_of_a_session_that_ended_holds_nothing_back() {
    let world = world_with("CLAUDE_MESH_FORK=always\n");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    let patient = json!({ "to": "bo", "question": "which port?", "if_offline": "wait" });
    let ask = ada.start("ask_peer", patient);
    assert_eq!(offered(&offer(&bo.session, &bo.next_wake_line())).len(), 1);
    bo.session.close_stdin();
    bo.session.wait_for_end();
    let again = world.session("bo");
    let mut id = String::new();
    wait_until("the question is pending again", || {
        let questions = again.questions();
        id = questions.first().map_or_else(String::new, |question| {
            question["question_id"].as_str().unwrap().to_owned()
        });
        !id.is_empty()
    });
    again.send_reply(&id, "5433");
    assert_eq!(ask.result()["answer"], "5433");
}
