//! The mirror of a session: its state in the mesh, kept in memory: hooks read it and change it at once, and what they
//! have done is sent to the hub behind them.
//!
//! Each change is a numbered verb. A snapshot from the hub says which verbs it includes; later ones are applied to it again,
//! so nothing is delivered twice while the hub is far away or out of reach.
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::hooks::HookMesh;
use crate::mesh::{
    DeliveredItems, EndingTurn, Inbox, SessionHandle, SessionSnapshot, SessionVerb, SnapshotClock,
    StopBlock, StopStreak, UnmentionedMail, WakeLineStatus, decide_stop,
};
use crate::model::activity_summary::ActivitySummary;
use crate::model::{PeerKind, Refusal, Result, WakeState};
use crate::platform::id::{ClaimId, QuestionId, SessionId};
use crate::platform::{Clock, Fault, Moment};
use crate::remote::mirror_state::MirrorState;
use crate::remote::verb_queue::{NumberedVerb, VerbQueue};
use crate::store::Claim;

/// What the client of the session does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ClientFacts {
    /// `busy`, `idle` or `waiting`, as a hook or its registry has said last.
    pub(super) activity: Option<String>,
    /// Whether a waiting hook runs beside it.
    pub(super) waiting_hook: bool,
    /// `None` until it is known.
    pub(super) inbox: Option<InboxReport>,
}

/// The inbox of the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct InboxReport {
    /// Why no line can be posted to it; `None` if one can.
    problem: Option<String>,
}

/// The mirror of one session.
#[derive(Clone)]
pub(super) struct SessionMirror {
    clock: Arc<dyn Clock>,
    session: Option<SessionId>,
    state: Option<MirrorState>,
    queue: VerbQueue,
    facts: ClientFacts,
    /// The facts that the hub knows.
    sent_facts: ClientFacts,
    /// When a hook last showed what the session does.
    hook_monotonic_ms: Option<i64>,
    summary: ActivitySummary,
    waiting_calls: u32,
    /// Whether the model has got its name and the others.
    start_reported: bool,
    /// How many calls of this session the hub had carried out at the last snapshot.
    calls: u64,
    /// How many calls it has carried out by their results.
    expected_calls: u64,
    /// When something last came from the hub, by the clock of this machine.
    last_contact_monotonic_ms: i64,
    /// The claims of which the person was told that they may have ended.
    reported_stale: HashSet<ClaimId>,
    /// Questions whose answers are kept because the hub is out of reach.
    answered: HashSet<QuestionId>,
}

impl SessionMirror {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            last_contact_monotonic_ms: clock.now().monotonic_ms,
            clock,
            session: None,
            state: None,
            queue: VerbQueue::default(),
            facts: ClientFacts::default(),
            sent_facts: ClientFacts::default(),
            hook_monotonic_ms: None,
            summary: ActivitySummary::default(),
            waiting_calls: 0,
            start_reported: false,
            calls: 0,
            expected_calls: 0,
            reported_stale: HashSet::new(),
            answered: HashSet::new(),
        }
    }

    /// Goes on with a registered session, of whose verbs the hub has carried out those up to this number.
    pub(super) fn begin(&mut self, session: SessionId, applied_verb: i64) {
        if self.session == Some(session) {
            self.queue.resume(applied_verb);
        } else {
            self.queue.begin(applied_verb);
            self.state = None;
        }
        self.session = Some(session);
        self.sent_facts = ClientFacts::default();
        (self.calls, self.expected_calls) = (0, 0);
    }

    /// Returns whether it goes on with that session.
    pub(super) fn is_of(&self, session: SessionId) -> bool {
        self.session == Some(session)
    }

    /// Takes a snapshot that the hub made after it had carried out a number of calls of this session; not one of an earlier
    /// session.
    pub(super) fn take(&mut self, snapshot: SessionSnapshot, clock: SnapshotClock, calls: u64) {
        if !self.is_of(snapshot.me.session) {
            return;
        }
        self.queue.confirm_included(snapshot.applied_verb);
        let here = self.clock.now();
        let mut state = MirrorState::new(snapshot, clock, &here);
        state.remove_questions(&self.answered);
        let now_ms = state.mesh_time(&here).wall_ms;
        for verb in self.queue.iter() {
            state.apply(verb, now_ms);
        }
        self.state = Some(state);
        self.calls = calls;
        self.record_contact();
    }

    /// Hides a question whose answer is kept and not delivered yet: the model must not be asked again.
    pub(super) fn hide_answered(&mut self, question: QuestionId) {
        self.answered.insert(question);
        if let Some(state) = &mut self.state {
            state.remove_questions(&self.answered);
        }
    }

    /// Shows a question again with the next snapshot, if it is still pending: its kept answer was refused.
    pub(super) fn show_refused(&mut self, question: QuestionId) {
        self.answered.remove(&question);
    }

    /// Records that something came from the hub.
    pub(super) fn record_contact(&mut self) {
        self.last_contact_monotonic_ms = self.clock.now().monotonic_ms;
        self.reported_stale.clear();
    }

    /// Returns for how long nothing came from the hub, in milliseconds.
    pub(super) fn silent_ms(&self) -> i64 {
        self.clock.now().monotonic_ms - self.last_contact_monotonic_ms
    }

    /// Returns the session as the hub has described it last; `None` before that.
    pub(super) fn me(&self) -> Option<SessionHandle> {
        Some(self.state.as_ref()?.snapshot.me.clone())
    }

    /// Returns the session if its model gets what is pending: a run without a mailbox does not.
    pub(super) fn addressable(&self) -> Option<SessionHandle> {
        self.me().filter(|me| me.kind != PeerKind::Run)
    }

    /// Returns the conversation that the session is registered with.
    pub(super) fn client_session(&self) -> Option<&str> {
        let snapshot = &self.state.as_ref()?.snapshot;
        snapshot.session.client_session.as_deref()
    }

    pub(super) fn unread(&self) -> u32 {
        self.state.as_ref().map_or(0, |state| state.snapshot.unread)
    }

    /// Records a result that says how many calls of the session have ended: a snapshot will include them.
    pub(super) fn expect_calls(&mut self, session: SessionId, calls: u64) {
        if self.is_of(session) {
            self.expected_calls = self.expected_calls.max(calls);
        }
    }

    /// Returns whether a call has returned a result that the last snapshot does not include.
    pub(super) fn lacks_calls(&self) -> bool {
        self.calls < self.expected_calls
    }

    /// Returns the exclusive claim of another session on a resource, as the hub has described it last.
    pub(super) fn claim_on(&self, resource: &str) -> Option<&Claim> {
        let mut claims = self.state.as_ref()?.snapshot.claims.iter();
        claims.find(|claim| claim.resource == resource)
    }

    /// Returns whether the person is to be told that a claim may have ended: once, unless its lease has.
    pub(super) fn tell_stale(&mut self, claim: &Claim) -> bool {
        self.now().monotonic_ms < claim.lease.expires_at_monotonic_ms
            && self.reported_stale.insert(claim.id)
    }

    /// Returns the verbs to send next, oldest first.
    pub(super) fn unsent(&self) -> Vec<NumberedVerb> {
        self.queue.unsent()
    }

    /// Returns the queue of verbs.
    pub(super) fn queue(&mut self) -> &mut VerbQueue {
        &mut self.queue
    }

    /// Returns what the client does.
    pub(super) fn facts(&self) -> &ClientFacts {
        &self.facts
    }

    /// Records what a hook shows of what the session does.
    pub(super) fn set_activity(&mut self, activity: &str) {
        self.facts.activity = Some(activity.to_owned());
        self.hook_monotonic_ms = Some(self.clock.now().monotonic_ms);
    }

    /// Records whether a line can be posted to the inbox of the client.
    pub(super) fn set_inbox_problem(&mut self, problem: Option<String>) {
        self.facts.inbox = Some(InboxReport { problem });
    }

    /// Records what the registry of the client says that the session does.
    pub(super) fn set_registry_activity(&mut self, activity: &str) {
        self.facts.activity = Some(activity.to_owned());
    }

    /// Returns how long ago a hook has shown what the session does.
    pub(super) fn since_hook_activity(&self) -> Duration {
        let now_ms = self.clock.now().monotonic_ms;
        let since_ms = self.hook_monotonic_ms.map(|shown_ms| now_ms - shown_ms);
        since_ms.map_or(Duration::MAX, |since_ms| {
            Duration::from_millis(u64::try_from(since_ms).unwrap_or(0))
        })
    }

    /// Records whether a waiting hook runs beside the client.
    pub(super) fn set_waiting_hook(&mut self, runs: bool) {
        self.facts.waiting_hook = runs;
    }

    /// Returns whether the hub does not know yet what the client does.
    pub(super) fn has_unsent_facts(&self) -> bool {
        self.facts != self.sent_facts
    }

    /// Records that the hub knows these facts.
    pub(super) fn confirm_facts(&mut self, facts: ClientFacts) {
        self.sent_facts = facts;
    }

    /// Forgets what the session was working on, because its client begins another conversation.
    pub(super) fn forget_activity_summary(&mut self) {
        self.summary = ActivitySummary::default();
    }

    /// Returns whether the model has got its name and the others.
    pub(super) fn is_start_reported(&self) -> bool {
        self.start_reported
    }

    /// Records whether the model has got its name and the others.
    pub(super) fn set_start_reported(&mut self, reported: bool) {
        self.start_reported = reported;
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
        let now_ms = self.now().wall_ms;
        if let Some(state) = &mut self.state {
            state.apply(&verb, now_ms);
        }
        self.queue.push(verb);
    }

    fn snapshot(&self) -> Result<&SessionSnapshot> {
        let state = self
            .state
            .as_ref()
            .ok_or_else(|| Refusal::conflict("the hub has not described this session yet"))?;
        Ok(&state.snapshot)
    }
}

impl HookMesh for SessionMirror {
    /// Returns the time of the mesh, by the reading that came with the snapshot.
    fn now(&self) -> Moment {
        let here = self.clock.now();
        let state = self.state.as_ref();
        state.map_or_else(|| here.clone(), |state| state.mesh_time(&here))
    }

    fn inbox(&mut self, _: &SessionHandle) -> Result<Inbox> {
        let now_ms = self.now().wall_ms;
        let mut inbox = self.snapshot()?.inbox.clone();
        inbox
            .questions
            .retain(|pending| pending.delivery.question.expires_at_ms > now_ms);
        inbox.mail.clear();
        Ok(inbox)
    }

    fn unmentioned_mail(&mut self, _: &SessionHandle) -> Result<UnmentionedMail> {
        let snapshot = self.snapshot()?;
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
        let snapshot = self.snapshot()?;
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
        me: &SessionHandle,
        turn: EndingTurn<'a>,
    ) -> Result<Option<StopBlock<'a>>> {
        let now_ms = self.now().wall_ms;
        let snapshot = self.snapshot()?;
        if snapshot.throttle.by_person().throttled(now_ms).is_some() {
            return Ok(None);
        }
        let session = snapshot.session.clone();
        let questions = self.inbox(me)?.questions;
        Ok(decide_stop(questions, &session, turn))
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
