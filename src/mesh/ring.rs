//! The doorbell into a session's own inbox: when a line is posted there, when not, and what became of it.
//!
//! One ring at a time: later questions ride on it. Three seconds without a showing count only while the session is idle:
//! then one more ring, then the wake-up has failed. At a busy session, or one at a dialog, the line waits, and so do we.
use serde_json::json;

use super::alive::Around;
use super::brake::{hold, tell_askers};
use super::inbox::{late_answers, questions_at};
use super::{Mesh, Rings, Sitting, Waiting};
use crate::ground::id::QuestionId;
use crate::model::{Activity, EventKind, Result, WakeState};
use crate::store::{Ring, Session, Tx};

/// An idle session that was rung shows the question within this time, or is rung once more.
const ANSWERS_WITHIN_MS: i64 = 3_000;
/// How often an idle session is rung for the same questions.
const RINGS_MAX: u32 = 2;
/// How often a session that is busy, or of which nothing is known, is looked at again while a ring is out.
const LOOK_AGAIN_MS: i64 = 2_000;
/// A ring that a busy session has not read after this time is left to the Stop hook.
const GIVE_UP_MS: i64 = 600_000;

/// What the server of a session has to do for it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attention {
    /// Nothing, until the bell rings.
    None,
    /// Look again after so many milliseconds.
    LookAgain {
        /// How many.
        after_ms: i64,
        /// The session waits at a dialog for its person, who should be told.
        needs_person: bool,
    },
    /// Post a line into the session's inbox.
    Post {
        /// What the line carries.
        nonce: String,
        /// Who asks, the oldest question first.
        from: Vec<String>,
        /// How many late answers wait.
        answers: usize,
    },
}

/// What became of a doorbell line that a hook has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// The session may read it.
    Read,
    /// A brake was put on after it was posted.
    Held,
    /// It is none of ours, or of an earlier session.
    Unknown,
}

impl Mesh {
    /// Decides whether to ring for what waits for a session.
    pub fn attend(&mut self, me: &Sitting) -> Result<Attention> {
        let anything = self.read(|tx, around| {
            Ok(tx.has_pending(me.peer)? || !late_answers(tx, around, me)?.is_empty())
        })?;
        if !anything || !me.has_mailbox() {
            return Ok(Attention::None);
        }
        self.write(|tx, around, rings| attend(tx, around, rings, me))
    }

    /// Notes that the line could not be posted. The askers are told why.
    pub fn ring_failed(&mut self, me: &Sitting, problem: &str) -> Result<()> {
        self.write(|tx, around, rings| {
            for id in unseen(&questions_at(tx, around, me, me.peer, None)?) {
                tx.set_wake(id, WakeState::Failed, Some(problem))?;
                tell_askers(tx, rings, id)?;
            }
            Ok(tx.set_ring(me.session, None)?)
        })
    }

    /// Notes that a prompt began or joined a turn. One that a person typed frees the budget; a posted one that starts a
    /// turn is counted. Returns what the doorbell in it is worth.
    pub fn note_prompt(
        &mut self,
        me: &Sitting,
        nonce: Option<&str>,
        typed: bool,
        starts_turn: bool,
    ) -> Result<Rung> {
        let seen = self.read(|tx, around| {
            let Some(session) = tx.session(me.session)? else {
                return Ok(None);
            };
            let peer = tx.peer(me.peer)?;
            let held = peer
                .map(|peer| hold(tx, around, &peer, &session))
                .transpose()?
                .flatten();
            Ok(Some((session, held)))
        })?;
        let Some((session, held)) = seen else {
            return Ok(Rung::Unknown);
        };
        let known =
            nonce.is_some() && session.ring.as_ref().map(|ring| ring.nonce.as_str()) == nonce;
        let rung = match (nonce, held) {
            (Some(_), Some(_)) => Rung::Held,
            (Some(_), None) if known => Rung::Read,
            _ => Rung::Unknown,
        };
        let turns = match (typed, nonce.is_some() && starts_turn && rung != Rung::Held) {
            (true, _) => 0,
            (false, true) => session.posted_turns + 1,
            (false, false) => session.posted_turns,
        };
        if turns != session.posted_turns || known {
            self.write(|tx, _, _| {
                tx.set_posted_turns(me.session, turns)?;
                if known {
                    tx.set_ring(me.session, None)?;
                }
                Ok(())
            })?;
        }
        Ok(rung)
    }
}

fn attend(tx: &Tx, around: &Around, rings: &mut Rings, me: &Sitting) -> Result<Attention> {
    let (Some(session), Some(peer)) = (tx.session(me.session)?, tx.peer(me.peer)?) else {
        return Ok(Attention::None);
    };
    if session.ended_at_ms.is_some() {
        return Ok(Attention::None);
    }
    let questions = questions_at(tx, around, me, me.peer, None)?;
    let unseen = unseen(&questions);
    let answers = late_answers(tx, around, me)?
        .into_iter()
        .filter(|late| late.question.answer_shown_at_ms.is_none())
        .count();
    if unseen.is_empty() && answers == 0 {
        tx.set_ring(me.session, None)?;
        return Ok(Attention::None);
    }
    // A call of this session that waits returns with the question; that is the better way.
    if tx.newest_wait(me.session)?.is_some() {
        return Ok(Attention::None);
    }
    if let Some(held) = hold(tx, around, &peer, &session)? {
        for id in &unseen {
            hold_question(tx, rings, me, *id, held.reason.as_str())?;
        }
        let left_ms = held.until_ms.map(|until_ms| until_ms - tx.now.wall_ms + 1);
        return Ok(
            left_ms.map_or(Attention::None, |after_ms| Attention::LookAgain {
                after_ms,
                needs_person: false,
            }),
        );
    }
    let activity = around.activity(&session, &tx.now);
    if let Some(ring) = &session.ring {
        return wait_for_ring(tx, rings, me, ring, activity, &unseen);
    }
    for id in &unseen {
        tx.set_wake(*id, wake_by(activity), None)?;
        tell_askers(tx, rings, *id)?;
    }
    post(tx, &session, &questions, answers, 1)
}

/// An idle session starts a turn by the line; any other reads it when it comes to it.
fn wake_by(activity: Activity) -> WakeState {
    if activity == Activity::Idle {
        WakeState::Inbox
    } else {
        WakeState::Queued
    }
}

/// A ring is out: has it been long enough?
fn wait_for_ring(
    tx: &Tx,
    rings: &mut Rings,
    me: &Sitting,
    ring: &Ring,
    activity: Activity,
    unseen: &[QuestionId],
) -> Result<Attention> {
    let age_ms = tx.now.wall_ms - ring.at_ms;
    let look_again = |after_ms: i64| Attention::LookAgain {
        after_ms,
        needs_person: activity == Activity::Waiting,
    };
    // Later questions ride on the ring that is out.
    for id in unseen {
        if tx
            .question(*id)?
            .is_some_and(|question| question.wake == WakeState::None)
        {
            tx.set_wake(*id, wake_by(activity), None)?;
            tell_askers(tx, rings, *id)?;
        }
    }
    match activity {
        Activity::Idle if age_ms < ANSWERS_WITHIN_MS => Ok(look_again(ANSWERS_WITHIN_MS - age_ms)),
        Activity::Idle if ring.count < RINGS_MAX => {
            let (Some(session), questions) = (tx.session(me.session)?, unseen) else {
                return Ok(Attention::None);
            };
            let from = names_of(tx, questions)?;
            let nonce = tx.nonce()?;
            let again = Ring {
                nonce: nonce.clone(),
                count: ring.count + 1,
                at_ms: tx.now.wall_ms,
            };
            tx.set_ring(session.id, Some(&again))?;
            Ok(Attention::Post {
                nonce,
                from,
                answers: 0,
            })
        }
        Activity::Idle => {
            for id in unseen {
                tx.set_wake(
                    *id,
                    WakeState::Failed,
                    Some("the session was rung twice and did not start a turn"),
                )?;
                tell_askers(tx, rings, *id)?;
            }
            tx.set_ring(me.session, None)?;
            Ok(Attention::None)
        }
        _ if age_ms > GIVE_UP_MS => {
            tx.set_ring(me.session, None)?;
            Ok(Attention::None)
        }
        _ => Ok(look_again(LOOK_AGAIN_MS)),
    }
}

fn post(
    tx: &Tx,
    session: &Session,
    questions: &[Waiting],
    answers: usize,
    count: u32,
) -> Result<Attention> {
    let nonce = tx.nonce()?;
    tx.set_ring(
        session.id,
        Some(&Ring {
            nonce: nonce.clone(),
            count,
            at_ms: tx.now.wall_ms,
        }),
    )?;
    let from = questions
        .iter()
        .filter(|waiting| waiting.pending.times == 0)
        .map(|waiting| waiting.from.to_string())
        .collect();
    Ok(Attention::Post {
        nonce,
        from,
        answers,
    })
}

fn names_of(tx: &Tx, questions: &[QuestionId]) -> Result<Vec<String>> {
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

/// What this session's model has not had yet, and for which ringing has not failed.
fn unseen(questions: &[Waiting]) -> Vec<QuestionId> {
    let wanted = |waiting: &&Waiting| {
        waiting.pending.times == 0 && waiting.pending.question.wake != WakeState::Failed
    };
    questions
        .iter()
        .filter(wanted)
        .map(|waiting| waiting.pending.question.id)
        .collect()
}

/// Holds a question back; its asker is told.
pub(super) fn hold_question(
    tx: &Tx,
    rings: &mut Rings,
    me: &Sitting,
    id: QuestionId,
    reason: &str,
) -> Result<()> {
    if tx
        .question(id)?
        .is_some_and(|question| question.held.as_deref() != Some(reason))
    {
        tx.set_held(id, reason)?;
        tx.append(
            EventKind::QuestionHeld,
            Some(me.peer),
            &id.to_string(),
            &json!({ "reason": reason }),
        )?;
        tell_askers(tx, rings, id)?;
    }
    Ok(())
}
