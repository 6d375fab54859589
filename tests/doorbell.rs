//! Doorbells: a waiting process is woken within a bound, and no other process wakes.
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::World;

// Requirement: Ask 12, Beyond 3
#[test]
fn answer_wakes_its_asker_before_the_next_poll() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let mut fastest = Duration::MAX;
    for round in 0..5 {
        let ask = ada.start(
            "ask_peer",
            json!({ "to": "bo", "question": format!("{round}?") }),
        );
        let id = bo.next_question();
        let began = Instant::now();
        bo.send_reply(&id, "now");
        assert_eq!(ask.result()["answer"], "now");
        fastest = fastest.min(began.elapsed());
    }
    assert!(
        fastest < Duration::from_secs(1),
        "only the poll every 2 s found it: {fastest:?}"
    );
}

#[test]
fn missed_doorbell_is_covered_by_the_next_poll() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let id = bo.next_question();
    // A writer that dies between commit and doorbell: the row exists, the doorbell is not written.
    let connection = rusqlite::Connection::open(world.database()).unwrap();
    connection
        .execute("UPDATE question SET state = 'answered', answer = '5433', answered_by = 'session', answer_open = 1 WHERE id = ?1", [&id])
        .unwrap();
    assert_eq!(ask.result()["answer"], "5433");
}

// Requirement: Beyond 3
#[test]
fn idle_server_never_wakes_up() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = world.session("bo");
    ada.wait_until_idle();
    let before = ada.count_wakeups();
    for _ in 0..20 {
        bo.call("register", json!({ "summary": "writing" }));
    }
    assert_eq!(
        ada.count_wakeups(),
        before,
        "commits of other sessions do not wake it"
    );
}

#[test]
fn waiting_session_is_not_woken_by_questions_of_others() {
    let world = World::new();
    let sessions: Vec<_> = ["ada", "bo", "cy", "di"]
        .map(|name| world.session(name))
        .into();
    let [ada, bo, cy, di] = sessions.as_slice() else {
        unreachable!()
    };
    let waits = cy.start("ask_peer", json!({ "to": "di", "question": "later?" }));
    // The last event of this question: di cannot be woken here.
    waits.wait_for_progress("not woken");
    let (began, before) = (Instant::now(), cy.count_wakeups());
    for round in 0..20 {
        let ask = ada.start(
            "ask_peer",
            json!({ "to": "bo", "question": format!("{round}?") }),
        );
        bo.send_reply(&bo.next_question(), "yes");
        assert_eq!(ask.result()["status"], "answered");
    }
    // Its own polls are due every two seconds and wake one or two threads each. The last poll may still run.
    let polls = began.elapsed().as_secs() / 2 + 2;
    let woken = cy.count_wakeups() - before;
    assert!(woken <= polls * 3, "woken {woken} times in {polls} polls");
    di.send_reply(&di.next_question(), "done");
    assert_eq!(waits.result()["answer"], "done");
}

#[test]
fn questions_are_answered_without_a_file_watcher() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE", "polling");
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    assert_eq!(ada.call("mesh_status", json!({}))["wake"], "polling");
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    bo.send_reply(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}
