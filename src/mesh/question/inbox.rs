//! What waits for a session: questions to answer, answers that came when it did not wait, claims whose turn has come, and
//! whether there is mail. Looking consumes nothing.
use serde_json::json;

use crate::mesh::peer::liveness::HostView;
use crate::mesh::question::ask::covers_empty_seat;
use crate::mesh::wake::throttle::enter_turn;
use crate::mesh::{Mesh, PendingWakeups, SessionHandle};
use crate::model::{EventKind, PeerKind, PeerName, QuestionState, Refusal, Result, WakeState};
use crate::platform::id::QuestionId;
use crate::store::{Claim, Message, PendingFlags, Question, QuestionDelivery, Session, Tx};
use crate::tools::output;

/// A late answer is listed this long after it was shown, unless a call took it.
const SHOWN_ANSWER_RETENTION_MS: i64 = 24 * 3600 * 1000;

/// A question that waits for a session.
#[derive(Debug, Clone)]
pub struct PendingQuestion {
    /// The question and what this session has seen of it.
    pub pending: QuestionDelivery,
    /// Who asks.
    pub from: PeerName,
    /// A call of the asker waits for the answer.
    pub asker_waiting: bool,
    /// The empty seat of the same project it is for, when it is not for this one.
    pub on_behalf_of: Option<PeerName>,
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
pub struct QuestionWithPeers {
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
    pub questions: Vec<PendingQuestion>,
    /// Late answers, oldest first.
    pub answers: Vec<LateAnswer>,
    /// Claims it holds without having been told.
    pub granted: Vec<Granted>,
    /// There is mail that has been neither read nor mentioned; [`Mesh::unmentioned_mail`] looks at it.
    pub has_new_mail: bool,
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
    pub fn inbox(&mut self, me: &SessionHandle) -> Result<Inbox> {
        self.read_and_wake_unnotified(|tx, host| inbox(tx, host, me))
    }

    /// Returns the row of a session.
    pub fn session(&mut self, me: &SessionHandle) -> Result<Option<Session>> {
        self.read(|tx, _| Ok(tx.session(me.session)?))
    }

    /// Returns whether a call of this session waits for answers now.
    pub fn is_waiting(&mut self, me: &SessionHandle) -> Result<bool> {
        self.read(|tx, host| {
            Ok(host.doorbells.is_server_running(me.session)
                && tx.newest_wait(me.session)?.is_some())
        })
    }

    /// Returns one question that this session may read, whichever side of it the session is on.
    pub fn question(&mut self, me: &SessionHandle, id: QuestionId) -> Result<QuestionWithPeers> {
        self.read(|tx, host| {
            let question = tx
                .question(id)?
                .ok_or_else(|| Refusal::UnknownQuestion { id: id.to_string() })?;
            let (asker, target) = (tx.peer(question.asker)?, tx.peer(question.target)?);
            let stands_in = target.as_ref().map_or(Ok(false), |target| {
                covers_empty_seat(tx, host, &mut PendingWakeups::default(), me, target)
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
            Ok(QuestionWithPeers {
                asker_waiting: question.state == QuestionState::Open
                    && !host.served_sessions_waiting_on(tx, id, None)?.is_empty(),
                question,
                from: name(asker),
                to: name(target),
            })
        })
    }

    /// Notes that questions, late answers, granted claims and mail were handed to the session's client for the model's next request.
    pub fn mark_delivered(
        &mut self,
        me: &SessionHandle,
        shown: &Inbox,
        turn: Option<&str>,
        channel: WakeState,
    ) -> Result<()> {
        if shown.is_empty() {
            return Ok(());
        }
        self.write(|tx, host, wakeups| {
            let mut counted = None;
            if matches!(channel, WakeState::Inbox | WakeState::Rewake) {
                counted = Some(("posted_turns", count_peer_turn(tx, host, me, turn)?));
                tx.set_wake_attempt(me.session, None)?;
            } else if let Some(turn) = turn {
                enter_turn(tx, me, turn)?;
            }
            mark_delivered(
                tx,
                wakeups,
                me,
                shown,
                DeliveryDetails {
                    turn,
                    channel,
                    counted,
                },
            )
        })
    }

    /// Notes that what was put before the session when its turn was not known is before it in this one.
    pub fn record_turn(&mut self, me: &SessionHandle, turn: &str) -> Result<()> {
        self.write(|tx, _, _| enter_turn(tx, me, turn).map(drop))
    }

    /// Notes that the Stop hook keeps the session in its turn: `kept` holds the questions it names, and `streak` is how
    /// often it did so in a row.
    pub fn record_stop_block(
        &mut self,
        me: &SessionHandle,
        blocked_for: &Inbox,
        turn: &str,
        streak: u32,
    ) -> Result<()> {
        self.write(|tx, _, wakeups| {
            let details = DeliveryDetails {
                turn: Some(turn),
                channel: WakeState::Hook,
                counted: Some(("stops", streak)),
            };
            mark_delivered(tx, wakeups, me, blocked_for, details)?;
            for waiting in &blocked_for.questions {
                let first = waiting.pending.turn.as_deref() != Some(turn)
                    || waiting.pending.stop_blocks_in_turn == 0
                    || streak == 1;
                tx.increment_stop_blocks(waiting.pending.question.id, me.session, first)?;
            }
            Ok(tx.set_stop_streak(me.session, turn, streak)?)
        })
    }

    /// Notes what a hook saw the session do, for clients whose registry cannot be read.
    pub fn set_activity(&mut self, me: &SessionHandle, activity: &str) -> Result<()> {
        self.write(|tx, _, _| Ok(tx.set_activity(me.session, activity)?))
    }

    /// Notes that the person was told to restart the session.
    pub fn mark_restart_notified(&mut self, me: &SessionHandle) -> Result<()> {
        self.write(|tx, _, _| Ok(tx.mark_restart_notified(me.session)?))
    }
}

/// Counts a turn that a peer starts, once: by a posted line that is read in it, or by the waiting hook. Claude Code calls
/// itself busy in either case, so whether the line began the turn or joined it shows only by the turn; one that a person began
/// counts as well then, which errs on their side.
///
/// Returns how many there are now.
fn count_peer_turn(
    tx: &Tx,
    host: &HostView,
    me: &SessionHandle,
    turn: Option<&str>,
) -> Result<u32> {
    let turns = tx
        .session(me.session)?
        .map_or(0, |session| session.posted_turns);
    let is_new_turn = match turn {
        Some(turn) => enter_turn(tx, me, turn)?,
        None => true,
    };
    if !is_new_turn {
        return Ok(turns);
    }
    let turns = turns + 1;
    tx.set_posted_turns(me.session, turns)?;
    if turns == host.wake_budget {
        let data = json!({ "posted_turns": turns });
        tx.append_event(EventKind::PeerSpent, Some(me.peer), me.name.as_str(), &data)?;
    }
    Ok(turns)
}

pub(in crate::mesh) fn inbox(tx: &Tx, host: &HostView, me: &SessionHandle) -> Result<Inbox> {
    let pending_flags = tx.pending_flags(me.peer, me.session)?;
    let answers = if pending_flags.answers {
        late_answers(tx, host, me)?
    } else {
        Vec::new()
    };
    let granted = granted(tx, me, pending_flags)?;
    if !me.is_addressable() {
        return Ok(Inbox {
            answers,
            granted,
            ..Inbox::default()
        });
    }
    let mut questions = if pending_flags.questions {
        pending_at(tx, host, me, me.peer, None)?
    } else {
        Vec::new()
    };
    if me.seat == Some(1)
        && let Some(project) = tx.peer(me.peer)?.and_then(|own| own.project)
    {
        for seat in tx
            .seats_of_project(&project)?
            .iter()
            .filter(|seat| seat.id != me.peer)
        {
            if tx.has_pending_questions(seat.id)?
                && covers_empty_seat(tx, host, &mut PendingWakeups::default(), me, seat)?
            {
                questions.extend(questions_at(tx, host, me, seat.id, Some(&seat.name))?);
            }
        }
    }
    Ok(Inbox {
        questions,
        answers,
        granted,
        has_new_mail: pending_flags.mail,
        mail: Vec::new(),
    })
}

/// Returns the claims that a session holds without having been told.
pub(in crate::mesh) fn granted(
    tx: &Tx,
    me: &SessionHandle,
    pending_flags: PendingFlags,
) -> Result<Vec<Granted>> {
    if !pending_flags.grants {
        return Ok(Vec::new());
    }
    let claims = tx.unnotified_grants(me.session)?;
    let to_granted = |claim| Granted {
        until_ms: output::lease_expires_at_ms(&claim, &tx.now),
        claim,
    };
    Ok(claims.into_iter().map(to_granted).collect())
}

pub(in crate::mesh) fn questions_at(
    tx: &Tx,
    host: &HostView,
    me: &SessionHandle,
    at: crate::platform::id::PeerId,
    on_behalf_of: Option<&PeerName>,
) -> Result<Vec<PendingQuestion>> {
    if tx.has_pending_questions(at)? {
        pending_at(tx, host, me, at, on_behalf_of)
    } else {
        Ok(Vec::new())
    }
}

fn pending_at(
    tx: &Tx,
    host: &HostView,
    me: &SessionHandle,
    at: crate::platform::id::PeerId,
    on_behalf_of: Option<&PeerName>,
) -> Result<Vec<PendingQuestion>> {
    let mut questions = Vec::new();
    for pending in tx.pending(at, me.session)? {
        let from = tx
            .peer(pending.question.asker)?
            .map_or_else(|| PeerName::fold("gone"), |peer| peer.name);
        let asker_waiting = !host
            .served_sessions_waiting_on(tx, pending.question.id, None)?
            .is_empty();
        questions.push(PendingQuestion {
            pending,
            from,
            asker_waiting,
            on_behalf_of: on_behalf_of.cloned(),
        });
    }
    Ok(questions)
}

pub(in crate::mesh) fn late_answers(
    tx: &Tx,
    host: &HostView,
    me: &SessionHandle,
) -> Result<Vec<LateAnswer>> {
    let mut answers = Vec::new();
    for question in tx.uncollected_replies(me.peer, tx.now.wall_ms - SHOWN_ANSWER_RETENTION_MS)? {
        if host
            .served_sessions_waiting_on(tx, question.id, None)?
            .is_empty()
        {
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
pub(in crate::mesh) struct DeliveryDetails<'a> {
    /// In which turn, if that is known.
    pub(in crate::mesh) turn: Option<&'a str>,
    /// By which way.
    pub(in crate::mesh) channel: WakeState,
    /// What the log tells of it: which turn by peers it began, or how often in a row it kept one going.
    pub(in crate::mesh) counted: Option<(&'static str, u32)>,
}

pub(in crate::mesh) fn mark_delivered(
    tx: &Tx,
    wakeups: &mut PendingWakeups,
    me: &SessionHandle,
    shown: &Inbox,
    details: DeliveryDetails,
) -> Result<()> {
    let mut data = json!({ "session": me.session, "way": details.channel.as_str() });
    if let Some((what, count)) = details.counted {
        data[what] = count.into();
    }
    for waiting in &shown.questions {
        let id = waiting.pending.question.id;
        tx.mark_delivered(id, me.session, details.turn, details.channel)?;
        tx.append_event(
            EventKind::QuestionShown,
            Some(me.peer),
            &id.to_string(),
            &data,
        )?;
        wakeups.add(tx.sessions_waiting_for_question(id, None)?);
    }
    for late in &shown.answers {
        tx.mark_answer_delivered(late.question.id)?;
    }
    for granted in &shown.granted {
        tx.mark_grant_notified(granted.claim.id)?;
    }
    if let Some(last) = shown.mail.last() {
        tx.set_mail_mentioned(me.peer, last.id)?;
    }
    Ok(())
}
