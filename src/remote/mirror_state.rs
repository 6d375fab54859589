//! What the hub has described last of a session, changed by what the session has done since.
//!
//! `apply` does to a snapshot what the mesh does to its rows when it carries out the verb: `src/mesh/wake/turn.rs` and
//! `src/mesh/question/delivery.rs` have the rules. `mirror_tests` compares the two.
use std::collections::HashSet;

use crate::mesh::{DeliveredItems, SessionSnapshot, SessionVerb, SnapshotClock};
use crate::model::WakeState;
use crate::platform::Moment;
use crate::platform::id::QuestionId;

/// A snapshot with the time at which it came.
#[derive(Clone)]
pub(super) struct MirrorState {
    pub(super) snapshot: SessionSnapshot,
    clock: SnapshotClock,
    received_monotonic_ms: i64,
}

impl MirrorState {
    pub(super) fn new(snapshot: SessionSnapshot, clock: SnapshotClock, received: &Moment) -> Self {
        Self {
            snapshot,
            clock,
            received_monotonic_ms: received.monotonic_ms,
        }
    }

    /// Returns the time of the mesh at a time of this machine.
    pub(super) fn mesh_time(&self, here: &Moment) -> Moment {
        let since_ms = here.monotonic_ms - self.received_monotonic_ms;
        Moment {
            wall_ms: self.clock.wall_ms + since_ms,
            monotonic_ms: self.clock.monotonic_ms + since_ms,
            boot: self.clock.boot.as_str().into(),
        }
    }

    /// Removes these questions.
    pub(super) fn remove_questions(&mut self, answered: &HashSet<QuestionId>) {
        let questions = &mut self.snapshot.inbox.questions;
        questions.retain(|pending| !answered.contains(&pending.delivery.question.id));
    }

    /// Changes the snapshot as the mesh changes when it carries out a verb at this time of the mesh.
    pub(super) fn apply(&mut self, verb: &SessionVerb, now_ms: i64) {
        match verb {
            SessionVerb::BeginTurn { turn, typed } => self.begin_turn(turn.as_deref(), *typed),
            SessionVerb::RecordTurn { turn } => {
                self.enter_turn(turn);
            }
            SessionVerb::MarkDelivered {
                items,
                turn,
                channel,
            } => {
                if items.is_empty() {
                    return;
                }
                if matches!(channel, WakeState::Inbox | WakeState::Rewake) {
                    self.count_peer_turn(turn.as_deref());
                    self.snapshot.session.wake_attempt = None;
                } else if let Some(turn) = turn {
                    self.enter_turn(turn);
                }
                self.deliver(items, turn.as_deref(), now_ms);
            }
            SessionVerb::RecordStopBlock { items, turn, count } => {
                self.record_stop_block(items, turn, *count, now_ms);
            }
            SessionVerb::ClearWakeAttempt | SessionVerb::RecordWakeFailure { .. } => {
                self.snapshot.session.wake_attempt = None;
            }
            SessionVerb::DetachClientSession => {
                let session = &mut self.snapshot.session;
                session.client_session = None;
                session.turn = None;
                session.stop_streak = 0;
            }
            SessionVerb::AttachClientSession { client_session, .. } => {
                self.snapshot.session.client_session = Some(client_session.clone());
            }
            SessionVerb::SetActivitySummary { .. } => {}
        }
    }

    fn begin_turn(&mut self, turn: Option<&str>, typed: bool) {
        let posted = self.snapshot.session.posted_turns > 0;
        let has_turn_deliveries =
            self.snapshot.session.stop_streak > 0 || self.snapshot.has_closed_deliveries;
        match turn {
            _ if typed && (posted || has_turn_deliveries) => {
                self.set_posted_turns(0);
                self.snapshot.has_closed_deliveries = false;
                self.set_stop_streak(turn.unwrap_or_default(), 0);
            }
            Some(turn) if !typed && has_turn_deliveries => {
                self.enter_turn(turn);
            }
            _ => {}
        }
    }

    /// Enters a turn. Returns whether it is a new one.
    fn enter_turn(&mut self, turn: &str) -> bool {
        for pending in &mut self.snapshot.inbox.questions {
            let delivery = &mut pending.delivery;
            if delivery.delivery_count > 0 && delivery.turn.is_none() {
                delivery.turn = Some(turn.to_owned());
            }
        }
        let is_new = self.snapshot.session.turn.as_deref() != Some(turn);
        if is_new {
            self.set_stop_streak(turn, 0);
        }
        is_new
    }

    fn count_peer_turn(&mut self, turn: Option<&str>) {
        if turn.is_none_or(|turn| self.enter_turn(turn)) {
            self.set_posted_turns(self.snapshot.session.posted_turns + 1);
        }
    }

    fn record_stop_block(&mut self, items: &DeliveredItems, turn: &str, count: u32, now_ms: i64) {
        let ids = &items.questions;
        let questions = &self.snapshot.inbox.questions;
        let starts_count: Vec<bool> = questions
            .iter()
            .map(|pending| {
                let delivery = &pending.delivery;
                delivery.turn.as_deref() != Some(turn)
                    || delivery.stop_blocks_in_turn == 0
                    || count == 1
            })
            .collect();
        self.deliver(items, Some(turn), now_ms);
        let questions = self.snapshot.inbox.questions.iter_mut();
        for (pending, starts_count) in questions.zip(starts_count) {
            let delivery = &mut pending.delivery;
            if ids.contains(&delivery.question.id) {
                delivery.stop_blocks += 1;
                let before = if starts_count {
                    0
                } else {
                    delivery.stop_blocks_in_turn
                };
                delivery.stop_blocks_in_turn = before + 1;
            }
        }
        self.set_stop_streak(turn, count);
    }

    fn deliver(&mut self, items: &DeliveredItems, turn: Option<&str>, now_ms: i64) {
        let inbox = &mut self.snapshot.inbox;
        for pending in &mut inbox.questions {
            let delivery = &mut pending.delivery;
            if items.questions.contains(&delivery.question.id) {
                delivery.delivery_count += 1;
                if delivery.turn.as_deref() != turn {
                    delivery.stop_blocks_in_turn = 0;
                }
                if turn.is_some() {
                    delivery.turn = turn.map(str::to_owned);
                }
                delivery.question.held = None;
                delivery.question.shown_at_ms.get_or_insert(now_ms);
                delivery.question.shown_times += 1;
            }
        }
        for late in &mut inbox.answers {
            if items.answers.contains(&late.question.id) {
                late.question.answer_shown_at_ms.get_or_insert(now_ms);
            }
        }
        inbox
            .granted
            .retain(|granted| !items.granted.contains(&granted.claim.id));
        let before = inbox.mail.len();
        inbox
            .mail
            .retain(|message| Some(message.id) > items.mail_up_to);
        let mentioned = u32::try_from(before - inbox.mail.len()).unwrap_or(0);
        self.snapshot.unmentioned_mail = self.snapshot.unmentioned_mail.saturating_sub(mentioned);
        // What the snapshot has no text of comes with the next one.
        inbox.has_new_mail = !inbox.mail.is_empty();
    }

    fn set_posted_turns(&mut self, turns: u32) {
        self.snapshot.session.posted_turns = turns;
        self.snapshot.throttle.posted_turns = turns;
    }

    fn set_stop_streak(&mut self, turn: &str, count: u32) {
        let session = &mut self.snapshot.session;
        session.turn = Some(turn.to_owned());
        session.stop_streak = count;
    }
}
