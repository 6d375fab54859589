//! Records the turns of a session: which one it is in, and how many of them peers have started.
use serde_json::json;

use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::mesh::session::SessionHandle;
use crate::model::{EventKind, Result};

impl Mesh {
    /// Records that a prompt begins or joins a turn. What a person types resets the wake budget and the depth of
    /// questions. Writes only if something changes.
    pub fn begin_turn(
        &mut self,
        me: &SessionHandle,
        turn: Option<&str>,
        typed: bool,
    ) -> Result<()> {
        let (posted, has_turn_deliveries) = self.read(|read| {
            let session = read.tx.session(me.session)?;
            let counted = session.map(|session| (session.posted_turns, session.stop_streak));
            let (posted, stops) = counted.unwrap_or_default();
            let has_turn_deliveries = stops > 0 || read.tx.has_closed_deliveries(me.session)?;
            Ok((posted > 0, has_turn_deliveries))
        })?;
        match turn {
            _ if typed && (posted || has_turn_deliveries) => self.write(|write| {
                write.tx.set_posted_turns(me.session, 0)?;
                write.tx.delete_closed_deliveries(me.session, None)?;
                Ok(write
                    .tx
                    .set_stop_streak(me.session, turn.unwrap_or_default(), 0)?)
            }),
            Some(turn) if !typed && has_turn_deliveries => {
                self.write(|write| enter_turn(write, me, turn).map(drop))
            }
            _ => Ok(()),
        }
    }

    /// Records that what was delivered while the turn was unknown belongs to this turn.
    pub fn record_turn(&mut self, me: &SessionHandle, turn: &str) -> Result<()> {
        self.write(|write| enter_turn(write, me, turn).map(drop))
    }
}

/// Records in which turn a session is. Answered questions count in their turn and the next, then their deliveries are
/// deleted. Returns whether the turn is a new one. What a call has delivered is assigned to the turn that is known
/// next: that may be one too late, never too early.
pub(in crate::mesh) fn enter_turn(
    write: &mut WriteContext,
    me: &SessionHandle,
    turn: &str,
) -> Result<bool> {
    write.tx.set_turn_of_deliveries(me.session, turn)?;
    let before = write
        .tx
        .session(me.session)?
        .and_then(|session| session.turn);
    if before.as_deref() == Some(turn) {
        return Ok(false);
    }
    write
        .tx
        .delete_closed_deliveries(me.session, Some([turn, &before.unwrap_or_default()]))?;
    write.tx.set_stop_streak(me.session, turn, 0)?;
    Ok(true)
}

/// Counts a turn that a peer has started, once: by a posted line that is read in it, or by the waiting hook. Claude
/// Code reports itself busy in either case, so whether the line began the turn or joined it shows only by the turn. A
/// turn that a person began counts as well then, which errs on their side. Returns how many there are now.
pub(in crate::mesh) fn count_peer_turn(
    write: &mut WriteContext,
    me: &SessionHandle,
    turn: Option<&str>,
) -> Result<u32> {
    let turns = write
        .tx
        .session(me.session)?
        .map_or(0, |session| session.posted_turns);
    let is_new_turn = match turn {
        Some(turn) => enter_turn(write, me, turn)?,
        None => true,
    };
    if !is_new_turn {
        return Ok(turns);
    }
    let turns = turns + 1;
    write.tx.set_posted_turns(me.session, turns)?;
    if turns == write.host.wake_budget {
        let data = json!({ "posted_turns": turns });
        write
            .tx
            .append_event(EventKind::PeerSpent, Some(me.peer), me.name.as_str(), &data)?;
    }
    Ok(turns)
}
