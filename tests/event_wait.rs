//! Waiting for events: calls that end with a matching event, and the doorbells that wake them.
use std::time::Instant;

use serde_json::json;

use crate::support::event_calls::{CONSECUTIVE_EVENTS, emit, event_types, events, events_in};
use crate::support::{WAIT_TIMEOUT, World};

#[test]
fn events_wait_returns_the_matching_event() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    emit(&bo, "project.deployed", json!("old"));
    let wait = ada.start(
        "events",
        json!({ "action": "wait", "types": ["project.deployed"] }),
    );
    wait.wait_for_progress("waiting for project.deployed");
    emit(&bo, "project.built", json!({}));
    emit(&bo, "project.deployed", json!("new"));
    let awaited = wait.result();
    assert_eq!(events_in(&awaited)[0]["data"], "new", "{awaited}");
    assert_eq!(
        (&events_in(&awaited)[0]["by"], events_in(&awaited).len()),
        (&json!("bo"), 1)
    );
    let again = json!({ "action": "wait", "types": ["project.*"], "after": awaited["next"], "timeout_seconds": 1 });
    let none = events(&ada, again);
    assert_eq!(
        (&none["status"], &none["next"]),
        (&json!("timed_out"), &awaited["next"])
    );
    let at_once = events(
        &ada,
        json!({ "action": "wait", "types": ["project.built"], "after": 0 }),
    );
    assert_eq!(
        event_types(&at_once),
        ["project.built"],
        "a wait returns earlier events at once"
    );
}

#[test]
fn event_wakes_only_the_sessions_that_wait_for_it() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let wait = ada.start(
        "events",
        json!({ "action": "wait", "types": ["project.*"] }),
    );
    let other = cy.start("events", json!({ "action": "wait", "types": ["task.*"] }));
    wait.wait_for_progress("waiting");
    other.wait_for_progress("waiting");
    let doorbell = |session: &str| {
        let id: String = world
            .rows()
            .query_row(
                "SELECT s.id FROM session s JOIN peer p ON p.id = s.peer_id WHERE p.name = ?1",
                [session],
                |row| row.get(0),
            )
            .unwrap();
        id
    };
    let doorbell_modified_at = |session: &str| {
        let doorbell = world.home().join(format!(
            ".claude-mesh/mesh.db.d/bells/{}/bell",
            doorbell(session)
        ));
        doorbell.metadata().and_then(|it| it.modified()).ok()
    };
    let before = (doorbell_modified_at("ada"), doorbell_modified_at("cy"));
    emit(&bo, "project.done", json!({}));
    assert_eq!(event_types(&wait.result()), ["project.done"]);
    assert_ne!(doorbell_modified_at("ada"), before.0);
    assert_eq!(doorbell_modified_at("cy"), before.1);
    assert!(other.is_open());
    other.cancel();
}

#[test]
fn question_interrupts_an_events_wait_without_losing_events() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let wait = ada.start(
        "events",
        json!({ "action": "wait", "types": ["project.*"] }),
    );
    wait.wait_for_progress("waiting");
    let ask = bo.start(
        "ask_peer",
        json!({ "to": "ada", "question": "which port?" }),
    );
    let interrupted = wait.result();
    assert_eq!(interrupted["status"], "interrupted");
    assert_eq!(interrupted["questions"][0]["question"], "which port?");
    emit(&bo, "project.done", json!({}));
    ada.send_reply(
        interrupted["questions"][0]["question_id"].as_str().unwrap(),
        "5433",
    );
    assert_eq!(ask.result()["answer"], "5433");
    let wait = json!({ "action": "wait", "types": ["project.*"], "after": interrupted["next"] });
    assert_eq!(
        event_types(&events(&ada, wait)),
        ["project.done"],
        "the wait misses no event"
    );
}

// Requirement: Beyond 3
#[test]
fn events_wait_is_woken_by_the_doorbell() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let began = Instant::now();
    for number in 1..=CONSECUTIVE_EVENTS {
        let wait = bo.start(
            "events",
            json!({ "action": "wait", "types": ["project.*"] }),
        );
        wait.wait_for_progress("waiting for project.*");
        emit(&ada, "project.step", json!(number));
        assert_eq!(events_in(&wait.result())[0]["data"], number);
    }
    assert!(began.elapsed() < WAIT_TIMEOUT, "no doorbell was written");
}
