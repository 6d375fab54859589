//! Handles the end of a turn: continues the turn while questions are unanswered, if the mesh decides so.
//!
//! The first time in a row the questions come as added context, then as a block.
use super::call::HookCall;
use super::delivery::Delivery;
use super::hook_mesh::HookMesh;
use super::prompt_text;
use crate::claude_code::HookOutput;
use crate::mesh::{EndingTurn, SessionHandle};
use crate::model::Error;

/// Continues the turn if a question is unanswered.
pub(super) fn continue_turn<'a, M: HookMesh>(
    call: &HookCall,
    mesh: &mut M,
    me: &SessionHandle,
    turn: EndingTurn<'a>,
) -> Result<Option<Delivery<'a>>, Error> {
    let Some(block) = mesh.decide_stop(me, turn)? else {
        return Ok(None);
    };
    let now_ms = mesh.now().wall_ms;
    let (text, shown) = prompt_text::stop_text(block.questions, turn.id, block.headless, now_ms);
    // Only Claude Code continues a turn for added context.
    let output = if block.streak.count == 1 && !call.other_client {
        HookOutput::Context(text)
    } else {
        HookOutput::Block(text)
    };
    Ok(Some(Delivery::at_stop(output, shown, block.streak)))
}
