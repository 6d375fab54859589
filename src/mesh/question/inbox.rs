//! What waits for a session: questions to answer, answers that came when it did not wait, claims whose turn has come, and
//! whether there is mail. Looking consumes nothing.
use serde_json::json;

use crate::mesh::peer::liveness::Around;
use crate::mesh::question::ask::stands_in_for;
use crate::mesh::wake::throttle::enter_turn;
use crate::mesh::{Mesh, Rings, Sitting};
use crate::model::{EventKind, PeerKind, PeerName, QuestionState, Refusal, Result, WakeState};
use crate::platform::id::QuestionId;
use crate::store::{Claim, Message, Pending, Question, Session, Signs, Tx};
use crate::tools::output;

/// A late answer is listed this long after it was shown, unless a call took it.
const SHOWN_ANSWER_MS: i64 = 24 * 3600 * 1000;

/// A question that waits for a session.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The question and what this session has seen of it.
    pub pending: Pending,
    /// Who asks.
    pub from: PeerName,
    /// A call of the asker waits for the answer.
    pub asker_waiting: bool,
    /// The empty seat of the same project it is for, when it is not for this one.
    pub instead_of: Option<PeerName>,
}

/// An answer that came when nobody waited.
#[derive(Debug, Clone)]
pub struct LateAnswer {
    /// The question with its answer.
    pub question: Question,
    /// Who answered.
    pub from: PeerName,
}

/// A claim that a session holds without having been told.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The claim.
    pub claim: Claim,
    /// When its lease is over, in wall milliseconds.
    pub until_ms: i64,
}

/// A question, open or not, with the names of both sides.
#[derive(Debug, Clone)]
pub struct Between {
    /// The question.
    pub question: Question,
    /// Who asked.
    pub from: PeerName,
    /// Who was asked.
    pub to: PeerName,
    /// A call of the asker waits for the answer.
    pub asker_waiting: bool,
}

/// What waits for a session.
#[derive(Debug, Clone, Default)]
pub struct Inbox {
    /// Questions, oldest first.
    pub questions: Vec<Waiting>,
    /// Late answers, oldest first.
    pub answers: Vec<LateAnswer>,
    /// Claims it holds without having been told.
    pub granted: Vec<Granted>,
    /// There is mail that has been neither read nor mentioned; [`Mesh::new_mail`] looks at it.
    pub mail_waits: bool,
    /// Mail that is mentioned with the rest, oldest first.
    pub mail: Vec<Message>,
}

impl Inbox {
    /// Returns whether nothing is to be put before the model.
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
            && self.answers.is_empty()
            && self.granted.is_empty()
            && self.mail.is_empty()
    }
}

impl Mesh {
    /// Returns what waits for a session, without marking anything.
    pub fn inbox(&mut self, me: &Sitting) -> Result<Inbox> {
        self.look_around(|tx, around| inbox(tx, around, me))
    }

    /// Returns the row of a session.
    pub fn session(&mut self, me: &Sitting) -> Result<Option<Session>> {
        self.read(|tx, _| Ok(tx.session(me.session)?))
    }

    /// Returns whether a call of this session waits for answers now.
    pub fn is_waiting(&mut self, me: &Sitting) -> Result<bool> {
        self.read(|tx, around| {
            Ok(around.bells.is_served(me.session) && tx.newest_wait(me.session)?.is_some())
        })
    }

    /// Returns one question that this session may read, whichever side of it the session is on.
    pub fn question(&mut self, me: &Sitting, id: QuestionId) -> Result<Between> {
        self.read(|tx, around| {
            let question = tx
                .question(id)?
                .ok_or_else(|| Refusal::NotFound { id: id.to_string() })?;
            let (asker, target) = (tx.peer(question.asker)?, tx.peer(question.target)?);
            let stands_in = target.as_ref().map_or(Ok(false), |target| {
                stands_in_for(tx, around, &mut Rings::default(), me, target)
            })?;
            let own = question.asker == me.peer
                || question.target == me.peer
                || me.kind == PeerKind::Person;
            if !own && !stands_in {
                return Err(Refusal::NotYours {
                    problem: format!("question {id} is between other sessions"),
                }
                .into());
            }
            let name = |peer: Option<crate::store::Peer>| {
                peer.map_or_else(|| PeerName::fold("gone"), |peer| peer.name)
            };
            Ok(Between {
                asker_waiting: question.state == QuestionState::Open
                    && !around.waiting_on(tx, id, None)?.is_empty(),
                question,
                from: name(asker),
                to: name(target),
            })
        })
    }

    /// Notes that questions, late answers, granted claims and mail were handed to the session's client for the model's next request.
    pub fn mark_shown(
        &mut self,
        me: &Sitting,
        shown: &Inbox,
        turn: Option<&str>,
        way: WakeState,
    ) -> Result<()> {
        if shown.is_empty() {
            return Ok(());
        }
        self.write(|tx, around, rings| {
            let mut counted = None;
            if matches!(way, WakeState::Inbox | WakeState::Rewake) {
                counted = Some(("posted_turns", count_turn(tx, around, me, turn)?));
                tx.set_ring(me.session, None)?;
            } else if let Some(turn) = turn {
                enter_turn(tx, me, turn)?;
            }
            mark_shown(tx, rings, me, shown, Showing { turn, way, counted })
        })
    }

    /// Notes that what was put before the session when its turn was not known is before it in this one.
    pub fn note_turn(&mut self, me: &Sitting, turn: &str) -> Result<()> {
        self.write(|tx, _, _| enter_turn(tx, me, turn).map(drop))
    }

    /// Notes that the Stop hook keeps the session in its turn: `kept` holds the questions it names, and `streak` is how
    /// often it did so in a row.
    pub fn mark_kept(&mut self, me: &Sitting, kept: &Inbox, turn: &str, streak: u32) -> Result<()> {
        self.write(|tx, _, rings| {
            let how = Showing {
                turn: Some(turn),
                way: WakeState::Hook,
                counted: Some(("stops", streak)),
            };
            mark_shown(tx, rings, me, kept, how)?;
            for waiting in &kept.questions {
                let first = waiting.pending.turn.as_deref() != Some(turn)
                    || waiting.pending.stops_in_turn == 0
                    || streak == 1;
                tx.count_stop(waiting.pending.question.id, me.session, first)?;
            }
            Ok(tx.set_stop_streak(me.session, turn, streak)?)
        })
    }

    /// Notes what a hook saw the session do, for clients whose registry cannot be read.
    pub fn set_activity(&mut self, me: &Sitting, activity: &str) -> Result<()> {
        self.write(|tx, _, _| Ok(tx.set_activity(me.session, activity)?))
    }

    /// Notes that the person was told to restart the session.
    pub fn set_told_restart(&mut self, me: &Sitting) -> Result<()> {
        self.write(|tx, _, _| Ok(tx.set_told_restart(me.session)?))
    }
}

/// Counts a turn that a peer starts, once: by a posted line that is read in it, or by the waiting hook. Claude Code calls
/// itself busy in either case, so whether the line began the turn or joined it shows only by the turn; one that a person began
/// counts as well then, which errs on their side.
///
/// Returns how many there are now.
fn count_turn(tx: &Tx, around: &Around, me: &Sitting, turn: Option<&str>) -> Result<u32> {
    let turns = tx
        .session(me.session)?
        .map_or(0, |session| session.posted_turns);
    let entered = match turn {
        Some(turn) => enter_turn(tx, me, turn)?,
        None => true,
    };
    if !entered {
        return Ok(turns);
    }
    let turns = turns + 1;
    tx.set_posted_turns(me.session, turns)?;
    if turns == around.wake_budget {
        let data = json!({ "posted_turns": turns });
        tx.append(EventKind::PeerSpent, Some(me.peer), me.name.as_str(), &data)?;
    }
    Ok(turns)
}

pub(in crate::mesh) fn inbox(tx: &Tx, around: &Around, me: &Sitting) -> Result<Inbox> {
    let signs = tx.signs(me.peer, me.session)?;
    let answers = if signs.answers {
        late_answers(tx, around, me)?
    } else {
        Vec::new()
    };
    let granted = granted(tx, me, signs)?;
    if !me.has_mailbox() {
        return Ok(Inbox {
            answers,
            granted,
            ..Inbox::default()
        });
    }
    let mut questions = if signs.questions {
        pending_at(tx, around, me, me.peer, None)?
    } else {
        Vec::new()
    };
    if me.seat == Some(1)
        && let Some(project) = tx.peer(me.peer)?.and_then(|own| own.project)
    {
        for seat in tx.seats(&project)?.iter().filter(|seat| seat.id != me.peer) {
            if tx.has_pending(seat.id)?
                && stands_in_for(tx, around, &mut Rings::default(), me, seat)?
            {
                questions.extend(questions_at(tx, around, me, seat.id, Some(&seat.name))?);
            }
        }
    }
    Ok(Inbox {
        questions,
        answers,
        granted,
        mail_waits: signs.mail,
        mail: Vec::new(),
    })
}

/// Returns the claims that a session holds without having been told.
pub(in crate::mesh) fn granted(tx: &Tx, me: &Sitting, signs: Signs) -> Result<Vec<Granted>> {
    if !signs.grants {
        return Ok(Vec::new());
    }
    let claims = tx.claims_untold(me.session)?;
    let told = |claim| Granted {
        until_ms: output::expires_ms(&claim, &tx.now),
        claim,
    };
    Ok(claims.into_iter().map(told).collect())
}

pub(in crate::mesh) fn questions_at(
    tx: &Tx,
    around: &Around,
    me: &Sitting,
    at: crate::platform::id::PeerId,
    instead_of: Option<&PeerName>,
) -> Result<Vec<Waiting>> {
    if tx.has_pending(at)? {
        pending_at(tx, around, me, at, instead_of)
    } else {
        Ok(Vec::new())
    }
}

fn pending_at(
    tx: &Tx,
    around: &Around,
    me: &Sitting,
    at: crate::platform::id::PeerId,
    instead_of: Option<&PeerName>,
) -> Result<Vec<Waiting>> {
    let mut questions = Vec::new();
    for pending in tx.pending(at, me.session)? {
        let from = tx
            .peer(pending.question.asker)?
            .map_or_else(|| PeerName::fold("gone"), |peer| peer.name);
        let asker_waiting = !around.waiting_on(tx, pending.question.id, None)?.is_empty();
        questions.push(Waiting {
            pending,
            from,
            asker_waiting,
            instead_of: instead_of.cloned(),
        });
    }
    Ok(questions)
}

pub(in crate::mesh) fn late_answers(
    tx: &Tx,
    around: &Around,
    me: &Sitting,
) -> Result<Vec<LateAnswer>> {
    let mut answers = Vec::new();
    for question in tx.open_answers(me.peer, tx.now.wall_ms - SHOWN_ANSWER_MS)? {
        if around.waiting_on(tx, question.id, None)?.is_empty() {
            let from = tx
                .peer(question.target)?
                .map_or_else(|| PeerName::fold("gone"), |peer| peer.name);
            answers.push(LateAnswer { question, from });
        }
    }
    Ok(answers)
}

/// How something is put before a session.
#[derive(Debug, Clone, Copy)]
pub(in crate::mesh) struct Showing<'a> {
    /// In which turn, if that is known.
    pub(in crate::mesh) turn: Option<&'a str>,
    /// By which way.
    pub(in crate::mesh) way: WakeState,
    /// What the log tells of it: which turn by peers it began, or how often in a row it kept one going.
    pub(in crate::mesh) counted: Option<(&'static str, u32)>,
}

pub(in crate::mesh) fn mark_shown(
    tx: &Tx,
    rings: &mut Rings,
    me: &Sitting,
    shown: &Inbox,
    how: Showing,
) -> Result<()> {
    let mut data = json!({ "session": me.session, "way": how.way.as_str() });
    if let Some((what, count)) = how.counted {
        data[what] = count.into();
    }
    for waiting in &shown.questions {
        let id = waiting.pending.question.id;
        tx.mark_shown(id, me.session, how.turn, how.way)?;
        tx.append(
            EventKind::QuestionShown,
            Some(me.peer),
            &id.to_string(),
            &data,
        )?;
        rings.add(tx.sessions_waiting_on(id, None)?);
    }
    for late in &shown.answers {
        tx.mark_answer_shown(late.question.id)?;
    }
    for granted in &shown.granted {
        tx.set_told(granted.claim.id)?;
    }
    if let Some(last) = shown.mail.last() {
        tx.set_mail_mentioned(me.peer, last.id)?;
    }
    Ok(())
}
