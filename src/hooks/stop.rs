//! The end of a turn: continues the turn while questions are unanswered, a bounded number of times.
//!
//! The first time in a row the questions come as added context, then as a block. Each question continues its turn twice at
//! most, and three times in all; a session is continued five times in a row at most. After that the turn ends: the question
//! stays open, and the next prompt names it in one line.
use super::call::HookCall;
use super::prompt_text;
use crate::claude_code::HookOutput;
use crate::mesh::{Mesh, PendingQuestion, SessionHandle};
use crate::model::Error;
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
#[derive(Clone, Copy)]
pub(super) struct EndingTurn<'a> {
    /// The prompt id; empty if Claude Code does not send one.
    pub(super) id: &'a str,
    /// A Stop hook, ours or another one, has already continued it.
    pub(super) already_blocked: bool,
}

/// The decision that a turn must not end yet.
struct StopBlock {
    /// The questions that are put before the model again.
    questions: Vec<PendingQuestion>,
    /// How often the session has been continued in a row before.
    streak: u32,
}

/// Continues the turn if a question is unanswered.
pub(super) fn continue_turn(
    call: &HookCall,
    mesh: &mut Mesh,
    me: &SessionHandle,
    turn: EndingTurn<'_>,
) -> Result<Option<HookOutput>, Error> {
    let inbox = mesh.inbox(me)?;
    if inbox.questions.is_empty() || mesh.is_quiet_or_paused(me)? {
        return Ok(None);
    }
    let Some(session) = mesh.session(me)? else {
        return Ok(None);
    };
    let Some(block) = decide(inbox.questions, &session, turn) else {
        return Ok(None);
    };
    let now_ms = mesh.now().wall_ms;
    let (text, shown) = prompt_text::stop_text(block.questions, turn.id, session.headless, now_ms);
    let marked = mesh.record_stop_block(me, &shown, turn.id, block.streak + 1);
    call.tolerate_unmarked(marked)?;
    Ok(Some(if block.streak == 0 {
        HookOutput::Context(text)
    } else {
        HookOutput::Block(text)
    }))
}

/// Decides whether a turn must go on, and for which of the unanswered questions.
fn decide(
    questions: Vec<PendingQuestion>,
    session: &Session,
    turn: EndingTurn<'_>,
) -> Option<StopBlock> {
    let continued = turn.already_blocked && session.turn.as_deref() == Some(turn.id);
    let (streak, streak_max) = (
        if continued { session.stop_streak } else { 0 },
        if session.headless {
            STREAK_MAX_HEADLESS
        } else {
            STREAK_MAX
        },
    );
    if streak >= streak_max {
        return None;
    }
    let may_block = |waiting: &PendingQuestion| {
        let blocks_in_turn = if continued {
            waiting.pending.stop_blocks_in_turn
        } else {
            0
        };
        waiting.on_behalf_of.is_none()
            && waiting.pending.question.held.is_none()
            && !is_exhausted(waiting)
            && blocks_in_turn < BLOCKS_PER_TURN_MAX
    };
    let questions: Vec<_> = questions.into_iter().filter(may_block).collect();
    (!questions.is_empty()).then_some(StopBlock { questions, streak })
}

/// Returns whether a question has continued turns as often as it may.
pub(super) fn is_exhausted(waiting: &PendingQuestion) -> bool {
    waiting.pending.stop_blocks >= BLOCKS_PER_QUESTION_MAX
}
