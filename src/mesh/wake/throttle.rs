//! Decides whether questions to a session are held: its person has quieted it, the mesh is paused, or its wake budget is
//! spent.
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::session::SessionHandle;
use crate::model::Result;
use crate::model::throttle::{Throttle, ThrottleReason, Throttled};
use crate::store::{Peer, Session};

/// The row that says until when the mesh is paused.
pub(in crate::mesh) const PAUSED_UNTIL_KEY: &str = "paused_until_ms";

impl Mesh {
    /// Returns whether a session's person wants it left alone now: it is quiet, or the mesh is paused.
    pub fn is_quiet_or_paused(&mut self, me: &SessionHandle) -> Result<bool> {
        self.read(|read| {
            let quiet_until_ms = read.tx.peer(me.peer)?.and_then(|peer| peer.quiet_until_ms);
            let throttle = person_throttle(read, quiet_until_ms)?;
            Ok(throttle.throttled(read.tx.now.wall_ms).is_some())
        })
    }

    /// Returns until when the whole mesh is paused.
    pub fn paused_until(&mut self) -> Result<Option<i64>> {
        self.read(|read| paused_until(read))
    }
}

/// Returns whether questions to a session are held now, as its own programs see it: the budget is its own setting. A
/// session that waits in a call of ours gets them by that call, which starts no turn.
pub(in crate::mesh) fn throttled(
    read: ReadContext,
    peer: &Peer,
    session: &Session,
) -> Result<Option<Throttled>> {
    unless_waiting(read, session, throttled_now(read, peer, session)?)
}

/// The same whether it waits or not: a call brings no mail.
pub(in crate::mesh) fn throttled_now(
    read: ReadContext,
    peer: &Peer,
    session: &Session,
) -> Result<Option<Throttled>> {
    let throttle = Throttle {
        posted_turns: session.posted_turns,
        budget: read.host.wake_budget,
        ..person_throttle(read, peer.quiet_until_ms)?
    };
    Ok(throttle.throttled(read.tx.now.wall_ms))
}

/// The same as an asker sees it. What the budget allows is the session's own matter, so of that only the word counts
/// which its server left at the question.
pub(in crate::mesh) fn throttled_for_asker(
    read: ReadContext,
    peer: &Peer,
    session: &Session,
    held_reason: Option<&str>,
) -> Result<Option<Throttled>> {
    let held = person_throttle(read, peer.quiet_until_ms)?.throttled(read.tx.now.wall_ms);
    let spent = held_reason == Some(ThrottleReason::WakeBudget.as_str());
    let spent = spent.then(|| Throttled::spent(session.posted_turns));
    unless_waiting(read, session, held.or(spent))
}

/// The same as anybody is told who looks: by the own settings of whoever looks, or by the word that its server left at a
/// question there.
pub(in crate::mesh) fn throttled_for_observer(
    read: ReadContext,
    peer: &Peer,
    session: &Session,
) -> Result<Option<Throttled>> {
    let held = throttled(read, peer, session)?;
    let reason = ThrottleReason::WakeBudget.as_str();
    if held.is_none()
        && session.posted_turns > 0
        && read.tx.has_question_held_for(peer.id, reason)?
    {
        return throttled_for_asker(read, peer, session, Some(reason));
    }
    Ok(held)
}

fn unless_waiting(
    read: ReadContext,
    session: &Session,
    held: Option<Throttled>,
) -> Result<Option<Throttled>> {
    match held {
        Some(_) if read.tx.newest_wait(session.id)?.is_some() => Ok(None),
        held => Ok(held),
    }
}

/// The brakes that persons put on, without a budget.
fn person_throttle(read: ReadContext, quiet_until_ms: Option<i64>) -> Result<Throttle> {
    Ok(Throttle {
        paused_until_ms: paused_until(read)?,
        quiet_until_ms,
        posted_turns: 0,
        budget: 1,
    })
}

pub(in crate::mesh) fn paused_until(read: ReadContext) -> Result<Option<i64>> {
    let until = read
        .tx
        .meta(PAUSED_UNTIL_KEY)?
        .and_then(|until| until.parse().ok());
    Ok(until.filter(|until| *until > read.tx.now.wall_ms))
}
