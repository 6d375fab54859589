//! Records what was delivered to a session: handed to its client for the model.
use serde_json::json;

use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::mesh::question::inbox::Inbox;
use crate::mesh::question::stop_decision::StopStreak;
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::turn::{count_peer_turn, enter_turn};
use crate::model::{EventKind, Result, WakeState};

/// How something is delivered to a session.
#[derive(Debug, Clone, Copy)]
pub(in crate::mesh) struct DeliveryDetails<'a> {
    /// The turn, if it is known.
    pub(in crate::mesh) turn: Option<&'a str>,
    /// The way of the delivery.
    pub(in crate::mesh) channel: WakeState,
    /// A count for the event: of turns that peers have started, or of blocks in a row.
    pub(in crate::mesh) counted: Option<(&'static str, u32)>,
}

impl Mesh {
    /// Records that questions, late answers, granted claims and mail were handed to the client of a session, for the
    /// next request to its model.
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
        self.record_delivery(me, shown, turn, channel)
    }

    /// Records the same for a session on another host: what it has got may all have been settled since, but it has begun the
    /// turn.
    pub(in crate::mesh) fn record_delivery(
        &mut self,
        me: &SessionHandle,
        shown: &Inbox,
        turn: Option<&str>,
        channel: WakeState,
    ) -> Result<()> {
        self.write(|write| {
            let mut counted = None;
            if matches!(channel, WakeState::Inbox | WakeState::Rewake) {
                counted = Some(("posted_turns", count_peer_turn(write, me, turn)?));
                write.tx.set_wake_attempt(me.session, None)?;
            } else if let Some(turn) = turn {
                enter_turn(write, me, turn)?;
            }
            mark_delivered(
                write,
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

    /// Records that the Stop hook continues a turn for these questions, for the `streak`th time in a row.
    pub fn record_stop_block(
        &mut self,
        me: &SessionHandle,
        blocked_for: &Inbox,
        streak: StopStreak,
    ) -> Result<()> {
        let StopStreak {
            turn,
            count: streak,
        } = streak;
        self.write(|write| {
            let details = DeliveryDetails {
                turn: Some(turn),
                channel: WakeState::Hook,
                counted: Some(("stops", streak)),
            };
            mark_delivered(write, me, blocked_for, details)?;
            for pending in &blocked_for.questions {
                let first = pending.delivery.turn.as_deref() != Some(turn)
                    || pending.delivery.stop_blocks_in_turn == 0
                    || streak == 1;
                write
                    .tx
                    .increment_stop_blocks(pending.delivery.question.id, me.session, first)?;
            }
            Ok(write.tx.set_stop_streak(me.session, turn, streak)?)
        })
    }
}

pub(in crate::mesh) fn mark_delivered(
    write: &mut WriteContext,
    me: &SessionHandle,
    shown: &Inbox,
    details: DeliveryDetails,
) -> Result<()> {
    let mut data = json!({ "session": me.session, "way": details.channel.as_str() });
    if let Some((what, count)) = details.counted {
        data[what] = count.into();
    }
    for pending in &shown.questions {
        let id = pending.delivery.question.id;
        write
            .tx
            .mark_delivered(id, me.session, details.turn, details.channel)?;
        write.tx.append_event(
            EventKind::QuestionShown,
            Some(me.peer),
            &id.to_string(),
            &data,
        )?;
        write.wake(write.tx.sessions_waiting_for_question(id, None)?);
    }
    for late in &shown.answers {
        write.tx.mark_answer_delivered(late.question.id)?;
    }
    for granted in &shown.granted {
        write.tx.mark_grant_notified(granted.claim.id)?;
    }
    for note in &shown.fork_notes {
        write.tx.mark_fork_reported(note.question.id)?;
    }
    if let Some(last) = shown.mail.last() {
        write.tx.set_mail_mentioned(me.peer, last.id)?;
    }
    Ok(())
}
