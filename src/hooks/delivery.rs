//! What a prompt or Stop hook brings, with what is recorded of it once the client has it.
use super::hook_mesh::HookMesh;
use crate::claude_code::HookOutput;
use crate::mesh::{Inbox, SessionHandle, StopStreak};
use crate::model::{Result, WakeState};

/// The output of a hook, and what of it counts as delivered.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) output: HookOutput,
    shown: Option<Shown<'a>>,
}

/// What the output shows, and how.
#[derive(Debug)]
enum Shown<'a> {
    /// With a prompt.
    AtPrompt {
        items: Inbox,
        turn: Option<&'a str>,
        channel: WakeState,
    },
    /// To continue a turn.
    AtStop {
        items: Inbox,
        streak: StopStreak<'a>,
    },
}

impl<'a> Delivery<'a> {
    /// Returns an output that shows nothing of the inbox.
    pub(super) fn of_notice(output: HookOutput) -> Self {
        Self {
            output,
            shown: None,
        }
    }

    pub(super) fn at_prompt(
        output: HookOutput,
        items: Inbox,
        turn: Option<&'a str>,
        channel: WakeState,
    ) -> Self {
        let shown = Shown::AtPrompt {
            items,
            turn,
            channel,
        };
        Self {
            output,
            shown: Some(shown),
        }
    }

    pub(super) fn at_stop(output: HookOutput, items: Inbox, streak: StopStreak<'a>) -> Self {
        Self {
            output,
            shown: Some(Shown::AtStop { items, streak }),
        }
    }

    /// Records what was delivered.
    pub(crate) fn record<M: HookMesh>(&self, mesh: &mut M, me: &SessionHandle) -> Result<()> {
        match &self.shown {
            None => Ok(()),
            Some(Shown::AtPrompt {
                items,
                turn,
                channel,
            }) => mesh.mark_delivered(me, items, *turn, *channel),
            Some(Shown::AtStop { items, streak }) => mesh.record_stop_block(me, items, *streak),
        }
    }
}
