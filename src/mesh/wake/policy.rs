//! The doorbell into a session's own inbox: when a line is posted there, when not, and what became of it.
//!
//! Rung for are questions, late answers, messages that wake, and claims whose turn came while no call waited for it.
//!
//! One ring at a time: what comes later rides on it. Three seconds without a showing count only while the session is idle:
//! then one more ring, then the wake-up has failed. At a busy session, or one at a dialog, the line waits, and so do we.
//!
//! Where a waiting hook runs, the wake is left to it (`rewake`): its person has put it in because lines do not arrive. It gets
//! the session as soon as it is idle; the line is what is left if it lets its time go by, or dies.
use serde_json::json;

use crate::mesh::peer::liveness::Around;
use crate::mesh::question::inbox::{granted, late_answers};
use crate::mesh::wake::events::Waking;
use crate::mesh::wake::hook_wake::{LEFT_TO_WAITER, leave_to_waiter};
use crate::mesh::wake::throttle::{hold, hold_now, tell_askers};
use crate::mesh::{Mesh, Rings, Sitting};
use crate::model::throttle::{Held, NeedsPerson};
use crate::model::{Activity, EventKind, Result};
use crate::platform::id::QuestionId;
use crate::store::{Ring, Tx};

/// An idle session that was rung shows the question within this time, or is rung once more.
pub(in crate::mesh) const ANSWERS_WITHIN_MS: i64 = 3_000;
/// How often an idle session is rung for the same questions.
const RINGS_MAX: u32 = 2;
/// How often a session that is busy, or of which nothing is known, is looked at again while a ring is out.
pub(in crate::mesh) const LOOK_AGAIN_MS: i64 = 2_000;
/// A ring that a busy session has not read after this time is left to the Stop hook.
const GIVE_UP_MS: i64 = 600_000;

/// What the server of a session has to do for it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attention {
    /// Nothing, until the bell rings or it is time to look again.
    Rest {
        /// After how many milliseconds; `None` is only when the bell rings.
        after_ms: Option<i64>,
        /// Why its person should be told that something waits.
        needs_person: Option<NeedsPerson>,
    },
    /// Post a line into the session's inbox.
    Post {
        /// What the line carries.
        nonce: String,
        /// Who asks, the oldest question first.
        from: Vec<String>,
        /// How many late answers wait.
        answers: usize,
        /// Who has posted a message that wakes, the oldest first.
        mail: Vec<String>,
        /// How many claims have been granted without the session knowing.
        granted: usize,
    },
}

/// What the inbox of a session does with a line, as its server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letterbox {
    /// It takes one.
    Open,
    /// It would drop one without a word; after so many milliseconds it takes one.
    Full {
        /// How many.
        for_ms: i64,
    },
    /// There is none, and why.
    Missing(String),
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

impl Attention {
    /// There is nothing to do until the bell rings.
    const NONE: Self = Self::Rest {
        after_ms: None,
        needs_person: None,
    };

    /// Look again after so many milliseconds; at a dialog the person is needed.
    pub(in crate::mesh) fn look_again(after_ms: i64, activity: Activity) -> Self {
        Self::Rest {
            after_ms: Some(after_ms),
            needs_person: (activity == Activity::Waiting).then_some(NeedsPerson::Dialog),
        }
    }
}

impl Mesh {
    /// Decides whether to ring for what waits for a session. `letterbox` is looked at when a line is due.
    pub fn attend(&mut self, me: &Sitting, letterbox: impl Fn() -> Letterbox) -> Result<Attention> {
        if !me.has_mailbox() {
            return Ok(Attention::NONE);
        }
        let nothing = self.read(|tx, around| {
            let rung = tx
                .session(me.session)?
                .is_some_and(|session| session.ring.is_some());
            Ok(!rung && News::of(tx, around, me, false)?.is_empty())
        })?;
        if nothing {
            return Ok(Attention::NONE);
        }
        self.write(|tx, around, rings| attend(tx, around, rings, me, &letterbox))
    }

    /// Returns whether what its person was told about a session is still so.
    pub fn still_needs_person(&mut self, me: &Sitting, needs: NeedsPerson) -> Result<bool> {
        self.read(|tx, around| {
            let (Some(session), Some(peer)) = (tx.session(me.session)?, tx.peer(me.peer)?) else {
                return Ok(false);
            };
            if needs == NeedsPerson::Dialog {
                return Ok(around.activity(&session, &tx.now) == Activity::Waiting);
            }
            let held = hold_now(tx, around, &peer, &session)?;
            Ok(held.and_then(NeedsPerson::because) == Some(needs))
        })
    }

    /// Notes that the line could not be posted. The askers are told why.
    pub fn ring_failed(&mut self, me: &Sitting, problem: &str) -> Result<()> {
        self.write(|tx, around, rings| {
            let news = News::of(tx, around, me, false)?;
            Waking::of(tx, around, rings, me, news).fails(problem)
        })
    }

    /// Returns what a doorbell line is worth that a prompt consists of.
    pub fn worth_of(&mut self, me: &Sitting, nonce: &str) -> Result<Rung> {
        self.read(|tx, around| {
            let (Some(session), Some(peer)) = (tx.session(me.session)?, tx.peer(me.peer)?) else {
                return Ok(Rung::Unknown);
            };
            let known = session
                .ring
                .as_ref()
                .is_some_and(|ring| ring.nonce == nonce);
            Ok(match hold(tx, around, &peer, &session)? {
                Some(_) => Rung::Held,
                None if known => Rung::Read,
                None => Rung::Unknown,
            })
        })
    }

    /// Notes that a doorbell was read which rang for nothing any more. One that brings something is read when that is
    /// marked as shown: a server that looks in between must not ring once more.
    pub fn ring_settled(&mut self, me: &Sitting) -> Result<()> {
        self.write(|tx, _, _| Ok(tx.set_ring(me.session, None)?))
    }
}

fn attend(
    tx: &Tx,
    around: &Around,
    rings: &mut Rings,
    me: &Sitting,
    letterbox: &dyn Fn() -> Letterbox,
) -> Result<Attention> {
    let (ring, news, activity) = match due(tx, around, rings, me, false)? {
        Due::Now {
            ring,
            news,
            activity,
        } => (ring, news, activity),
        Due::NotNow { after_ms, held } => {
            let needs_person = held.and_then(NeedsPerson::because);
            return Ok(Attention::Rest {
                after_ms,
                needs_person,
            });
        }
    };
    if let Some(ring) = ring.as_ref().filter(|ring| ring.count != LEFT_TO_WAITER) {
        return Waking::of(tx, around, rings, me, news).wait_for(ring, activity, letterbox);
    }
    if around.bells.has_waiter(me.session)
        && let Some(left) = leave_to_waiter(tx, rings, me, ring.as_ref(), activity)?
    {
        return Ok(left);
    }
    Waking::of(tx, around, rings, me, news).ring(1, activity, letterbox)
}

/// What a session is to be woken for.
#[derive(Debug, Default)]
pub(in crate::mesh) struct News {
    /// Questions it has never seen.
    pub(in crate::mesh) unseen: Vec<QuestionId>,
    /// How many late answers it has not been shown.
    pub(in crate::mesh) answers: usize,
    /// Who has posted a command or an alert it was not told of.
    pub(in crate::mesh) mail: Vec<String>,
    /// How many claims it holds without knowing.
    pub(in crate::mesh) granted: usize,
}

impl News {
    /// Looks; for questions that ringing has failed only `failed_too`.
    pub(in crate::mesh) fn of(
        tx: &Tx,
        around: &Around,
        me: &Sitting,
        failed_too: bool,
    ) -> Result<Self> {
        let signs = tx.signs(me.peer, me.session)?;
        let mut news = Self {
            granted: granted(tx, me, signs)?.len(),
            ..Self::default()
        };
        if signs.questions {
            news.unseen = tx.unseen(me.peer, me.session, failed_too)?;
        }
        if signs.answers {
            news.answers = fresh_answers(tx, around, me)?;
        }
        if signs.mail {
            news.mail = tx.waking_senders(me.peer)?;
        }
        Ok(news)
    }

    fn without_questions(self) -> Self {
        Self {
            mail: self.mail,
            granted: self.granted,
            ..Self::default()
        }
    }

    /// Somebody wants something of the session; what it has asked for itself can wait without its person.
    fn is_wanted(&self) -> bool {
        !self.unseen.is_empty() || !self.mail.is_empty()
    }

    pub(in crate::mesh) fn is_empty(&self) -> bool {
        self.unseen.is_empty() && self.answers == 0 && self.mail.is_empty() && self.granted == 0
    }
}

/// Whether a session should be woken.
pub(in crate::mesh) enum Due {
    /// For what it has not seen yet, if what it does allows it.
    Now {
        ring: Option<Ring>,
        news: News,
        activity: Activity,
    },
    /// There is nothing to wake it for, or a brake is on; that may change after so many milliseconds.
    NotNow {
        after_ms: Option<i64>,
        /// The brake that holds back what others want of it.
        held: Option<Held>,
    },
}

/// Returns whether a session should be woken; for what ringing has failed only `failed_too`. What a brake holds back is noted
/// as held.
pub(in crate::mesh) fn due(
    tx: &Tx,
    around: &Around,
    rings: &mut Rings,
    me: &Sitting,
    failed_too: bool,
) -> Result<Due> {
    let no = Ok(Due::NotNow {
        after_ms: None,
        held: None,
    });
    let (Some(session), Some(peer)) = (tx.session(me.session)?, tx.peer(me.peer)?) else {
        return no;
    };
    if session.ended_at_ms.is_some() {
        return no;
    }
    let mut news = News::of(tx, around, me, failed_too)?;
    if news.is_empty() {
        tx.set_ring(me.session, None)?;
        return no;
    }
    if tx.newest_wait(me.session)?.is_some() {
        // A call of this session that waits returns with the question; that is the better way. With mail it does not.
        news = news.without_questions();
        if news.is_empty() {
            return no;
        }
    }
    if let Some(held) = hold_now(tx, around, &peer, &session)? {
        for id in &news.unseen {
            hold_question(tx, rings, me, *id, held.reason.as_str())?;
        }
        // A line that is out will be swallowed; when the brake is off a fresh one is due at once.
        tx.set_ring(me.session, None)?;
        let after_ms = held.until_ms.map(|until_ms| until_ms - tx.now.wall_ms + 1);
        return Ok(Due::NotNow {
            after_ms,
            held: news.is_wanted().then_some(held),
        });
    }
    let activity = around.activity(&session, &tx.now);
    Ok(Due::Now {
        ring: session.ring,
        news,
        activity,
    })
}

impl Waking<'_> {
    /// A ring is out: has it been long enough?
    fn wait_for(
        mut self,
        ring: &Ring,
        activity: Activity,
        letterbox: &dyn Fn() -> Letterbox,
    ) -> Result<Attention> {
        let age_ms = self.tx.now.since(ring.at_monotonic_ms);
        // A waiting hook gives the line its time first, and then needs its own.
        let within_ms = if self.around.bells.has_waiter(self.me.session) {
            2 * ANSWERS_WITHIN_MS
        } else {
            ANSWERS_WITHIN_MS
        };
        self.rides_on(ring.count, activity)?;
        match activity {
            Activity::Idle if age_ms < within_ms => {
                Ok(Attention::look_again(within_ms - age_ms, activity))
            }
            Activity::Idle if ring.count < RINGS_MAX => {
                self.ring(ring.count + 1, activity, letterbox)
            }
            Activity::Idle => {
                self.fails("the session was rung twice and did not start a turn")?;
                Ok(Attention::NONE)
            }
            _ if age_ms > GIVE_UP_MS => {
                self.tx.set_ring(self.me.session, None)?;
                Ok(Attention::NONE)
            }
            _ => Ok(Attention::look_again(LOOK_AGAIN_MS, activity)),
        }
    }

    /// Rings, if a line would come through. What is at work may get it without one.
    fn ring(
        mut self,
        count: u32,
        activity: Activity,
        letterbox: &dyn Fn() -> Letterbox,
    ) -> Result<Attention> {
        match letterbox() {
            Letterbox::Open => {}
            Letterbox::Full { for_ms } => return Ok(Attention::look_again(for_ms, activity)),
            Letterbox::Missing(_) if matches!(activity, Activity::Busy | Activity::Waiting) => {
                return Ok(Attention::look_again(LOOK_AGAIN_MS, activity));
            }
            Letterbox::Missing(problem) => {
                // Nobody waits for the rest, and nothing has changed since it was last looked at.
                if !self.news.unseen.is_empty() {
                    self.fails(&problem)?;
                }
                return Ok(Attention::NONE);
            }
        }
        self.is_rung(count, activity)?;
        let nonce = self.tx.nonce()?;
        self.tx.set_ring(
            self.me.session,
            Some(&Ring {
                nonce: nonce.clone(),
                count,
                at_monotonic_ms: self.tx.now.monotonic_ms,
            }),
        )?;
        Ok(Attention::Post {
            nonce,
            from: names_of(self.tx, &self.news.unseen)?,
            answers: self.news.answers,
            mail: self.news.mail,
            granted: self.news.granted,
        })
    }
}

/// Returns how many late answers have not been shown yet.
fn fresh_answers(tx: &Tx, around: &Around, me: &Sitting) -> Result<usize> {
    let answers = late_answers(tx, around, me)?;
    Ok(answers
        .iter()
        .filter(|late| late.question.answer_shown_at_ms.is_none())
        .count())
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

/// Holds a question back; its asker is told.
pub(in crate::mesh) fn hold_question(
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
