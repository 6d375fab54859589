//! Which of several waits a question interrupts, under a manual clock.

use crate::support::{DAY_MS, MeshFixture, bo};
use claude_mesh::mesh::{Member, Wait};
use claude_mesh::model::peer::Address;

/// Asks bo and starts the wait.
fn start_wait(member: &mut Member, question: &str) -> Wait {
    member.ask(&bo(), question, None).unwrap().1.unwrap()
}

/// Returns whether a question has interrupted the wait.
fn is_interrupted(member: &mut Member, wait: &Wait) -> bool {
    let me = member.handle().clone();
    let interruption = member.mesh().interrupt_if_asked(&me, wait.id).unwrap();
    interruption.is_some()
}

#[test]
fn question_interrupts_the_newest_wait_then_the_next_newest() {
    let fixture = MeshFixture::new();
    let [mut ada, _bo, mut cy] =
        [("ada", 1), ("bo", 2), ("cy", 3)].map(|(name, instance)| fixture.member(name, instance));
    let [first, second, third] = ["which port?", "which host?", "which user?"]
        .map(|question| start_wait(&mut ada, question));
    let to = Address::parse("ada").unwrap();
    cy.ask(&to, "ready?", None).unwrap();
    assert!(!is_interrupted(&mut ada, &first) && !is_interrupted(&mut ada, &second));
    assert!(is_interrupted(&mut ada, &third));
    assert!(!is_interrupted(&mut ada, &second), "one subagent is enough");
    fixture.clock.advance_ms(9_999);
    assert!(!is_interrupted(&mut ada, &second));
    fixture.clock.advance_ms(1);
    assert!(!is_interrupted(&mut ada, &first));
    assert!(is_interrupted(&mut ada, &second));
    fixture.clock.advance_ms(DAY_MS);
    assert!(!is_interrupted(&mut ada, &first), "twice is enough");

    // A question that was answered meanwhile, or known when the wait began, interrupts nothing.
    let late = start_wait(&mut ada, "which table?");
    let (asked, _) = cy.ask(&to, "and now?", None).unwrap();
    assert!(is_interrupted(&mut ada, &late));
    fixture.clock.advance_ms(1);
    let after = start_wait(&mut ada, "which column?");
    fixture.clock.advance_ms(10_000);
    assert!(!is_interrupted(&mut ada, &after));
    ada.mesh().cancel_wait(after.id).unwrap();
    ada.answer(asked.question, "yes").unwrap();
    assert!(!is_interrupted(&mut ada, &first));
}

#[test]
fn wall_clock_jump_does_not_disable_wait_interruption() {
    for jump_ms in [-3_600_000, 3_600_000] {
        let fixture = MeshFixture::new();
        let [mut ada, _bo, mut cy] = [("ada", 1), ("bo", 2), ("cy", 3)]
            .map(|(name, instance)| fixture.member(name, instance));
        let (first, second) = (
            start_wait(&mut ada, "which port?"),
            start_wait(&mut ada, "which host?"),
        );
        fixture.clock.jump_wall_ms(jump_ms);
        cy.ask(&Address::parse("ada").unwrap(), "ready?", None)
            .unwrap();
        assert!(is_interrupted(&mut ada, &second));
        fixture.clock.jump_wall_ms(jump_ms);
        fixture.clock.advance_ms(9_999);
        assert!(!is_interrupted(&mut ada, &first));
        fixture.clock.advance_ms(1);
        assert!(is_interrupted(&mut ada, &first));
    }
}
