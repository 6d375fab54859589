//! The doorbell into a session's own inbox: when a line is posted there, when not, and what became of it.
//!
//! Rung for are questions, late answers, messages that wake, and claims whose turn came while no call waited for it.
//!
//! One ring at a time: what comes later rides on it. Three seconds without a showing count only while the session is idle:
//! then one more ring, then the wake-up has failed. At a busy session, or one at a dialog, the line waits, and so do we.
//!
//! Where a waiting hook runs, the wake is left to it (`rewake`): its person has put it in because lines do not arrive. It gets
//! the session as soon as it is idle; the line is what is left if it lets its time go by, or dies.
use serde_json::json;

use crate::mesh::peer::liveness::HostView;
use crate::mesh::question::inbox::{granted, late_answers};
use crate::mesh::wake::events::WakeEvents;
use crate::mesh::wake::hook_wake::{DEFERRED_TO_WAIT_HOOK, defer_to_wait_hook};
use crate::mesh::wake::throttle::{throttled, throttled_now, wake_askers};
use crate::mesh::{Mesh, PendingWakeups, SessionHandle};
use crate::model::throttle::{PersonAlert, Throttled};
use crate::model::{Activity, EventKind, Result};
use crate::platform::id::QuestionId;
use crate::store::{Tx, WakeAttempt};

/// An idle session that was rung shows the question within this time, or is rung once more.
pub(in crate::mesh) const IDLE_RESPONSE_MS: i64 = 3_000;
/// How often an idle session is rung for the same questions.
const WAKE_ATTEMPTS_MAX: u32 = 2;
/// How often a session that is busy, or of which nothing is known, is looked at again while a ring is out.
pub(in crate::mesh) const RECHECK_MS: i64 = 2_000;
/// A ring that a busy session has not read after this time is left to the Stop hook.
const WAKE_TIMEOUT_MS: i64 = 600_000;

/// What the server of a session has to do for it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WakeAction {
    /// Nothing, until the bell rings or it is time to look again.
    Wait {
        /// After how many milliseconds; `None` is only when the bell rings.
        after_ms: Option<i64>,
        /// Why its person should be told that something waits.
        needs_person: Option<PersonAlert>,
    },
    /// Post a line into the session's inbox.
    Post {
        /// What the line carries.
        nonce: String,
        /// Who asks, the oldest question first.
        from: Vec<String>,
        /// How many late answers wait.
        answers: usize,
        /// Who has posted a message that wakes, the oldest first.
        mail: Vec<String>,
        /// How many claims have been granted without the session knowing.
        granted: usize,
    },
}

/// What the inbox of a session does with a line, as its server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxState {
    /// It takes one.
    Open,
    /// It would drop one without a word; after so many milliseconds it takes one.
    Full {
        /// How many.
        for_ms: i64,
    },
    /// There is none, and why.
    Missing(String),
}

/// What became of a doorbell line that a hook has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoorbellStatus {
    /// The session may read it.
    Read,
    /// A brake was put on after it was posted.
    Throttled,
    /// It is none of ours, or of an earlier session.
    Unknown,
}

impl WakeAction {
    /// There is nothing to do until the bell rings.
    const NONE: Self = Self::Wait {
        after_ms: None,
        needs_person: None,
    };

    /// Look again after so many milliseconds; at a dialog the person is needed.
    pub(in crate::mesh) fn recheck_after(after_ms: i64, activity: Activity) -> Self {
        Self::Wait {
            after_ms: Some(after_ms),
            needs_person: (activity == Activity::Waiting).then_some(PersonAlert::Dialog),
        }
    }
}

impl Mesh {
    /// Decides whether to ring for what waits for a session. `letterbox` is looked at when a line is due.
    pub fn attend(
        &mut self,
        me: &SessionHandle,
        inbox_state: impl Fn() -> InboxState,
    ) -> Result<WakeAction> {
        if !me.is_addressable() {
            return Ok(WakeAction::NONE);
        }
        let nothing_pending = self.read(|tx, host| {
            let has_attempt = tx
                .session(me.session)?
                .is_some_and(|session| session.wake_attempt.is_some());
            Ok(!has_attempt && PendingItems::of(tx, host, me, false)?.is_empty())
        })?;
        if nothing_pending {
            return Ok(WakeAction::NONE);
        }
        self.write(|tx, host, wakeups| attend(tx, host, wakeups, me, &inbox_state))
    }

    /// Returns whether what its person was told about a session is still so.
    pub fn still_needs_person(&mut self, me: &SessionHandle, needs: PersonAlert) -> Result<bool> {
        self.read(|tx, host| {
            let (Some(session), Some(peer)) = (tx.session(me.session)?, tx.peer(me.peer)?) else {
                return Ok(false);
            };
            if needs == PersonAlert::Dialog {
                return Ok(host.activity(&session, &tx.now) == Activity::Waiting);
            }
            let held = throttled_now(tx, host, &peer, &session)?;
            Ok(held.and_then(PersonAlert::from_throttle) == Some(needs))
        })
    }

    /// Notes that the line could not be posted. The askers are told why.
    pub fn record_wake_failure(&mut self, me: &SessionHandle, problem: &str) -> Result<()> {
        self.write(|tx, host, wakeups| {
            let pending_items = PendingItems::of(tx, host, me, false)?;
            WakeEvents::of(tx, host, wakeups, me, pending_items).record_failure(problem)
        })
    }

    /// Returns what a doorbell line is worth that a prompt consists of.
    pub fn doorbell_status(&mut self, me: &SessionHandle, nonce: &str) -> Result<DoorbellStatus> {
        self.read(|tx, host| {
            let (Some(session), Some(peer)) = (tx.session(me.session)?, tx.peer(me.peer)?) else {
                return Ok(DoorbellStatus::Unknown);
            };
            let known = session
                .wake_attempt
                .as_ref()
                .is_some_and(|attempt| attempt.nonce == nonce);
            Ok(match throttled(tx, host, &peer, &session)? {
                Some(_) => DoorbellStatus::Throttled,
                None if known => DoorbellStatus::Read,
                None => DoorbellStatus::Unknown,
            })
        })
    }

    /// Notes that a doorbell was read which rang for nothing any more. One that brings something is read when that is
    /// marked as shown: a server that looks in between must not ring once more.
    pub fn clear_wake_attempt(&mut self, me: &SessionHandle) -> Result<()> {
        self.write(|tx, _, _| Ok(tx.set_wake_attempt(me.session, None)?))
    }
}

fn attend(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    inbox_state: &dyn Fn() -> InboxState,
) -> Result<WakeAction> {
    let (ring, pending_items, activity) = match decide_wake(tx, host, wakeups, me, false)? {
        WakeDecision::Now {
            ring,
            pending_items,
            activity,
        } => (ring, pending_items, activity),
        WakeDecision::NotNow { after_ms, held } => {
            let needs_person = held.and_then(PersonAlert::from_throttle);
            return Ok(WakeAction::Wait {
                after_ms,
                needs_person,
            });
        }
    };
    if let Some(ring) = ring
        .as_ref()
        .filter(|ring| ring.count != DEFERRED_TO_WAIT_HOOK)
    {
        return WakeEvents::of(tx, host, wakeups, me, pending_items).wait_for_response(
            ring,
            activity,
            inbox_state,
        );
    }
    if host.doorbells.is_hook_waiter_running(me.session)
        && let Some(action) = defer_to_wait_hook(tx, wakeups, me, ring.as_ref(), activity)?
    {
        return Ok(action);
    }
    WakeEvents::of(tx, host, wakeups, me, pending_items).ring(1, activity, inbox_state)
}

/// What a session is to be woken for.
#[derive(Debug, Default)]
pub(in crate::mesh) struct PendingItems {
    /// Questions it has never seen.
    pub(in crate::mesh) undelivered_questions: Vec<QuestionId>,
    /// How many late answers it has not been shown.
    pub(in crate::mesh) answers: usize,
    /// Who has posted a command or an alert it was not told of.
    pub(in crate::mesh) mail: Vec<String>,
    /// How many claims it holds without knowing.
    pub(in crate::mesh) granted: usize,
}

impl PendingItems {
    /// Looks; for questions that ringing has failed only `include_failed`.
    pub(in crate::mesh) fn of(
        tx: &Tx,
        host: &HostView,
        me: &SessionHandle,
        include_failed: bool,
    ) -> Result<Self> {
        let pending_flags = tx.pending_flags(me.peer, me.session)?;
        let mut pending_items = Self {
            granted: granted(tx, me, pending_flags)?.len(),
            ..Self::default()
        };
        if pending_flags.questions {
            pending_items.undelivered_questions =
                tx.undelivered_questions(me.peer, me.session, include_failed)?;
        }
        if pending_flags.answers {
            pending_items.answers = count_unshown_answers(tx, host, me)?;
        }
        if pending_flags.mail {
            pending_items.mail = tx.senders_of_waking_mail(me.peer)?;
        }
        Ok(pending_items)
    }

    fn only_mail_and_claims(self) -> Self {
        Self {
            mail: self.mail,
            granted: self.granted,
            ..Self::default()
        }
    }

    /// Somebody wants something of the session; what it has asked for itself can wait without its person.
    fn has_peer_requests(&self) -> bool {
        !self.undelivered_questions.is_empty() || !self.mail.is_empty()
    }

    pub(in crate::mesh) fn is_empty(&self) -> bool {
        self.undelivered_questions.is_empty()
            && self.answers == 0
            && self.mail.is_empty()
            && self.granted == 0
    }
}

/// Whether a session should be woken.
pub(in crate::mesh) enum WakeDecision {
    /// For what it has not seen yet, if what it does allows it.
    Now {
        ring: Option<WakeAttempt>,
        pending_items: PendingItems,
        activity: Activity,
    },
    /// There is nothing to wake it for, or a brake is on; that may change after so many milliseconds.
    NotNow {
        after_ms: Option<i64>,
        /// The brake that holds back what others want of it.
        held: Option<Throttled>,
    },
}

/// Returns whether a session should be woken; for what ringing has failed only `include_failed`. What a brake holds back is noted
/// as held.
pub(in crate::mesh) fn decide_wake(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    include_failed: bool,
) -> Result<WakeDecision> {
    let not_now = Ok(WakeDecision::NotNow {
        after_ms: None,
        held: None,
    });
    let (Some(session), Some(peer)) = (tx.session(me.session)?, tx.peer(me.peer)?) else {
        return not_now;
    };
    if session.ended_at_ms.is_some() {
        return not_now;
    }
    let mut pending_items = PendingItems::of(tx, host, me, include_failed)?;
    if pending_items.is_empty() {
        tx.set_wake_attempt(me.session, None)?;
        return not_now;
    }
    if tx.newest_wait(me.session)?.is_some() {
        // A call of this session that waits returns with the question; that is the better way. With mail it does not.
        pending_items = pending_items.only_mail_and_claims();
        if pending_items.is_empty() {
            return not_now;
        }
    }
    if let Some(held) = throttled_now(tx, host, &peer, &session)? {
        for id in &pending_items.undelivered_questions {
            hold_question(tx, wakeups, me, *id, held.reason.as_str())?;
        }
        // A line that is out will be swallowed; when the brake is off a fresh one is due at once.
        tx.set_wake_attempt(me.session, None)?;
        let after_ms = held.ends_at_ms.map(|at_ms| at_ms - tx.now.wall_ms + 1);
        return Ok(WakeDecision::NotNow {
            after_ms,
            held: pending_items.has_peer_requests().then_some(held),
        });
    }
    let activity = host.activity(&session, &tx.now);
    Ok(WakeDecision::Now {
        ring: session.wake_attempt,
        pending_items,
        activity,
    })
}

impl WakeEvents<'_> {
    /// A ring is out: has it been long enough?
    fn wait_for_response(
        mut self,
        ring: &WakeAttempt,
        activity: Activity,
        inbox_state: &dyn Fn() -> InboxState,
    ) -> Result<WakeAction> {
        let age_ms = self.tx.now.elapsed_since_ms(ring.at_monotonic_ms);
        // A waiting hook gives the line its time first, and then needs its own.
        let within_ms = if self.host.doorbells.is_hook_waiter_running(self.me.session) {
            2 * IDLE_RESPONSE_MS
        } else {
            IDLE_RESPONSE_MS
        };
        self.record_coalesced(ring.count, activity)?;
        match activity {
            Activity::Idle if age_ms < within_ms => {
                Ok(WakeAction::recheck_after(within_ms - age_ms, activity))
            }
            Activity::Idle if ring.count < WAKE_ATTEMPTS_MAX => {
                self.ring(ring.count + 1, activity, inbox_state)
            }
            Activity::Idle => {
                self.record_failure("the session was rung twice and did not start a turn")?;
                Ok(WakeAction::NONE)
            }
            _ if age_ms > WAKE_TIMEOUT_MS => {
                self.tx.set_wake_attempt(self.me.session, None)?;
                Ok(WakeAction::NONE)
            }
            _ => Ok(WakeAction::recheck_after(RECHECK_MS, activity)),
        }
    }

    /// Rings, if a line would come through. What is at work may get it without one.
    fn ring(
        mut self,
        count: u32,
        activity: Activity,
        inbox_state: &dyn Fn() -> InboxState,
    ) -> Result<WakeAction> {
        match inbox_state() {
            InboxState::Open => {}
            InboxState::Full { for_ms } => return Ok(WakeAction::recheck_after(for_ms, activity)),
            InboxState::Missing(_) if matches!(activity, Activity::Busy | Activity::Waiting) => {
                return Ok(WakeAction::recheck_after(RECHECK_MS, activity));
            }
            InboxState::Missing(problem) => {
                // Nobody waits for the rest, and nothing has changed since it was last looked at.
                if !self.pending_items.undelivered_questions.is_empty() {
                    self.record_failure(&problem)?;
                }
                return Ok(WakeAction::NONE);
            }
        }
        self.record_attempt(count, activity)?;
        let nonce = self.tx.nonce()?;
        self.tx.set_wake_attempt(
            self.me.session,
            Some(&WakeAttempt {
                nonce: nonce.clone(),
                count,
                at_monotonic_ms: self.tx.now.monotonic_ms,
            }),
        )?;
        Ok(WakeAction::Post {
            nonce,
            from: asker_names(self.tx, &self.pending_items.undelivered_questions)?,
            answers: self.pending_items.answers,
            mail: self.pending_items.mail,
            granted: self.pending_items.granted,
        })
    }
}

/// Returns how many late answers have not been shown yet.
fn count_unshown_answers(tx: &Tx, host: &HostView, me: &SessionHandle) -> Result<usize> {
    let answers = late_answers(tx, host, me)?;
    Ok(answers
        .iter()
        .filter(|late| late.question.answer_shown_at_ms.is_none())
        .count())
}

fn asker_names(tx: &Tx, questions: &[QuestionId]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for id in questions {
        let asker = tx
            .question(*id)?
            .map(|question| tx.peer(question.asker))
            .transpose()?
            .flatten();
        names.extend(asker.map(|peer| peer.name.to_string()));
    }
    Ok(names)
}

/// Holds a question back; its asker is told.
pub(in crate::mesh) fn hold_question(
    tx: &Tx,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    id: QuestionId,
    reason: &str,
) -> Result<()> {
    if tx
        .question(id)?
        .is_some_and(|question| question.held.as_deref() != Some(reason))
    {
        tx.set_held_reason(id, reason)?;
        tx.append_event(
            EventKind::QuestionHeld,
            Some(me.peer),
            &id.to_string(),
            &json!({ "reason": reason }),
        )?;
        wake_askers(tx, wakeups, id)?;
    }
    Ok(())
}
