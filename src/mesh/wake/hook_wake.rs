//! The waiting hook of a session: when it wakes the session, and when it goes.
//!
//! It decides as the doorbell does, and wakes only a session at its prompt: what comes to one at work is brought by the Stop
//! hook at the end of its turn. Where nothing tells what the session does, it has just started, and is at its prompt. That a
//! line did not wake it is no reason not to: the server may have rung before the hook waited.
use crate::mesh::wake::policy::{ANSWERS_WITHIN_MS, Attention, Due, LOOK_AGAIN_MS, News, due};
use crate::mesh::{Mesh, Rings, Sitting};
use crate::model::{Activity, Result};
use crate::store::{Ring, Tx};

/// The count of a ring that the server has left to the waiting hook.
pub(in crate::mesh) const LEFT_TO_WAITER: u32 = 0;
/// The waiting hook gets an idle session for so long; it needs some milliseconds.
const WAITER_WITHIN_MS: i64 = 3_000;

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
    Over,
}

impl Mesh {
    /// Decides whether a session's waiting hook wakes it now.
    pub fn rewake(&mut self, me: &Sitting) -> Result<Rewake> {
        let (here, nothing) = self.read(|tx, around| {
            Ok((is_here(tx, me)?, News::of(tx, around, me, true)?.is_empty()))
        })?;
        if !here {
            return Ok(Rewake::Over);
        }
        if nothing {
            return Ok(Rewake::Wait { after_ms: None });
        }
        self.write(|tx, around, rings| {
            let (ring, activity) = match due(tx, around, rings, me, true)? {
                Due::Now { ring, activity, .. } => (ring, activity),
                Due::NotNow { after_ms, .. } => return Ok(Rewake::Wait { after_ms }),
            };
            let busy = !matches!(activity, Activity::Idle | Activity::Unknown);
            // A line that has just been posted may be on its way into a turn.
            let posted = ring.filter(|ring| ring.count != LEFT_TO_WAITER);
            let left_ms = posted.map_or(0, |ring| {
                ANSWERS_WITHIN_MS - tx.now.since(ring.at_monotonic_ms)
            });
            Ok(match left_ms {
                _ if busy => Rewake::Wait {
                    after_ms: Some(LOOK_AGAIN_MS),
                },
                1.. => Rewake::Wait {
                    after_ms: Some(left_ms),
                },
                _ => Rewake::Now,
            })
        })
    }
}

/// Leaves the wake to the waiting hook that runs, from `left` on if that was before. Returns `None` when the hook has let its
/// time go by.
pub(in crate::mesh) fn leave_to_waiter(
    tx: &Tx,
    rings: &mut Rings,
    me: &Sitting,
    left: Option<&Ring>,
    activity: Activity,
) -> Result<Option<Attention>> {
    let look_again = |after_ms| Ok(Some(Attention::look_again(after_ms, activity)));
    if activity != Activity::Idle {
        tx.set_ring(me.session, None)?;
        return look_again(LOOK_AGAIN_MS);
    }
    let Some(left) = left else {
        let left = Ring {
            nonce: tx.nonce()?,
            count: LEFT_TO_WAITER,
            at_monotonic_ms: tx.now.monotonic_ms,
        };
        tx.set_ring(me.session, Some(&left))?;
        // It may have looked while a call of this session waited.
        rings.add([me.session]);
        return look_again(WAITER_WITHIN_MS);
    };
    match WAITER_WITHIN_MS - tx.now.since(left.at_monotonic_ms) {
        left_ms @ 1.. => look_again(left_ms),
        _ => Ok(None),
    }
}

fn is_here(tx: &Tx, me: &Sitting) -> Result<bool> {
    let session = tx.session(me.session)?;
    Ok(session.is_some_and(|session| session.ended_at_ms.is_none()))
}
