//! Brakes: a person makes a peer quiet, or pauses the whole mesh; peers spend a budget of turns; questions that follow from
//! questions end somewhere.
use serde_json::json;

use crate::mesh::peer::liveness::Around;
use crate::mesh::{Mesh, Rings, Sitting};
use crate::model::throttle::{Brakes, Held, HoldReason};
use crate::model::{EventKind, PeerKind, Refusal, Result};
use crate::store::{Peer, Session, Tx};
use crate::tools::output;

/// The row that says until when the mesh is paused.
const PAUSED: &str = "paused_until_ms";

impl Mesh {
    /// Makes a peer quiet until a time, or with `None` ends it. Returns the peer's name. Whoever sits there is rung, to
    /// look at what was held.
    pub fn set_quiet(&mut self, me: &Sitting, name: &str, until_ms: Option<i64>) -> Result<String> {
        self.write(|tx, _, rings| {
            let peer = tx
                .peer_named(name)?
                .filter(|peer| peer.kind == PeerKind::Session)
                .ok_or_else(|| Refusal::UnknownPeer {
                    name: name.into(),
                    nearest: Vec::new(),
                    here: Vec::new(),
                })?;
            tx.set_quiet(peer.id, until_ms)?;
            let before_ms = peer.quiet_until_ms.filter(|ms| *ms > tx.now.wall_ms);
            let kinds = [EventKind::PeerQuieted, EventKind::PeerResumed];
            tell_change(tx, me, kinds, peer.name.as_str(), [before_ms, until_ms])?;
            rings.add(
                tx.live_sessions_at(peer.id)?
                    .iter()
                    .map(|session| session.id),
            );
            Ok(peer.name.to_string())
        })
    }

    /// Pauses the whole mesh until a time, or with `None` ends it.
    pub fn set_paused(&mut self, me: &Sitting, until_ms: Option<i64>) -> Result<()> {
        self.write(|tx, _, rings| {
            let before_ms = paused_until(tx)?;
            let until = until_ms.map_or_else(String::new, |until_ms| until_ms.to_string());
            tx.set_meta(PAUSED, &until)?;
            let kinds = [EventKind::MeshPaused, EventKind::MeshResumed];
            tell_change(tx, me, kinds, "", [before_ms, until_ms])?;
            rings.add(tx.live_sessions()?.iter().map(|session| session.id));
            Ok(())
        })
    }

    /// Notes that a prompt begins a turn, or joins one. What a person types frees the budget, and begins a new chain of
    /// questions. Writes only if there is something to note.
    pub fn begin_turn(&mut self, me: &Sitting, turn: Option<&str>, typed: bool) -> Result<()> {
        let (posted, remembers) = self.read(|tx, _| {
            let session = tx.session(me.session)?;
            let counted = session.map(|session| (session.posted_turns, session.stop_streak));
            let (posted, stops) = counted.unwrap_or_default();
            let remembers = stops > 0 || tx.remembers_showings(me.session)?;
            Ok((posted > 0, remembers))
        })?;
        match turn {
            _ if typed && (posted || remembers) => self.write(|tx, _, _| {
                tx.set_posted_turns(me.session, 0)?;
                tx.forget_showings(me.session, None)?;
                Ok(tx.set_stop_streak(me.session, turn.unwrap_or_default(), 0)?)
            }),
            Some(turn) if !typed && remembers => {
                self.write(|tx, _, _| enter_turn(tx, me, turn).map(drop))
            }
            _ => Ok(()),
        }
    }

    /// Returns whether a session's person wants it left alone now: it is quiet, or the mesh is paused.
    pub fn is_left_alone(&mut self, me: &Sitting) -> Result<bool> {
        self.read(|tx, _| {
            let quiet_until_ms = tx.peer(me.peer)?.and_then(|peer| peer.quiet_until_ms);
            let brakes = by_persons(tx, quiet_until_ms)?;
            Ok(brakes.hold(tx.now.wall_ms).is_some())
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
pub(in crate::mesh) fn enter_turn(tx: &Tx, me: &Sitting, turn: &str) -> Result<bool> {
    tx.set_turn_of_showings(me.session, turn)?;
    let before = tx.session(me.session)?.and_then(|session| session.turn);
    if before.as_deref() == Some(turn) {
        return Ok(false);
    }
    tx.forget_showings(me.session, Some([turn, &before.unwrap_or_default()]))?;
    tx.set_stop_streak(me.session, turn, 0)?;
    Ok(true)
}

/// Says in the log that a brake was put on or taken off, if that changes anything.
fn tell_change(
    tx: &Tx,
    me: &Sitting,
    [on, off]: [EventKind; 2],
    subject: &str,
    [before_ms, until_ms]: [Option<i64>; 2],
) -> Result<()> {
    let (kind, data) = match until_ms {
        _ if before_ms == until_ms => return Ok(()),
        Some(until_ms) => (on, json!({ "until": output::until(until_ms) })),
        None => (off, json!({})),
    };
    Ok(tx.append(kind, Some(me.peer), subject, &data)?)
}

/// Returns whether questions to a session are held now, as its own programs see it: the budget is its own setting. A
/// session that waits in a call of ours gets them by that call, which starts no turn.
pub(in crate::mesh) fn hold(
    tx: &Tx,
    around: &Around,
    peer: &Peer,
    session: &Session,
) -> Result<Option<Held>> {
    unless_it_waits(tx, session, hold_now(tx, around, peer, session)?)
}

/// The same whether it waits or not: a call brings no mail.
pub(in crate::mesh) fn hold_now(
    tx: &Tx,
    around: &Around,
    peer: &Peer,
    session: &Session,
) -> Result<Option<Held>> {
    let brakes = Brakes {
        posted_turns: session.posted_turns,
        budget: around.wake_budget,
        ..by_persons(tx, peer.quiet_until_ms)?
    };
    Ok(brakes.hold(tx.now.wall_ms))
}

/// The same as an asker sees it. What the budget allows is the session's own matter, so of that only the word counts
/// which its server left at the question.
pub(in crate::mesh) fn hold_seen(
    tx: &Tx,
    peer: &Peer,
    session: &Session,
    word: Option<&str>,
) -> Result<Option<Held>> {
    let held = by_persons(tx, peer.quiet_until_ms)?.hold(tx.now.wall_ms);
    let spent = word == Some(HoldReason::WakeBudget.as_str());
    let spent = spent.then(|| Held::spent(session.posted_turns));
    unless_it_waits(tx, session, held.or(spent))
}

/// The same as anybody is told who looks: by the own settings of whoever looks, or by the word that its server left at a
/// question there.
pub(in crate::mesh) fn hold_told(
    tx: &Tx,
    around: &Around,
    peer: &Peer,
    session: &Session,
) -> Result<Option<Held>> {
    let held = hold(tx, around, peer, session)?;
    let reason = HoldReason::WakeBudget.as_str();
    if held.is_none() && session.posted_turns > 0 && tx.has_held(peer.id, reason)? {
        return hold_seen(tx, peer, session, Some(reason));
    }
    Ok(held)
}

fn unless_it_waits(tx: &Tx, session: &Session, held: Option<Held>) -> Result<Option<Held>> {
    match held {
        Some(_) if tx.newest_wait(session.id)?.is_some() => Ok(None),
        held => Ok(held),
    }
}

/// The brakes that persons put on, without a budget.
fn by_persons(tx: &Tx, quiet_until_ms: Option<i64>) -> Result<Brakes> {
    Ok(Brakes {
        paused_until_ms: paused_until(tx)?,
        quiet_until_ms,
        posted_turns: 0,
        budget: 1,
    })
}

fn paused_until(tx: &Tx) -> Result<Option<i64>> {
    let until = tx.meta(PAUSED)?.and_then(|until| until.parse().ok());
    Ok(until.filter(|until| *until > tx.now.wall_ms))
}

/// Rings those who wait for a question, so that they see how it stands.
pub(in crate::mesh) fn tell_askers(
    tx: &Tx,
    rings: &mut Rings,
    question: crate::platform::id::QuestionId,
) -> Result<()> {
    rings.add(tx.sessions_waiting_on(question, None)?);
    Ok(())
}
