//! Wake attempts as the event log records them, under a manual clock.

use claude_mesh::mesh::{InboxSocketState, Member, WaitingHookAction, WakeAction};
use claude_mesh::model::{DeliveryStatus, Event, WakeState};
use claude_mesh::platform::id::QuestionId;
use serde_json::{Value, json};

use crate::delivery_states::asked;
use crate::support::World;
use crate::support::{MeshFixture, set_session_activity, skip};

/// The action that waits for this long at most.
pub(crate) fn rest_for(after_ms: Option<i64>) -> WakeAction {
    WakeAction::Wait {
        after_ms,
        alert: None,
    }
}

/// Polls the wake policy as the server of a member does at every doorbell.
pub(crate) fn next_wake_action(member: &mut Member) -> WakeAction {
    let me = member.handle().clone();
    member
        .mesh()
        .next_wake_action(&me, || InboxSocketState::Open)
        .unwrap()
}

/// Polls the wake policy, which must post a line.
#[track_caller]
pub(crate) fn wake_attempts(member: &mut Member) {
    let action = next_wake_action(member);
    assert!(matches!(action, WakeAction::Post { .. }), "{action:?}");
}

/// Returns the delivery of a question as its asker sees it.
pub(crate) fn delivery(asker: &mut Member, id: QuestionId) -> DeliveryStatus {
    asker.mesh().question_statuses(&[id]).unwrap()[0]
        .delivery
        .clone()
}

/// Returns the wake events: type, number of the attempt, and whether the question is coalesced.
pub(crate) fn wake_events(member: &mut Member) -> Vec<(String, Value, Value)> {
    let is_wake = |event: &Event| {
        ["rung", "queued", "not_woken"]
            .iter()
            .any(|end| event.kind.ends_with(end))
    };
    let wake_events = MeshFixture::events(member).into_iter().filter(is_wake);
    wake_events
        .map(|event| {
            let data = &event.data;
            (event.kind, data["ring"].clone(), data["rides"].clone())
        })
        .collect()
}

#[test]
fn event_log_records_each_wake_attempt_and_its_outcome() {
    let fixture = MeshFixture::new();
    let mut world = World::new();
    if fixture.is_served() {
        return skip("the command log", "the program of this test opens a file");
    }
    let database = fixture.place.path().join("mesh.db");
    world.set("MESH_DB_PATH", database.to_str().unwrap());
    let (mut ada, mut bo) = (fixture.member("ada", 1), fixture.member("bo", 2));
    set_session_activity(&mut bo, "idle");
    let id = asked(&mut ada, "bo", "which port?");
    wake_attempts(&mut bo);
    fixture.clock.advance_ms(3_000);
    wake_attempts(&mut bo);
    fixture.clock.advance_ms(3_000);
    assert_eq!(next_wake_action(&mut bo), rest_for(None));
    let reported = delivery(&mut ada, id);
    assert_eq!(reported.wake, WakeState::Failed);
    let rung = |ring: u32| ("question.rung".to_owned(), json!(ring), json!(false));
    let not_woken = ("question.not_woken".to_owned(), Value::Null, Value::Null);
    assert_eq!(wake_events(&mut ada), [rung(1), rung(2), not_woken]);

    let log = |peer: &str| world.cli(&world.home(), &["log", "--peer", peer]).out;
    for reported in [
        format!("bo was sent a wake-up for the question of ada  {id}\n"),
        format!("bo was sent another wake-up for the question of ada  {id}\n"),
        format!(
            "bo was not woken for the question of ada: the session was rung twice and did not start a turn  {id}\n"
        ),
    ] {
        assert!(
            log("ada").contains(&reported),
            "{reported} in {}",
            log("ada")
        );
        assert!(log("bo").contains(&reported), "{reported} in {}", log("bo"));
    }
}

#[test]
fn wall_clock_jump_does_not_shift_wake_attempts() {
    const HOUR_MS: i64 = 3_600_000;
    for jump_ms in [-HOUR_MS, HOUR_MS] {
        let fixture = MeshFixture::new();
        let (mut ada, mut bo) = (fixture.member("ada", 1), fixture.member("bo", 2));
        set_session_activity(&mut bo, "idle");
        let id = asked(&mut ada, "bo", "which port?");
        wake_attempts(&mut bo);
        fixture.clock.jump_wall_ms(jump_ms);
        fixture.clock.advance_ms(2_999);
        let waits = rest_for(Some(1));
        assert_eq!(next_wake_action(&mut bo), waits);
        fixture.clock.advance_ms(1);
        wake_attempts(&mut bo);
        fixture.clock.jump_wall_ms(jump_ms);
        assert!(matches!(
            next_wake_action(&mut bo),
            WakeAction::Wait {
                after_ms: Some(_),
                ..
            }
        ));
        assert_eq!(delivery(&mut ada, id).wake, WakeState::Inbox);
        fixture.clock.advance_ms(3_000);
        next_wake_action(&mut bo);
        assert_eq!(delivery(&mut ada, id).wake, WakeState::Failed);
    }
}

#[test]
fn wall_clock_jump_does_not_delay_the_rewake_hook() {
    let fixture = MeshFixture::new();
    let (mut ada, mut bo) = (fixture.member("ada", 1), fixture.member("bo", 2));
    set_session_activity(&mut bo, "idle");
    asked(&mut ada, "bo", "which port?");
    wake_attempts(&mut bo);
    fixture.clock.jump_wall_ms(-3_600_000);
    let me = bo.handle().clone();
    let mut hook = || bo.mesh().waiting_hook_action(&me).unwrap();
    let after_ms = Some(3_000);
    assert_eq!(
        hook(),
        WaitingHookAction::Wait { after_ms },
        "the line goes first"
    );
    fixture.clock.advance_ms(3_000);
    assert_eq!(hook(), WaitingHookAction::Now);
}

#[test]
fn event_log_records_one_busy_wake_and_coalesced_questions() {
    let fixture = MeshFixture::new();
    let mut world = World::new();
    if fixture.is_served() {
        return skip("the command log", "the program of this test opens a file");
    }
    let database = fixture.place.path().join("mesh.db");
    world.set("MESH_DB_PATH", database.to_str().unwrap());
    let [mut ada, mut bo, mut cy] =
        [("ada", 1), ("bo", 2), ("cy", 3)].map(|(name, instance)| fixture.member(name, instance));
    set_session_activity(&mut bo, "busy");
    asked(&mut ada, "bo", "which port?");
    wake_attempts(&mut bo);
    let second = asked(&mut cy, "bo", "which schema?");
    let waits = next_wake_action(&mut bo);
    assert!(
        matches!(
            waits,
            WakeAction::Wait {
                after_ms: Some(_),
                ..
            }
        ),
        "{waits:?}"
    );
    next_wake_action(&mut bo);
    let queued = |rides: bool| ("question.queued".to_owned(), json!(1), json!(rides));
    assert_eq!(wake_events(&mut ada), [queued(false), queued(true)]);
    assert_eq!(delivery(&mut cy, second).wake, WakeState::Queued);
    let log = world.cli(&world.home(), &["log"]).out;
    for reported in [
        "bo was sent a wake-up for the question of ada, and reads it with its next step  ",
        "the question of cy is coalesced with the wake attempt under way for bo  ",
    ] {
        assert!(log.contains(reported), "{log}");
    }
}

#[test]
fn event_log_records_wake_attempts_for_messages() {
    let fixture = MeshFixture::new();
    let mut world = World::new();
    if fixture.is_served() {
        return skip("the command log", "the program of this test opens a file");
    }
    let database = fixture.place.path().join("mesh.db");
    world.set("MESH_DB_PATH", database.to_str().unwrap());
    let mut bo = fixture.member("bo", 2);
    set_session_activity(&mut bo, "idle");
    let alert = ["post", "bo", "the disk is full", "--type", "alert"];
    assert_eq!(world.cli(&world.home(), &alert).code, Some(0));
    for _ in 0..2 {
        wake_attempts(&mut bo);
        fixture.clock.advance_ms(3_000);
    }
    next_wake_action(&mut bo);
    let kinds: Vec<String> = wake_events(&mut bo)
        .into_iter()
        .map(|(kind, ..)| kind)
        .collect();
    assert_eq!(kinds, ["peer.rung", "peer.rung", "peer.not_woken"]);
    let log = world.cli(&world.home(), &["log"]).out;
    for reported in [
        "  bo was sent a wake-up for a message\n",
        "  bo was sent another wake-up for a message\n",
        "  bo was not woken for a message: the session was rung twice",
    ] {
        assert!(log.contains(reported), "{reported} in {log}");
    }
}
