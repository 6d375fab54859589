//! Decides whether questions to a session are held: its person has quieted it, the mesh is paused, or its wake budget is
//! spent.
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::session::SessionHandle;
use crate::model::Result;
use crate::model::throttle::{Throttle, ThrottleReason, Throttled};
use crate::store::{Peer, Session};

/// The key of the time until which the mesh is paused.
pub(in crate::mesh) const PAUSED_UNTIL_KEY: &str = "paused_until_ms";

impl Mesh {
    /// Returns whether a person has quieted this session or paused the mesh.
    pub fn is_quiet_or_paused(&mut self, me: &SessionHandle) -> Result<bool> {
        self.read(|read| {
            let quiet_until_ms = read.tx.peer(me.peer)?.and_then(|peer| peer.quiet_until_ms);
            let throttle = person_throttle(read, quiet_until_ms)?;
            Ok(throttle.throttled(read.tx.now.wall_ms).is_some())
        })
    }

    /// Returns until when the mesh is paused.
    pub fn paused_until(&mut self) -> Result<Option<i64>> {
        self.read(paused_until)
    }
}

/// Returns whether questions to a session are held, by the wake budget of its own settings. A session in a blocking
/// wait gets them by that call, which starts no turn.
pub(in crate::mesh) fn throttled(
    read: ReadContext,
    peer: &Peer,
    session: &Session,
) -> Result<Option<Throttled>> {
    unless_waiting(
        read,
        session,
        throttled_even_if_waiting(read, peer, session)?,
    )
}

/// Returns whether requests to a session are held, even if the session is in a blocking wait: that does not return mail.
pub(in crate::mesh) fn throttled_even_if_waiting(
    read: ReadContext,
    peer: &Peer,
    session: &Session,
) -> Result<Option<Throttled>> {
    Ok(throttle_of(read, peer, session)?.throttled(read.tx.now.wall_ms))
}

/// Returns what holds requests to a session.
pub(in crate::mesh) fn throttle_of(
    read: ReadContext,
    peer: &Peer,
    session: &Session,
) -> Result<Throttle> {
    Ok(Throttle {
        posted_turns: session.posted_turns,
        budget: read.host.wake_budget,
        ..person_throttle(read, peer.quiet_until_ms)?
    })
}

/// Returns the same for an asker. The wake budget is a setting of the session, so for that only the reason counts that
/// its server has recorded at the question.
pub(in crate::mesh) fn throttled_for_asker(
    read: ReadContext,
    peer: &Peer,
    session: &Session,
    held_reason: Option<&str>,
) -> Result<Option<Throttled>> {
    let throttle = person_throttle(read, peer.quiet_until_ms)?;
    held_for_asker(read, session, (throttle, held_reason))
}

/// Returns the same where the throttles of persons are known.
pub(in crate::mesh) fn held_for_asker(
    read: ReadContext,
    session: &Session,
    (throttle, held_reason): (Throttle, Option<&str>),
) -> Result<Option<Throttled>> {
    let held = throttle.throttled(read.tx.now.wall_ms);
    let spent = held_reason == Some(ThrottleReason::WakeBudget.as_str());
    let spent = spent.then(|| Throttled::spent(session.posted_turns));
    unless_waiting(read, session, held.or(spent))
}

/// Returns the same for any reader: by the settings of the reader, or by the reason that the server of the session has
/// recorded at a question. `paused_until_ms` is [`paused_until`], which many sessions have in common.
pub(in crate::mesh) fn throttled_for_observer(
    read: ReadContext,
    peer: &Peer,
    session: &Session,
    paused_until_ms: Option<i64>,
) -> Result<Option<Throttled>> {
    let throttle = Throttle {
        paused_until_ms,
        quiet_until_ms: peer.quiet_until_ms,
        posted_turns: session.posted_turns,
        budget: read.host.wake_budget,
    };
    let held = throttle.throttled(read.tx.now.wall_ms);
    let held = unless_waiting(read, session, held)?;
    let reason = ThrottleReason::WakeBudget.as_str();
    if held.is_none()
        && session.posted_turns > 0
        && read.tx.has_question_held_for(peer.id, reason)?
    {
        let throttle = Throttle {
            posted_turns: 0,
            budget: 1,
            ..throttle
        };
        return held_for_asker(read, session, (throttle, Some(reason)));
    }
    Ok(held)
}

/// Returns the same for a person, who has no wake budget. A command of the person that waits shows questions in any case.
pub(in crate::mesh) fn throttled_for_person(
    read: ReadContext,
    person: &Peer,
) -> Result<Option<Throttled>> {
    let held = person_throttle(read, person.quiet_until_ms)?.throttled(read.tx.now.wall_ms);
    if held.is_some() {
        for session in read.tx.live_sessions_at(person.id)? {
            if read.tx.newest_wait(session.id)?.is_some() {
                return Ok(None);
            }
        }
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

/// Returns the throttles that persons have set, without a wake budget.
pub(in crate::mesh) fn person_throttle(
    read: ReadContext,
    quiet_until_ms: Option<i64>,
) -> Result<Throttle> {
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
