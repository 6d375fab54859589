//! Brakes: a person makes a peer quiet, or pauses the whole mesh; peers spend a budget of turns; questions that follow from
//! questions end somewhere.
use serde_json::json;

use crate::mesh::peer::liveness::HostView;
use crate::mesh::{Mesh, PendingWakeups, SessionHandle};
use crate::model::throttle::{Throttle, ThrottleReason, Throttled};
use crate::model::{EventKind, PeerKind, Refusal, Result};
use crate::store::{Peer, Session, Tx};
use crate::tools::output;

/// The row that says until when the mesh is paused.
const PAUSED_UNTIL_KEY: &str = "paused_until_ms";

impl Mesh {
    /// Makes a peer quiet until a time, or with `None` ends it. Returns the peer's name. Whoever sits there is rung, to
    /// look at what was held.
    pub fn set_quiet(
        &mut self,
        me: &SessionHandle,
        name: &str,
        until_ms: Option<i64>,
    ) -> Result<String> {
        self.write(|tx, _, wakeups| {
            let peer = tx
                .find_peer_by_name(name)?
                .filter(|peer| peer.kind == PeerKind::Session)
                .ok_or_else(|| Refusal::UnknownPeer {
                    name: name.into(),
                    nearest: Vec::new(),
                    present: Vec::new(),
                })?;
            tx.set_quiet(peer.id, until_ms)?;
            let before_ms = peer.quiet_until_ms.filter(|ms| *ms > tx.now.wall_ms);
            let kinds = [EventKind::PeerQuieted, EventKind::PeerResumed];
            append_throttle_event(tx, me, kinds, peer.name.as_str(), [before_ms, until_ms])?;
            wakeups.add(
                tx.live_sessions_at(peer.id)?
                    .iter()
                    .map(|session| session.id),
            );
            Ok(peer.name.to_string())
        })
    }

    /// Pauses the whole mesh until a time, or with `None` ends it.
    pub fn set_mesh_paused(&mut self, me: &SessionHandle, until_ms: Option<i64>) -> Result<()> {
        self.write(|tx, _, wakeups| {
            let before_ms = paused_until(tx)?;
            let until = until_ms.map_or_else(String::new, |until_ms| until_ms.to_string());
            tx.set_meta(PAUSED_UNTIL_KEY, &until)?;
            let kinds = [EventKind::MeshPaused, EventKind::MeshResumed];
            append_throttle_event(tx, me, kinds, "", [before_ms, until_ms])?;
            wakeups.add(tx.live_sessions()?.iter().map(|session| session.id));
            Ok(())
        })
    }

    /// Notes that a prompt begins a turn, or joins one. What a person types frees the budget, and begins a new chain of
    /// questions. Writes only if there is something to note.
    pub fn begin_turn(
        &mut self,
        me: &SessionHandle,
        turn: Option<&str>,
        typed: bool,
    ) -> Result<()> {
        let (posted, has_turn_deliveries) = self.read(|tx, _| {
            let session = tx.session(me.session)?;
            let counted = session.map(|session| (session.posted_turns, session.stop_streak));
            let (posted, stops) = counted.unwrap_or_default();
            let has_turn_deliveries = stops > 0 || tx.has_closed_deliveries(me.session)?;
            Ok((posted > 0, has_turn_deliveries))
        })?;
        match turn {
            _ if typed && (posted || has_turn_deliveries) => self.write(|tx, _, _| {
                tx.set_posted_turns(me.session, 0)?;
                tx.delete_closed_deliveries(me.session, None)?;
                Ok(tx.set_stop_streak(me.session, turn.unwrap_or_default(), 0)?)
            }),
            Some(turn) if !typed && has_turn_deliveries => {
                self.write(|tx, _, _| enter_turn(tx, me, turn).map(drop))
            }
            _ => Ok(()),
        }
    }

    /// Returns whether a session's person wants it left alone now: it is quiet, or the mesh is paused.
    pub fn is_quiet_or_paused(&mut self, me: &SessionHandle) -> Result<bool> {
        self.read(|tx, _| {
            let quiet_until_ms = tx.peer(me.peer)?.and_then(|peer| peer.quiet_until_ms);
            let throttle = person_throttle(tx, quiet_until_ms)?;
            Ok(throttle.throttled(tx.now.wall_ms).is_some())
        })
    }

    /// Returns until when the whole mesh is paused.
    pub fn paused_until(&mut self) -> Result<Option<i64>> {
        self.read(|tx, _| paused_until(tx))
    }
}

/// Notes in which turn a session is. What it was shown and has answered counts in that turn and the next, and is forgotten
/// then. Returns whether the turn is another one than before.
///
/// What a call showed is taken to belong to the turn that is known next: that may be one too late, never too early.
pub(in crate::mesh) fn enter_turn(tx: &Tx, me: &SessionHandle, turn: &str) -> Result<bool> {
    tx.set_turn_of_deliveries(me.session, turn)?;
    let before = tx.session(me.session)?.and_then(|session| session.turn);
    if before.as_deref() == Some(turn) {
        return Ok(false);
    }
    tx.delete_closed_deliveries(me.session, Some([turn, &before.unwrap_or_default()]))?;
    tx.set_stop_streak(me.session, turn, 0)?;
    Ok(true)
}

/// Says in the log that a brake was put on or taken off, if that changes anything.
fn append_throttle_event(
    tx: &Tx,
    me: &SessionHandle,
    [on, off]: [EventKind; 2],
    subject: &str,
    [before_ms, until_ms]: [Option<i64>; 2],
) -> Result<()> {
    let (kind, data) = match until_ms {
        _ if before_ms == until_ms => return Ok(()),
        Some(until_ms) => (on, json!({ "until": output::until(until_ms) })),
        None => (off, json!({})),
    };
    Ok(tx.append_event(kind, Some(me.peer), subject, &data)?)
}

/// Returns whether questions to a session are held now, as its own programs see it: the budget is its own setting. A
/// session that waits in a call of ours gets them by that call, which starts no turn.
pub(in crate::mesh) fn throttled(
    tx: &Tx,
    host: &HostView,
    peer: &Peer,
    session: &Session,
) -> Result<Option<Throttled>> {
    unless_waiting(tx, session, throttled_now(tx, host, peer, session)?)
}

/// The same whether it waits or not: a call brings no mail.
pub(in crate::mesh) fn throttled_now(
    tx: &Tx,
    host: &HostView,
    peer: &Peer,
    session: &Session,
) -> Result<Option<Throttled>> {
    let throttle = Throttle {
        posted_turns: session.posted_turns,
        budget: host.wake_budget,
        ..person_throttle(tx, peer.quiet_until_ms)?
    };
    Ok(throttle.throttled(tx.now.wall_ms))
}

/// The same as an asker sees it. What the budget allows is the session's own matter, so of that only the word counts
/// which its server left at the question.
pub(in crate::mesh) fn throttled_for_asker(
    tx: &Tx,
    peer: &Peer,
    session: &Session,
    held_reason: Option<&str>,
) -> Result<Option<Throttled>> {
    let held = person_throttle(tx, peer.quiet_until_ms)?.throttled(tx.now.wall_ms);
    let spent = held_reason == Some(ThrottleReason::WakeBudget.as_str());
    let spent = spent.then(|| Throttled::spent(session.posted_turns));
    unless_waiting(tx, session, held.or(spent))
}

/// The same as anybody is told who looks: by the own settings of whoever looks, or by the word that its server left at a
/// question there.
pub(in crate::mesh) fn throttled_for_observer(
    tx: &Tx,
    host: &HostView,
    peer: &Peer,
    session: &Session,
) -> Result<Option<Throttled>> {
    let held = throttled(tx, host, peer, session)?;
    let reason = ThrottleReason::WakeBudget.as_str();
    if held.is_none() && session.posted_turns > 0 && tx.has_question_held_for(peer.id, reason)? {
        return throttled_for_asker(tx, peer, session, Some(reason));
    }
    Ok(held)
}

fn unless_waiting(
    tx: &Tx,
    session: &Session,
    held: Option<Throttled>,
) -> Result<Option<Throttled>> {
    match held {
        Some(_) if tx.newest_wait(session.id)?.is_some() => Ok(None),
        held => Ok(held),
    }
}

/// The brakes that persons put on, without a budget.
fn person_throttle(tx: &Tx, quiet_until_ms: Option<i64>) -> Result<Throttle> {
    Ok(Throttle {
        paused_until_ms: paused_until(tx)?,
        quiet_until_ms,
        posted_turns: 0,
        budget: 1,
    })
}

fn paused_until(tx: &Tx) -> Result<Option<i64>> {
    let until = tx
        .meta(PAUSED_UNTIL_KEY)?
        .and_then(|until| until.parse().ok());
    Ok(until.filter(|until| *until > tx.now.wall_ms))
}

/// Rings those who wait for a question, so that they see how it stands.
pub(in crate::mesh) fn wake_askers(
    tx: &Tx,
    wakeups: &mut PendingWakeups,
    question: crate::platform::id::QuestionId,
) -> Result<()> {
    wakeups.add(tx.sessions_waiting_for_question(question, None)?);
    Ok(())
}
