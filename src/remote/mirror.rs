//! The state of a session on another host, as its program has it in memory: hooks read it and change it at once, and what they
//! have done is sent to the hub behind them.
//!
//! Each change is a numbered verb. A snapshot from the hub says which verbs it includes; later ones are applied to it again,
//! so nothing is delivered twice while the hub is far away or out of reach.
use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;

use crate::hooks::HookMesh;
use crate::mesh::{
    DeliveredItems, EndingTurn, Inbox, PendingQuestion, SessionHandle, SessionSnapshot,
    SessionVerb, SnapshotClock, StopBlock, StopStreak, UnmentionedMail, WakeLineStatus,
    decide_stop,
};
use crate::model::activity_summary::ActivitySummary;
use crate::model::{Refusal, Result, WakeState};
use crate::platform::{Clock, Fault, Moment, SystemClock};
use crate::store::Claim;

/// Verbs that are kept while the hub is out of reach. Older ones are dropped: they say what was shown long ago.
const QUEUE_MAX: usize = 1_000;
/// How many are sent at once.
const BATCH_MAX: usize = 50;

/// A verb with its number.
#[derive(Debug, Clone, Serialize)]
pub(super) struct NumberedVerb {
    pub(super) number: i64,
    pub(super) verb: SessionVerb,
}

/// The mirror of one session.
pub(super) struct SessionMirror {
    clock: Arc<SystemClock>,
    state: Option<State>,
    queue: VecDeque<NumberedVerb>,
    next_number: i64,
    activity: Option<String>,
    summary: ActivitySummary,
    waiting_calls: u32,
    /// When something last came from the hub, by the clock of this machine.
    last_contact_monotonic_ms: i64,
}

/// What the hub has said last, with what was done since.
struct State {
    snapshot: SessionSnapshot,
    clock: SnapshotClock,
    received_monotonic_ms: i64,
}

impl SessionMirror {
    pub(super) fn new(clock: Arc<SystemClock>) -> Self {
        Self {
            last_contact_monotonic_ms: clock.now().monotonic_ms,
            clock,
            state: None,
            queue: VecDeque::new(),
            next_number: 1,
            activity: None,
            summary: ActivitySummary::default(),
            waiting_calls: 0,
        }
    }

    /// Begins with a registered session whose last verb had this number. Verbs of an earlier session are dropped.
    pub(super) fn begin(&mut self, applied_verb: i64, is_same_session: bool) {
        if !is_same_session {
            self.queue.clear();
            self.state = None;
        }
        self.drop_applied(applied_verb);
        if self.queue.is_empty() {
            self.next_number = applied_verb + 1;
        }
    }

    /// Takes a snapshot.
    pub(super) fn take(&mut self, snapshot: SessionSnapshot, clock: SnapshotClock) {
        self.drop_applied(snapshot.applied_verb);
        let mut state = State {
            snapshot,
            clock,
            received_monotonic_ms: self.clock.now().monotonic_ms,
        };
        for queued in &self.queue {
            state.apply(&queued.verb);
        }
        self.state = Some(state);
        self.record_contact();
    }

    /// Records that something came from the hub.
    pub(super) fn record_contact(&mut self) {
        self.last_contact_monotonic_ms = self.clock.now().monotonic_ms;
    }

    /// Returns for how long nothing came from the hub, in milliseconds.
    pub(super) fn silent_ms(&self) -> i64 {
        self.clock.now().monotonic_ms - self.last_contact_monotonic_ms
    }

    /// Returns the session as the hub has described it last; `None` before that.
    pub(super) fn me(&self) -> Option<SessionHandle> {
        Some(self.state.as_ref()?.snapshot.me.clone())
    }

    pub(super) fn unread(&self) -> u32 {
        self.state.as_ref().map_or(0, |state| state.snapshot.unread)
    }

    /// Returns the exclusive claim of another session on a resource, unless its lease has ended.
    pub(super) fn claim_on(&self, resource: &str) -> Option<&Claim> {
        let now_ms = self.now().monotonic_ms;
        let claims = &self.state.as_ref()?.snapshot.claims;
        claims.iter().find(|claim| {
            claim.resource == resource && now_ms < claim.lease.expires_at_monotonic_ms
        })
    }

    /// Returns the verbs to send next, oldest first.
    pub(super) fn unsent(&self) -> Vec<NumberedVerb> {
        self.queue.iter().take(BATCH_MAX).cloned().collect()
    }

    /// Drops the verbs that the hub has carried out.
    pub(super) fn drop_applied(&mut self, number: i64) {
        self.queue.retain(|queued| queued.number > number);
    }

    /// Returns what the session does, as its hooks have seen it last.
    pub(super) fn activity(&self) -> Option<&str> {
        self.activity.as_deref()
    }

    /// Records what the session does. Returns whether that is new.
    pub(super) fn set_activity(&mut self, activity: &str) -> bool {
        let is_new = self.activity.as_deref() != Some(activity);
        self.activity = Some(activity.to_owned());
        is_new
    }

    /// Counts a call that begins or ends to wait.
    pub(super) fn count_waiting_call(&mut self, begins: bool) {
        self.waiting_calls = if begins {
            self.waiting_calls + 1
        } else {
            self.waiting_calls.saturating_sub(1)
        };
    }

    /// Records something that the session has done.
    pub(super) fn record(&mut self, verb: SessionVerb) {
        if let Some(state) = &mut self.state {
            state.apply(&verb);
        }
        if self.queue.len() == QUEUE_MAX {
            self.queue.pop_front();
        }
        let number = self.next_number;
        self.next_number += 1;
        self.queue.push_back(NumberedVerb { number, verb });
    }

    fn state(&self) -> Result<&State> {
        self.state
            .as_ref()
            .ok_or_else(|| Refusal::conflict("the hub has not described this session yet").into())
    }
}

impl State {
    /// Changes the snapshot as the mesh changes when it carries out a verb.
    fn apply(&mut self, verb: &SessionVerb) {
        let session = &mut self.snapshot.session;
        match verb {
            SessionVerb::BeginTurn { turn, typed } => {
                if *typed {
                    session.posted_turns = 0;
                    session.stop_streak = 0;
                    session.turn.clone_from(turn);
                    self.snapshot.throttle.posted_turns = 0;
                } else if let Some(turn) = turn {
                    self.enter_turn(turn);
                }
            }
            SessionVerb::RecordTurn { turn } => self.enter_turn(turn),
            SessionVerb::MarkDelivered {
                items,
                turn,
                channel,
            } => {
                if matches!(channel, WakeState::Inbox | WakeState::Rewake) {
                    session.wake_attempt = None;
                    session.posted_turns += 1;
                    self.snapshot.throttle.posted_turns += 1;
                }
                if let Some(turn) = turn {
                    self.enter_turn(turn);
                }
                self.deliver(items, turn.as_deref());
            }
            SessionVerb::RecordStopBlock { items, turn, count } => {
                self.deliver(items, Some(turn));
                let first = *count == 1;
                for pending in self.selected(&items.questions) {
                    let delivery = &mut pending.delivery;
                    delivery.stop_blocks += 1;
                    delivery.stop_blocks_in_turn = if first {
                        1
                    } else {
                        delivery.stop_blocks_in_turn + 1
                    };
                }
                let session = &mut self.snapshot.session;
                session.turn = Some(turn.clone());
                session.stop_streak = *count;
            }
            SessionVerb::ClearWakeAttempt | SessionVerb::RecordWakeFailure { .. } => {
                session.wake_attempt = None;
            }
            SessionVerb::DetachClientSession => {
                session.client_session = None;
                session.turn = None;
                session.stop_streak = 0;
            }
            SessionVerb::SetActivitySummary { .. } => {}
        }
    }

    fn enter_turn(&mut self, turn: &str) {
        for pending in &mut self.snapshot.inbox.questions {
            let delivery = &mut pending.delivery;
            if delivery.delivery_count > 0 && delivery.turn.is_none() {
                delivery.turn = Some(turn.to_owned());
            }
        }
        let session = &mut self.snapshot.session;
        if session.turn.as_deref() != Some(turn) {
            session.turn = Some(turn.to_owned());
            session.stop_streak = 0;
        }
    }

    fn deliver(&mut self, items: &DeliveredItems, turn: Option<&str>) {
        for pending in self.selected(&items.questions) {
            pending.delivery.delivery_count += 1;
            pending.delivery.turn = turn.map(str::to_owned);
        }
        let inbox = &mut self.snapshot.inbox;
        inbox
            .answers
            .retain(|late| !items.answers.contains(&late.question.id));
        inbox
            .granted
            .retain(|granted| !items.granted.contains(&granted.claim.id));
        let before = inbox.mail.len();
        inbox
            .mail
            .retain(|message| Some(message.id) > items.mail_up_to);
        let mentioned = u32::try_from(before - inbox.mail.len()).unwrap_or(0);
        self.snapshot.unmentioned_mail = self.snapshot.unmentioned_mail.saturating_sub(mentioned);
        inbox.has_new_mail = self.snapshot.unmentioned_mail > 0 && !inbox.mail.is_empty();
    }

    fn selected(
        &mut self,
        ids: &[crate::platform::id::QuestionId],
    ) -> impl Iterator<Item = &mut PendingQuestion> {
        let questions = self.snapshot.inbox.questions.iter_mut();
        questions.filter(move |pending| ids.contains(&pending.delivery.question.id))
    }
}

impl HookMesh for SessionMirror {
    /// Returns the time of the mesh, by the reading that came with the snapshot.
    fn now(&self) -> Moment {
        let now = self.clock.now();
        let Some(state) = &self.state else {
            return now;
        };
        let since_ms = now.monotonic_ms - state.received_monotonic_ms;
        Moment {
            wall_ms: state.clock.wall_ms + since_ms,
            monotonic_ms: state.clock.monotonic_ms + since_ms,
            boot: state.clock.boot.as_str().into(),
        }
    }

    fn inbox(&mut self, _: &SessionHandle) -> Result<Inbox> {
        let mut inbox = self.state()?.snapshot.inbox.clone();
        inbox.mail.clear();
        Ok(inbox)
    }

    fn unmentioned_mail(&mut self, _: &SessionHandle) -> Result<UnmentionedMail> {
        let snapshot = &self.state()?.snapshot;
        Ok(UnmentionedMail {
            messages: snapshot.inbox.mail.clone(),
            count: snapshot.unmentioned_mail,
        })
    }

    fn is_waiting(&mut self, _: &SessionHandle) -> Result<bool> {
        Ok(self.waiting_calls > 0)
    }

    fn wake_line_status(&mut self, _: &SessionHandle, nonce: &str) -> Result<WakeLineStatus> {
        let now_ms = self.now().wall_ms;
        let is_waiting = self.waiting_calls > 0;
        let snapshot = &self.state()?.snapshot;
        let attempt = snapshot.session.wake_attempt.as_ref();
        Ok(
            if !is_waiting && snapshot.throttle.throttled(now_ms).is_some() {
                WakeLineStatus::Throttled
            } else if attempt.is_some_and(|attempt| attempt.nonce == nonce) {
                WakeLineStatus::Read
            } else {
                WakeLineStatus::Unknown
            },
        )
    }

    fn clear_wake_attempt(&mut self, _: &SessionHandle) -> Result<()> {
        self.record(SessionVerb::ClearWakeAttempt);
        Ok(())
    }

    fn begin_turn(&mut self, _: &SessionHandle, turn: Option<&str>, typed: bool) -> Result<()> {
        let turn = turn.map(str::to_owned);
        self.record(SessionVerb::BeginTurn { turn, typed });
        Ok(())
    }

    fn record_turn(&mut self, _: &SessionHandle, turn: &str) -> Result<()> {
        let turn = turn.to_owned();
        self.record(SessionVerb::RecordTurn { turn });
        Ok(())
    }

    fn mark_delivered(
        &mut self,
        _: &SessionHandle,
        shown: &Inbox,
        turn: Option<&str>,
        channel: WakeState,
    ) -> Result<()> {
        if !shown.is_empty() {
            self.record(SessionVerb::MarkDelivered {
                items: DeliveredItems::of(shown),
                turn: turn.map(str::to_owned),
                channel,
            });
        }
        Ok(())
    }

    fn decide_stop<'a>(
        &mut self,
        _: &SessionHandle,
        turn: EndingTurn<'a>,
    ) -> Result<Option<StopBlock<'a>>> {
        let now_ms = self.now().wall_ms;
        let snapshot = &self.state()?.snapshot;
        if snapshot.throttle.by_person().throttled(now_ms).is_some() {
            return Ok(None);
        }
        let questions = snapshot.inbox.questions.clone();
        Ok(decide_stop(questions, &snapshot.session, turn))
    }

    fn record_stop_block(
        &mut self,
        _: &SessionHandle,
        shown: &Inbox,
        streak: StopStreak,
    ) -> Result<()> {
        self.record(SessionVerb::RecordStopBlock {
            items: DeliveredItems::of(shown),
            turn: streak.turn.to_owned(),
            count: streak.count,
        });
        Ok(())
    }

    fn update_activity_summary(
        &mut self,
        _: &SessionHandle,
        change: impl FnOnce(ActivitySummary) -> ActivitySummary,
    ) -> std::result::Result<(), Fault> {
        let summary = change(self.summary.clone());
        if summary != self.summary {
            self.summary = summary.clone();
            let summary = Some(summary);
            self.record(SessionVerb::SetActivitySummary { summary });
        }
        Ok(())
    }

    fn clear_activity_summary(&mut self, _: &SessionHandle) {
        if self.summary != ActivitySummary::default() {
            self.summary = ActivitySummary::default();
            self.record(SessionVerb::SetActivitySummary { summary: None });
        }
    }

    fn stop_waiting_for_lock(&mut self) {}
}
