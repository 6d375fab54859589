//! Waits in the queue of a claim until it is granted, interrupted or stopped.
use std::time::Duration;

use crate::cli::claim_format::holder_names;
use crate::cli::context::CliContext;
use crate::cli::error::Failure;
use crate::cli::print;
use crate::cli::progress::{ProgressLine, StopFlag};
use crate::mesh::{
    ClaimOutcome, ClaimRequest, InterruptReason, Interruption, Member, Mesh, SessionHandle, Ticket,
    WaitOutcome,
};
use crate::model::PeerName;
use crate::platform::id::{ClaimId, WaitId};

/// A wait for a queued claim.
pub(super) struct ClaimWait<'a> {
    pub(super) context: &'a CliContext,
    pub(super) wanted: &'a ClaimRequest<'a>,
    pub(super) stop: &'a StopFlag,
    /// Stay in the queue when the command ends.
    pub(super) keep_place: bool,
    pub(super) deadline_monotonic_ms: i64,
}

#[expect(clippy::large_enum_variant, reason = "one command has one")]
pub(super) enum ClaimWaitOutcome {
    Claimed(ClaimOutcome),
    Stopped,
    /// With the explanation for the caller.
    Interrupted(String),
}

impl ClaimWait<'_> {
    /// Waits for the grant. Questions that come meanwhile end the wait of a session, which answers them first; for a person
    /// they are printed.
    pub(super) fn run(
        &self,
        member: &mut Member,
        mut ticket: Ticket,
    ) -> Result<ClaimWaitOutcome, Failure> {
        loop {
            let (id, Some(wait)) = (ticket.id, ticket.wait) else {
                return Ok(ClaimWaitOutcome::Claimed(ClaimOutcome::Queued(ticket)));
            };
            if let Some(cycle) = ticket.cycle.take() {
                return self.refuse_deadlock(member, id, wait, cycle);
            }
            match self.wait_in_queue(member, id, wait)? {
                WaitOutcome::Done(Some(claimed)) => return Ok(ClaimWaitOutcome::Claimed(claimed)),
                _ if self.stop.is_set() => {
                    if !self.keep_place {
                        let me = member.handle().clone();
                        member.mesh().cancel_ticket(&me, id)?;
                    }
                    return Ok(ClaimWaitOutcome::Stopped);
                }
                WaitOutcome::Done(None) | WaitOutcome::Cancelled => {
                    return Ok(ClaimWaitOutcome::Stopped);
                }
                WaitOutcome::Expired => return self.last_turn(member, id),
                WaitOutcome::Interrupted(interruption) => {
                    match self.answer_first_or_claim_again(member, &interruption)? {
                        ClaimWaitOutcome::Claimed(ClaimOutcome::Queued(next)) => ticket = next,
                        outcome => return Ok(outcome),
                    }
                }
            }
        }
    }

    /// Ends a wait that would close a cycle of waiting peers.
    fn refuse_deadlock(
        &self,
        member: &mut Member,
        id: ClaimId,
        wait: WaitId,
        cycle: Vec<PeerName>,
    ) -> Result<ClaimWaitOutcome, Failure> {
        let me = member.handle().clone();
        let names: Vec<String> = cycle.iter().map(ToString::to_string).collect();
        let reason = InterruptReason::Cycle(cycle);
        member.mesh().interrupt(&me, wait, &reason)?;
        if self.context.is_person() && !self.keep_place {
            member.mesh().cancel_ticket(&me, id)?;
        }
        let explanation = format!("deadlock, each waits for the next: {}", names.join(" → "));
        Ok(ClaimWaitOutcome::Interrupted(explanation))
    }

    /// Checks once more at the timeout. A person leaves the queue; a session keeps its place and can claim again.
    fn last_turn(&self, member: &mut Member, id: ClaimId) -> Result<ClaimWaitOutcome, Failure> {
        let me = member.handle().clone();
        let claimed = if self.keep_place || !self.context.is_person() {
            member.mesh().final_queue_turn(&me, id)?
        } else {
            member.mesh().leave_queue(&me, id)?
        };
        Ok(claimed.map_or(ClaimWaitOutcome::Stopped, ClaimWaitOutcome::Claimed))
    }

    fn answer_first_or_claim_again(
        &self,
        member: &mut Member,
        interruption: &Interruption,
    ) -> Result<ClaimWaitOutcome, Failure> {
        for pending in &interruption.questions {
            let question = &pending.delivery.question.question;
            let question = self.context.sanitize_foreign(question);
            print::err(&format!("{} asks you: {question}\n", pending.from))?;
        }
        if !self.context.is_person() {
            let explanation = "a question came; answer it, then claim again".to_owned();
            return Ok(ClaimWaitOutcome::Interrupted(explanation));
        }
        let me = member.handle().clone();
        let claimed = member.mesh().claim(&me, self.wanted)?;
        Ok(ClaimWaitOutcome::Claimed(claimed))
    }

    /// Waits until the deadline and shows the position in the queue.
    fn wait_in_queue(
        &self,
        member: &mut Member,
        id: ClaimId,
        wait: WaitId,
    ) -> Result<WaitOutcome<Option<ClaimOutcome>>, Failure> {
        let remaining_ms = self.deadline_monotonic_ms - member.mesh().now().monotonic_ms;
        let remaining = Duration::from_millis(u64::try_from(remaining_ms).unwrap_or(0));
        let mut line = ProgressLine::new(print::stderr_is_terminal() && !self.context.json);
        let check_turn = |mesh: &mut Mesh, me: &SessionHandle| {
            Ok(match mesh.queue_turn(me, id)? {
                Some(ClaimOutcome::Queued(ticket)) => {
                    line.show(&format!(
                        "position {} in the queue, held by {}",
                        ticket.position,
                        holder_names(&ticket.holders)
                    ));
                    None
                }
                queue_turn => Some(queue_turn),
            })
        };
        let waited = member.wait_for(wait, remaining, check_turn, || !self.stop.is_set());
        line.clear();
        Ok(waited?)
    }
}
