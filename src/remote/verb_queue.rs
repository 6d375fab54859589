//! The verbs of a session on their way to the hub: numbered, sent in order, and kept until a snapshot includes them.
//!
//! A verb that was sent is kept, because a snapshot that the hub made before it may still be under way.
use std::collections::VecDeque;

use serde::Serialize;

use crate::mesh::SessionVerb;

/// Verbs that are kept while the hub is out of reach.
const QUEUE_MAX: usize = 1_000;
/// How many are sent at once.
const BATCH_MAX: usize = 50;

/// A verb with its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct NumberedVerb {
    pub(super) number: i64,
    pub(super) verb: SessionVerb,
}

/// The verbs that the last snapshot does not include, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct VerbQueue {
    verbs: VecDeque<NumberedVerb>,
    /// The number of the last verb.
    last: i64,
    /// The hub has carried out the verbs up to this one.
    sent: i64,
}

impl VerbQueue {
    /// Adds a verb. If there are too many, the oldest is dropped that does not say what was delivered.
    pub(super) fn push(&mut self, verb: SessionVerb) {
        if self.verbs.len() == QUEUE_MAX {
            let mut verbs = self.verbs.iter();
            let dropped = verbs.position(|queued| !queued.verb.records_delivery());
            self.verbs.remove(dropped.unwrap_or(0));
        }
        self.last += 1;
        let number = self.last;
        self.verbs.push_back(NumberedVerb { number, verb });
    }

    /// Returns the verbs to send next.
    pub(super) fn unsent(&self) -> Vec<NumberedVerb> {
        let unsent = self.verbs.iter().filter(|queued| queued.number > self.sent);
        unsent.take(BATCH_MAX).cloned().collect()
    }

    /// Records that the hub has carried out the verbs up to this one.
    pub(super) fn confirm_sent(&mut self, number: i64) {
        self.sent = self.sent.max(number);
    }

    /// Drops a verb that the hub refuses.
    pub(super) fn remove(&mut self, number: i64) {
        self.verbs.retain(|queued| queued.number != number);
    }

    /// Drops the verbs that a snapshot includes.
    pub(super) fn confirm_included(&mut self, number: i64) {
        self.confirm_sent(number);
        self.last = self.last.max(number);
        self.verbs.retain(|queued| queued.number > number);
    }

    /// Goes on with the same session, of whose verbs the hub has carried out those up to this one.
    pub(super) fn resume(&mut self, applied: i64) {
        self.sent = applied;
        self.last = self.last.max(applied);
    }

    /// Goes on with a session whose last verb, of an earlier program, had this number. What was delivered stays to be recorded
    /// there; what concerns only the earlier session is dropped.
    pub(super) fn begin(&mut self, applied: i64) {
        self.sent = applied;
        self.last = applied;
        for queued in std::mem::take(&mut self.verbs) {
            if !queued.verb.is_of_one_session() {
                self.push(queued.verb);
            }
        }
    }

    /// Returns the verbs that the last snapshot does not include.
    pub(super) fn iter(&self) -> impl Iterator<Item = &SessionVerb> {
        self.verbs.iter().map(|queued| &queued.verb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::DeliveredItems;
    use crate::model::WakeState;

    fn turn(turn: &str) -> SessionVerb {
        SessionVerb::RecordTurn { turn: turn.into() }
    }

    fn delivery() -> SessionVerb {
        SessionVerb::MarkDelivered {
            items: DeliveredItems::default(),
            turn: None,
            channel: WakeState::Hook,
        }
    }

    fn numbers(queue: &VerbQueue) -> Vec<i64> {
        queue.unsent().iter().map(|queued| queued.number).collect()
    }

    #[test]
    fn sent_verb_is_kept_until_a_snapshot_includes_it() {
        let mut queue = VerbQueue::default();
        queue.begin(6);
        queue.push(turn("t1"));
        queue.push(turn("t2"));
        assert_eq!(numbers(&queue), [7, 8]);
        queue.confirm_sent(7);
        assert_eq!(numbers(&queue), [8]);
        assert_eq!(queue.iter().count(), 2, "an older snapshot may follow");
        queue.confirm_included(7);
        assert_eq!(queue.iter().count(), 1);
        queue.confirm_included(8);
        assert_eq!(queue.iter().count(), 0);
    }

    #[test]
    fn verb_that_the_hub_has_not_carried_out_is_sent_again() {
        let mut queue = VerbQueue::default();
        queue.push(turn("t1"));
        queue.push(turn("t2"));
        queue.confirm_sent(2);
        queue.resume(1);
        assert_eq!(numbers(&queue), [2]);
    }

    #[test]
    fn another_session_gets_what_was_delivered_under_new_numbers() {
        let mut queue = VerbQueue::default();
        queue.begin(40);
        let failure = SessionVerb::RecordWakeFailure {
            problem: "no socket".into(),
        };
        queue.push(failure);
        queue.push(delivery());
        queue.begin(3);
        assert_eq!(numbers(&queue), [4]);
        assert_eq!(queue.iter().next(), Some(&delivery()));
    }

    #[test]
    fn full_queue_drops_what_says_least() {
        let mut queue = VerbQueue::default();
        queue.push(delivery());
        queue.push(turn("t1"));
        for _ in 2..=QUEUE_MAX {
            queue.push(delivery());
        }
        assert_eq!(queue.iter().count(), QUEUE_MAX);
        assert!(queue.iter().all(SessionVerb::records_delivery));
        queue.push(delivery());
        assert_eq!(numbers(&queue)[0], 3, "then the oldest");
    }
}
