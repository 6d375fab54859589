//! Decides whether a session may end its turn, or has to go on because questions for it are unanswered.
//!
//! Each question continues the same turn twice at most, and any turn three times; a session is continued five times in a row
//! at most. After that the turn ends: the question stays open, and the next prompt names it in one line.
use crate::mesh::connection::Mesh;
use crate::mesh::question::inbox::PendingQuestion;
use crate::mesh::session::SessionHandle;
use crate::model::Result;
use crate::store::Session;

/// How often one question continues the same turn.
const BLOCKS_PER_TURN_MAX: u32 = 2;
/// How often one question continues any turn.
const BLOCKS_PER_QUESTION_MAX: u32 = 3;
/// How often a session is continued in a row. Claude Code overrides the eighth block of all hooks together.
const STREAK_MAX: u32 = 5;
/// The same for a headless run: each continued turn may push its result out of the last message.
const STREAK_MAX_HEADLESS: u32 = 2;

/// A turn that is about to end.
#[derive(Debug, Clone, Copy)]
pub struct EndingTurn<'a> {
    /// The prompt id; empty if the client does not send one.
    pub id: &'a str,
    /// A Stop hook, of claude-mesh or another one, has already continued the turn.
    pub already_blocked: bool,
}

/// How often a session has been continued in a row, this time included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field names say it")]
pub struct StopStreak<'a> {
    pub turn: &'a str,
    pub count: u32,
}

/// The decision that a turn must not end yet.
#[derive(Debug, Clone)]
pub struct StopBlock<'a> {
    /// The questions to put before the model again.
    pub questions: Vec<PendingQuestion>,
    /// What [`Mesh::record_stop_block`] records.
    pub streak: StopStreak<'a>,
    /// The session is a headless run.
    pub headless: bool,
}

impl Mesh {
    /// Returns for which unanswered questions a turn must go on; `None` lets it end.
    pub fn decide_stop<'a>(
        &mut self,
        me: &SessionHandle,
        turn: EndingTurn<'a>,
    ) -> Result<Option<StopBlock<'a>>> {
        let inbox = self.inbox(me)?;
        if inbox.questions.is_empty() || self.is_quiet_or_paused(me)? {
            return Ok(None);
        }
        let session = self.session(me)?;
        Ok(session.and_then(|session| decide_stop(inbox.questions, &session, turn)))
    }
}

/// Returns for which of these questions a turn of a session that is not throttled must go on; `None` lets it end.
pub fn decide_stop<'a>(
    questions: Vec<PendingQuestion>,
    session: &Session,
    turn: EndingTurn<'a>,
) -> Option<StopBlock<'a>> {
    let is_continued = turn.already_blocked && session.turn.as_deref() == Some(turn.id);
    let streak = if is_continued { session.stop_streak } else { 0 };
    let streak_max = if session.headless {
        STREAK_MAX_HEADLESS
    } else {
        STREAK_MAX
    };
    if streak >= streak_max {
        return None;
    }
    let may_block = |pending: &PendingQuestion| {
        let blocks_in_turn = if is_continued {
            pending.delivery.stop_blocks_in_turn
        } else {
            0
        };
        pending.on_behalf_of.is_none()
            && pending.delivery.question.held.is_none()
            && !has_exhausted_stop_blocks(pending)
            && blocks_in_turn < BLOCKS_PER_TURN_MAX
    };
    let questions: Vec<_> = questions.into_iter().filter(may_block).collect();
    (!questions.is_empty()).then_some(StopBlock {
        questions,
        streak: StopStreak {
            turn: turn.id,
            count: streak + 1,
        },
        headless: session.headless,
    })
}

/// Returns whether a question has continued turns as often as it may.
pub fn has_exhausted_stop_blocks(pending: &PendingQuestion) -> bool {
    pending.delivery.stop_blocks >= BLOCKS_PER_QUESTION_MAX
}
