//! The wake by the waiting hook: decides when the hook wakes its session, and when it ends.
//!
//! It decides as for the doorbell, and wakes only an idle session: at the end of a turn the Stop hook delivers what came
//! meanwhile. If nothing reports what the session does, it has just started and is idle. A line that did not wake the
//! session does not keep the hook from waking it: the server may have posted it before the hook waited.
use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::pending::PendingItems;
use crate::mesh::wake::policy::{
    DEFERRED_TO_WAITING_HOOK, IDLE_RESPONSE_MS, RECHECK_MS, WakeAction, WakeDecision, decide_wake,
};
use crate::model::{Activity, Result};
use crate::store::WakeAttempt;
use serde::{Deserialize, Serialize};

/// How long the waiting hook may take to wake an idle session; it needs some milliseconds.
const WAITING_HOOK_RESPONSE_MS: i64 = 3_000;

/// What the waiting hook of a session has to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitingHookAction {
    /// Wake the session.
    Now,
    /// Wait for the doorbell, or for a time.
    Wait {
        /// In milliseconds; `None` waits for the doorbell only.
        after_ms: Option<i64>,
    },
    /// End: the session has ended.
    Ended,
}

impl Mesh {
    /// Decides whether a session's waiting hook wakes it now.
    pub fn waiting_hook_action(&mut self, me: &SessionHandle) -> Result<WaitingHookAction> {
        let (is_live, nothing_pending) = self.read(|read| {
            Ok((
                is_session_live(read, me)?,
                PendingItems::of(read, me, true)?.is_empty(),
            ))
        })?;
        if !is_live {
            return Ok(WaitingHookAction::Ended);
        }
        if nothing_pending {
            return Ok(WaitingHookAction::Wait { after_ms: None });
        }
        self.write(|write| {
            let (attempt, activity) = match decide_wake(write, me, true)? {
                WakeDecision::Now {
                    attempt, activity, ..
                } => (attempt, activity),
                WakeDecision::NotNow { after_ms, .. } => {
                    return Ok(WaitingHookAction::Wait { after_ms });
                }
            };
            let busy = !matches!(activity, Activity::Idle | Activity::Unknown);
            // A line that was just posted may be about to start a turn.
            let posted = attempt.filter(|attempt| attempt.count != DEFERRED_TO_WAITING_HOOK);
            let remaining_ms = posted.map_or(0, |attempt| {
                IDLE_RESPONSE_MS - write.tx.now.elapsed_since_ms(attempt.at_monotonic_ms)
            });
            Ok(match remaining_ms {
                _ if busy => WaitingHookAction::Wait {
                    after_ms: Some(RECHECK_MS),
                },
                1.. => WaitingHookAction::Wait {
                    after_ms: Some(remaining_ms),
                },
                _ => WaitingHookAction::Now,
            })
        })
    }
}

/// Leaves the wake to the running waiting hook, since `attempt` if it was left to it before. Returns `None` if the hook
/// has not woken the session in its time.
pub(in crate::mesh) fn defer_to_waiting_hook(
    write: &mut WriteContext,
    me: &SessionHandle,
    attempt: Option<&WakeAttempt>,
    activity: Activity,
) -> Result<Option<WakeAction>> {
    let recheck_after = |after_ms| Ok(Some(WakeAction::recheck_after(after_ms, activity)));
    if activity != Activity::Idle {
        write.tx.set_wake_attempt(me.session, None)?;
        return recheck_after(RECHECK_MS);
    }
    let Some(attempt) = attempt else {
        let attempt = WakeAttempt {
            nonce: write.tx.nonce()?,
            count: DEFERRED_TO_WAITING_HOOK,
            at_monotonic_ms: write.tx.now.monotonic_ms,
        };
        write.tx.set_wake_attempt(me.session, Some(&attempt))?;
        // The hook may have polled while a call of this session waited.
        write.wake([me.session]);
        return recheck_after(WAITING_HOOK_RESPONSE_MS);
    };
    match WAITING_HOOK_RESPONSE_MS - write.tx.now.elapsed_since_ms(attempt.at_monotonic_ms) {
        remaining_ms @ 1.. => recheck_after(remaining_ms),
        _ => Ok(None),
    }
}

fn is_session_live(read: ReadContext, me: &SessionHandle) -> Result<bool> {
    let session = read.tx.session(me.session)?;
    Ok(session.is_some_and(|session| session.ended_at_ms.is_none()))
}
