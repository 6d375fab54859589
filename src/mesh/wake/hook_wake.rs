//! The waiting hook of a session: when it wakes the session, and when it goes.
//!
//! It decides as the doorbell does, and wakes only a session at its prompt: what comes to one at work is brought by the Stop
//! hook at the end of its turn. Where nothing tells what the session does, it has just started, and is at its prompt. That a
//! line did not wake it is no reason not to: the server may have rung before the hook waited.
use crate::mesh::wake::policy::{
    IDLE_RESPONSE_MS, PendingItems, RECHECK_MS, WakeAction, WakeDecision, decide_wake,
};
use crate::mesh::{Mesh, PendingWakeups, SessionHandle};
use crate::model::{Activity, Result};
use crate::store::{Tx, WakeAttempt};

/// The count of a ring that the server has left to the waiting hook.
pub(in crate::mesh) const DEFERRED_TO_WAIT_HOOK: u32 = 0;
/// The waiting hook gets an idle session for so long; it needs some milliseconds.
const WAIT_HOOK_RESPONSE_MS: i64 = 3_000;

/// What the waiting hook of a session has to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewake {
    /// Wake the session.
    Now,
    /// Wait for the bell, or for so many milliseconds.
    Wait {
        /// How many; `None` is until the bell rings.
        after_ms: Option<i64>,
    },
    /// Go: the session has ended.
    Ended,
}

impl Mesh {
    /// Decides whether a session's waiting hook wakes it now.
    pub fn rewake(&mut self, me: &SessionHandle) -> Result<Rewake> {
        let (is_live, nothing_pending) = self.read(|tx, host| {
            Ok((
                is_session_live(tx, me)?,
                PendingItems::of(tx, host, me, true)?.is_empty(),
            ))
        })?;
        if !is_live {
            return Ok(Rewake::Ended);
        }
        if nothing_pending {
            return Ok(Rewake::Wait { after_ms: None });
        }
        self.write(|tx, host, wakeups| {
            let (ring, activity) = match decide_wake(tx, host, wakeups, me, true)? {
                WakeDecision::Now { ring, activity, .. } => (ring, activity),
                WakeDecision::NotNow { after_ms, .. } => return Ok(Rewake::Wait { after_ms }),
            };
            let busy = !matches!(activity, Activity::Idle | Activity::Unknown);
            // A line that has just been posted may be on its way into a turn.
            let posted = ring.filter(|ring| ring.count != DEFERRED_TO_WAIT_HOOK);
            let remaining_ms = posted.map_or(0, |ring| {
                IDLE_RESPONSE_MS - tx.now.elapsed_since_ms(ring.at_monotonic_ms)
            });
            Ok(match remaining_ms {
                _ if busy => Rewake::Wait {
                    after_ms: Some(RECHECK_MS),
                },
                1.. => Rewake::Wait {
                    after_ms: Some(remaining_ms),
                },
                _ => Rewake::Now,
            })
        })
    }
}

/// Leaves the wake to the waiting hook that runs, from `left` on if that was before. Returns `None` when the hook has let its
/// time go by.
pub(in crate::mesh) fn defer_to_wait_hook(
    tx: &Tx,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    attempt: Option<&WakeAttempt>,
    activity: Activity,
) -> Result<Option<WakeAction>> {
    let recheck_after = |after_ms| Ok(Some(WakeAction::recheck_after(after_ms, activity)));
    if activity != Activity::Idle {
        tx.set_wake_attempt(me.session, None)?;
        return recheck_after(RECHECK_MS);
    }
    let Some(attempt) = attempt else {
        let attempt = WakeAttempt {
            nonce: tx.nonce()?,
            count: DEFERRED_TO_WAIT_HOOK,
            at_monotonic_ms: tx.now.monotonic_ms,
        };
        tx.set_wake_attempt(me.session, Some(&attempt))?;
        // It may have looked while a call of this session waited.
        wakeups.add([me.session]);
        return recheck_after(WAIT_HOOK_RESPONSE_MS);
    };
    match WAIT_HOOK_RESPONSE_MS - tx.now.elapsed_since_ms(attempt.at_monotonic_ms) {
        remaining_ms @ 1.. => recheck_after(remaining_ms),
        _ => Ok(None),
    }
}

fn is_session_live(tx: &Tx, me: &SessionHandle) -> Result<bool> {
    let session = tx.session(me.session)?;
    Ok(session.is_some_and(|session| session.ended_at_ms.is_none()))
}
