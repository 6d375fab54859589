//! The wake policy: decides whether a session is woken now.
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::fork_eligibility::questions_awaiting_fork;
use crate::mesh::wake::pending::PendingItems;
use crate::mesh::wake::throttle::throttled_even_if_waiting;
use crate::model::fork::FORK_RUNS_MS_MAX;
use crate::model::throttle::{PersonAlert, Throttled};
use crate::model::{Activity, EventKind, Result};
use crate::platform::id::QuestionId;
use crate::store::WakeAttempt;

/// An idle session shows the questions within this time after a line was posted, or another line follows.
pub(in crate::mesh) const IDLE_RESPONSE_MS: i64 = 3_000;
/// How often a session that is not known to be idle is polled while an attempt is under way.
pub(in crate::mesh) const RECHECK_MS: i64 = 2_000;
/// The count of an attempt that the server has left to the waiting hook.
pub(in crate::mesh) const DEFERRED_TO_WAITING_HOOK: u32 = 0;

/// What the server of a session has to do for it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WakeAction {
    /// Wait for the doorbell, or for a time.
    Wait {
        /// In milliseconds; `None` waits for the doorbell only.
        after_ms: Option<i64>,
        /// Why its person should be notified.
        alert: Option<PersonAlert>,
    },
    /// Post a line into the session's inbox.
    Post {
        /// The nonce of the line.
        nonce: String,
        /// Who asks, the oldest question first.
        from: Vec<String>,
        /// How many late answers are pending.
        answers: usize,
        /// Who has posted a message that wakes, the oldest first.
        mail: Vec<String>,
        /// How many claims were granted without notifying the session.
        granted: usize,
    },
}

impl WakeAction {
    /// Wait for the doorbell only.
    pub(in crate::mesh) const NONE: Self = Self::Wait {
        after_ms: None,
        alert: None,
    };

    /// Polls again after a time; at a dialog the person is needed.
    pub(in crate::mesh) fn recheck_after(after_ms: i64, activity: Activity) -> Self {
        Self::Wait {
            after_ms: Some(after_ms),
            alert: (activity == Activity::Waiting).then_some(PersonAlert::Dialog),
        }
    }
}

/// Whether a session should be woken.
pub(in crate::mesh) enum WakeDecision {
    /// It should be woken, if its activity allows it.
    Now {
        attempt: Option<WakeAttempt>,
        pending_items: PendingItems,
        activity: Activity,
    },
    /// Nothing is pending, or it is throttled. That may change after this time, in milliseconds.
    NotNow {
        after_ms: Option<i64>,
        /// The throttle that holds back requests of other peers.
        held: Option<Throttled>,
    },
}

/// Returns whether a session should be woken. Questions whose wake has failed count only with `include_failed`.
/// Throttled questions are recorded as held.
pub(in crate::mesh) fn decide_wake(
    write: &mut WriteContext,
    me: &SessionHandle,
    include_failed: bool,
) -> Result<WakeDecision> {
    let not_now = Ok(WakeDecision::NotNow {
        after_ms: None,
        held: None,
    });
    let (Some(session), Some(peer)) = (write.tx.session(me.session)?, write.tx.peer(me.peer)?)
    else {
        return not_now;
    };
    if session.ended_at_ms.is_some() {
        return not_now;
    }
    let pending_items = items_to_wake_for(write.read(), me, include_failed)?;
    if pending_items.is_empty() {
        if PendingItems::of(write.read(), me, include_failed)?.is_empty() {
            write.tx.set_wake_attempt(me.session, None)?;
        }
        return not_now_but_after_forks(write, me);
    }
    if let Some(held) = throttled_even_if_waiting(write.read(), &peer, &session)? {
        for id in &pending_items.undelivered_questions {
            hold_question(write, me, *id, held.reason.as_str())?;
        }
        // A line that was posted will be blocked; when the throttle ends, a new one is due at once.
        write.tx.set_wake_attempt(me.session, None)?;
        let after_ms = held
            .ends_at_ms
            .map(|at_ms| at_ms - write.tx.now.wall_ms + 1);
        return Ok(WakeDecision::NotNow {
            after_ms,
            held: pending_items.has_peer_requests().then_some(held),
        });
    }
    let activity = write.activity(&session);
    Ok(WakeDecision::Now {
        attempt: session.wake_attempt,
        pending_items,
        activity,
    })
}

/// Returns what a session is to be woken for. A blocking wait of the session returns with a question, which is better than a
/// wake, unless a fork is about to answer the question. It does not return with mail.
pub(in crate::mesh) fn items_to_wake_for(
    read: ReadContext,
    me: &SessionHandle,
    include_failed: bool,
) -> Result<PendingItems> {
    let pending_items = PendingItems::of(read, me, include_failed)?;
    if pending_items.is_empty() || read.tx.newest_wait(me.session)?.is_none() {
        return Ok(pending_items);
    }
    let for_forks = questions_awaiting_fork(read, me, &pending_items.undelivered_questions)?;
    Ok(pending_items.during_wait(for_forks))
}

/// A question whose fork crashes is pending again some time later.
fn not_now_but_after_forks(write: &WriteContext, me: &SessionHandle) -> Result<WakeDecision> {
    let begun_at_ms = write.tx.first_running_fork_at_ms(me.session)?;
    let now_ms = write.tx.now.wall_ms;
    Ok(WakeDecision::NotNow {
        after_ms: begun_at_ms.map(|at_ms| at_ms + FORK_RUNS_MS_MAX - now_ms + 1),
        held: None,
    })
}

/// Records that a question is held, which its asker sees.
pub(in crate::mesh) fn hold_question(
    write: &mut WriteContext,
    me: &SessionHandle,
    id: QuestionId,
    reason: &str,
) -> Result<()> {
    if write
        .tx
        .question(id)?
        .is_some_and(|question| question.held.as_deref() != Some(reason))
    {
        write.tx.set_held_reason(id, reason)?;
        write.tx.append_event(
            EventKind::QuestionHeld,
            Some(me.peer),
            &id.to_string(),
            &json!({ "reason": reason }),
        )?;
        write.wake_askers(id)?;
    }
    Ok(())
}
