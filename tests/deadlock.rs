//! Deadlocks between questions and claims: they are reported to the session that closes the cycle.

use serde_json::{Value, json};

use crate::claim::{
    claim, claim_arguments, claim_granted, holder_and_queue_names, owned, queue_and_wait,
    queue_at_once, release,
};
use crate::support::World;

#[test]
fn deadlock_between_two_claims_is_reported_at_once() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    claim_granted(&ada, "schema", json!({}));
    claim_granted(&bo, "deploy", json!({}));
    let ada_waits = ada.start("claim", claim_arguments("deploy", queue_and_wait()));
    ada_waits.wait_for_progress("held by bo");
    let out = claim(&bo, "schema", queue_and_wait());
    assert_eq!(
        (&out["status"], &out["reason"]),
        (&json!("interrupted"), &json!("wait_cycle"))
    );
    assert_eq!(out["chain"], json!(["bo", "ada", "bo"]));
    assert_eq!(
        holder_and_queue_names(&bo, "schema").1,
        owned(&["bo"]),
        "the ticket is kept"
    );
    release(&bo, "deploy");
    assert_eq!(ada_waits.result()["status"], "granted");
}

// Requirement: Beyond 2
#[test]
fn claim_reports_a_deadlock_with_an_open_question_at_once() {
    let world = World::new();
    let [ada, bo, cy] = ["ada", "bo", "cy"].map(|name| world.session(name));
    claim_granted(&bo, "deploy", json!({}));
    let ask = bo.start(
        "ask_peer",
        json!({ "to": "ada", "question": "may I go on?" }),
    );
    ask.wait_for_progress("ada: stored");
    assert_eq!(ada.questions().len(), 1, "the question is delivered");
    // Another session in the queue between them changes nothing.
    claim(&cy, "deploy", queue_at_once());
    let out = claim(&ada, "deploy", queue_and_wait());
    assert_eq!(out["reason"], "wait_cycle", "{out}");
    assert_eq!(out["chain"], json!(["ada", "bo", "ada"]));
    assert_eq!(out["questions"][0]["question"], "may I go on?");
    ada.send_reply(out["questions"][0]["question_id"].as_str().unwrap(), "yes");
    assert_eq!(ask.result()["answer"], "yes");
}

#[test]
fn await_reply_reports_a_deadlock_with_a_claim_wait_at_once() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    claim_granted(&bo, "deploy", json!({}));
    let asked = bo.call(
        "ask_peer",
        json!({ "to": "ada", "question": "may I go on?", "timeout_seconds": 1 }),
    );
    assert_eq!(asked["status"], "timed_out");
    assert_eq!(ada.questions().len(), 1, "the question is delivered");
    // The question interrupts a wait once.
    assert_eq!(
        claim(&ada, "deploy", queue_and_wait())["reason"],
        "incoming_question"
    );
    let ada_waits = ada.start("claim", claim_arguments("deploy", queue_and_wait()));
    ada_waits.wait_for_progress("held by bo");
    let out = bo.call(
        "await_reply",
        json!({ "question_id": asked["question_id"], "timeout_seconds": 60 }),
    );
    assert_eq!(
        (&out["status"], &out["reason"]),
        (&json!("interrupted"), &json!("wait_cycle"))
    );
    assert_eq!(out["chain"], json!(["bo", "ada", "bo"]));
    release(&bo, "deploy");
    assert_eq!(ada_waits.result()["status"], "granted");
}

// Requirement: Beyond 2
#[test]
fn await_reply_reports_a_deadlock_to_the_session_closing_it() {
    let world = World::new();
    let sessions = ["ada", "bo", "cy"].map(|name| world.session(name));
    let [ada, bo, cy] = &sessions;
    let asked: Vec<Value> = [(ada, "bo"), (bo, "cy"), (cy, "ada")]
        .map(|(asker, to)| {
            let ask = asker.start(
                "ask_peer",
                json!({ "to": to, "question": "after you?", "timeout_seconds": 1 }),
            );
            ask.result()["question_id"].clone()
        })
        .into();
    for session in &sessions {
        session.questions();
    }
    let first = ada.start("await_reply", json!({ "question_id": asked[0] }));
    // The others were interrupted while they asked; a wait of ada is interrupted once.
    assert_eq!(first.result()["reason"], "incoming_question");
    let first = ada.start("await_reply", json!({ "question_id": asked[0] }));
    first.wait_for_progress("bo");
    let second = bo.start("await_reply", json!({ "question_id": asked[1] }));
    second.wait_for_progress("cy");
    let closing = cy.call("await_reply", json!({ "question_id": asked[2] }));
    assert_eq!(closing["reason"], "wait_cycle");
    assert_eq!(closing["chain"], json!(["cy", "ada", "bo", "cy"]));
}
