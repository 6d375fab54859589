//! The wall clock is set back and forth while members use a mesh: the order of ids stays, and waits end neither early nor never.
//!
//! A program reads the clock of the system without the C library, and Linux has no namespace for it, so these tests give the
//! library a clock of their own.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use claude_mesh::mesh::{ClaimRequest, Member, MessageDraft, WaitOutcome};
use claude_mesh::model::ClaimMode;
use claude_mesh::model::message::Recipient;

use crate::support::{DAY_MS, MeshFixture, bo, wait_until};

/// Steps of the wall clock, in days.
const JUMPS: [i64; 6] = [-1, 3, -10, 0, 20, -15];

fn post(member: &mut Member, body: &str) -> String {
    let me = member.handle().clone();
    let to = Recipient::parse("#log").unwrap();
    let posted = member.mesh().post(&me, &MessageDraft::of(&to, body));
    posted.unwrap().id.to_string()
}

fn claim(member: &mut Member) -> String {
    let me = member.handle().clone();
    let request = ClaimRequest {
        resource: "deploy",
        mode: ClaimMode::Exclusive,
        lease_ms: 10_000,
        note: None,
        queue: true,
        wait: false,
    };
    format!("{:?}", member.mesh().claim(&me, &request).unwrap())
}

#[test]
fn ids_and_events_keep_their_order_over_clock_jumps() {
    let fixture = MeshFixture::new();
    let (mut ada, mut other) = (fixture.member("ada", 1), fixture.member("bo", 2));
    let mut ids = Vec::new();
    for days in JUMPS {
        fixture.clock.jump_wall_ms(days * DAY_MS);
        ids.push(post(&mut ada, "one"));
        let (asked, wait) = ada.ask(&bo(), "which port?", None).unwrap();
        ids.push(asked.question.to_string());
        ids.push(post(&mut other, "two"));
        other.next_questions(Duration::ZERO).unwrap();
        other.answer(asked.question, "5433").unwrap();
        let me = ada.handle().clone();
        ada.mesh().abandon_wait(&me, &wait.unwrap(), &[]).unwrap();
    }
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:#?}");
    let events = MeshFixture::events(&mut ada);
    assert!(events.is_sorted_by(|one, next| one.seq < next.seq));
    let answered = events
        .iter()
        .filter(|event| event.kind == "question.answered");
    assert_eq!(answered.count(), JUMPS.len());
}

#[test]
fn claim_queue_keeps_its_order_and_leases_over_clock_jumps() {
    for days in JUMPS {
        let fixture = MeshFixture::new();
        let [mut ada, mut bo, mut cy] =
            [("ada", 1), ("bo", 2), ("cy", 3)].map(|(name, number)| fixture.member(name, number));
        assert!(claim(&mut ada).starts_with("Granted"));
        assert!(claim(&mut bo).starts_with("Queued"));
        fixture.clock.jump_wall_ms(days * DAY_MS);
        assert!(claim(&mut cy).starts_with("Queued"));
        fixture.clock.advance_ms(9_999);
        assert!(
            claim(&mut bo).starts_with("Queued"),
            "{days}: the lease ends early"
        );
        fixture.clock.advance_ms(1);
        assert!(
            claim(&mut cy).starts_with("Queued"),
            "{days}: cy is behind bo"
        );
        assert!(
            claim(&mut bo).starts_with("Granted"),
            "{days}: the lease never ends"
        );
    }
}

#[test]
fn waits_end_by_their_own_time_over_clock_jumps() {
    let fixture = MeshFixture::new();
    let (mut ada, mut other) = (fixture.member("ada", 1), fixture.member("bo", 2));
    let (asked, wait) = ada.ask(&bo(), "which port?", None).unwrap();
    let has_ended = Arc::new(AtomicBool::new(false));
    let (ended, stored) = (Arc::clone(&has_ended), wait.unwrap());
    let waiter = std::thread::spawn(move || {
        let outcome = ada
            .wait(&stored, Duration::from_secs(60), |_| true)
            .unwrap();
        ended.store(true, Ordering::SeqCst);
        (ada, outcome.0)
    });
    for days in [-2, 3] {
        fixture.clock.jump_wall_ms(days * DAY_MS);
        assert_eq!(
            other
                .next_questions(Duration::ZERO)
                .unwrap()
                .questions
                .len(),
            1
        );
        assert!(
            !has_ended.load(Ordering::SeqCst),
            "{days}: it ended without an answer"
        );
    }
    other.answer(asked.question, "5433").unwrap();
    wait_until("the wait has ended", || has_ended.load(Ordering::SeqCst));
    let (mut ada, outcome) = waiter.join().unwrap();
    assert!(matches!(outcome, WaitOutcome::Done(_)));
    let (_, wait) = ada.ask(&bo(), "and the host?", None).unwrap();
    fixture.clock.jump_wall_ms(-5 * DAY_MS);
    let outcome = ada.wait(&wait.unwrap(), Duration::ZERO, |_| true).unwrap();
    assert!(matches!(outcome.0, WaitOutcome::Expired));
}
