//! Stories of waits: for somebody who is not there yet, and for several answers at once.
use serde_json::{Value, json};

use crate::world::World;

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
