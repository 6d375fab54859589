//! Waiting for answers: looks, waits for the bell, tells how far the questions came, and ends in one of few ways.
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::service::RequestContext;

use crate::mcp::blocking_wait::{Heard, Progress, Vigil};
use crate::mcp::session_state::Shared;
use crate::mesh::{Interruption, Standing, Wait};
use crate::model::{Activity, Delivery, PeerName, QuestionState, Result, WakeState};
use crate::platform::id::QuestionId;

/// How a blocking call ended.
pub(super) enum Ended {
    /// Everything awaited has its end.
    Done,
    /// The time is over.
    TimedOut,
    /// Nobody who can be asked is left among those awaited.
    Deserted,
    /// A question for this session came.
    Interrupted(Interruption),
    /// The client cancelled the call.
    Cancelled,
}

/// What a blocking call waits for.
pub(super) struct Waiting<'a> {
    pub(super) wait: Wait,
    pub(super) at_most: Duration,
    /// Questions this very call has created: it may take them back.
    pub(super) created: &'a [QuestionId],
    /// Return when nobody who can be asked is left.
    pub(super) leave_deserted: bool,
}

/// Waits. Whatever happens, the wait has its end.
pub(super) async fn wait(
    shared: &Shared,
    client: &str,
    context: &RequestContext<RoleServer>,
    waiting: Waiting<'_>,
) -> Result<(Ended, Vec<Standing>)> {
    let wait = waiting.wait.id;
    let outcome = until_it_ends(shared, client, context, waiting).await;
    if outcome.is_err() {
        shared.end_wait(client, wait).await;
    }
    outcome
}

/// Subscribe, look, wait, look again.
async fn until_it_ends(
    shared: &Shared,
    client: &str,
    context: &RequestContext<RoleServer>,
    waiting: Waiting<'_>,
) -> Result<(Ended, Vec<Standing>)> {
    let Waiting {
        wait,
        at_most,
        created,
        leave_deserted,
    } = waiting;
    let mut vigil = Vigil::begin(shared, context, at_most);
    let mut progress = Progress::new(context);
    let mut first = true;
    loop {
        vigil.listen();
        let look = shared
            .same_seat(client, |at| at.mesh.look(&at.me, &wait, first))
            .await?;
        first = false;
        if let Some(reason) = &look.interrupts
            && let Some(interruption) = shared
                .same_seat(client, |at| at.mesh.interrupt(&at.me, wait.id, reason))
                .await?
        {
            return Ok((Ended::Interrupted(interruption), look.standings));
        }
        let over = vigil.is_over();
        let open = |standing: &&Standing| standing.question.state == QuestionState::Open;
        let deserted = leave_deserted
            && look
                .standings
                .iter()
                .filter(open)
                .all(|standing| !standing.askable || standing.held.is_some());
        if look.done || over || deserted {
            let finished = shared
                .same_seat(client, |at| at.mesh.finish(&at.me, &wait, &look, created))
                .await;
            let look = match finished {
                Ok(look) => look,
                // An answer that is here is not kept back because it could not be marked as taken.
                Err(_) if look.done => {
                    shared.end_wait(client, wait.id).await;
                    look
                }
                Err(error) => return Err(error),
            };
            let ended = match (look.done, deserted) {
                (true, _) => Ended::Done,
                (false, true) => Ended::Deserted,
                (false, false) => Ended::TimedOut,
            };
            return Ok((ended, look.standings));
        }
        let now = shared.now();
        let open = look.standings.iter().filter(open);
        // Spans grow all the time; only the facts behind them are a change.
        let facts: Vec<Facts> = open.clone().map(Facts::of).collect();
        let words = || {
            let lines: Vec<String> = open
                .map(|standing| standing.delivery.line(standing.peer.as_str(), now.wall_ms))
                .collect();
            lines.join("; ")
        };
        let (ended, taken_back) = match vigil
            .next(progress.tell(facts, words, now.monotonic_ms))
            .await
        {
            Heard::Bell => continue,
            Heard::ClientGone => (Ended::TimedOut, [].as_slice()),
            Heard::Cancelled => (Ended::Cancelled, created),
        };
        shared
            .same_seat(client, |at| at.mesh.abandon(&at.me, &wait, taken_back))
            .await?;
        return Ok((ended, look.standings));
    }
}

/// What makes a notice new.
#[derive(Debug, PartialEq, Eq)]
struct Facts(PeerName, WakeState, u32, Activity);

impl Facts {
    fn of(standing: &Standing) -> Self {
        let Delivery {
            wake,
            shown_times,
            peer_activity,
            ..
        } = &standing.delivery;
        Self(standing.peer.clone(), *wake, *shown_times, *peer_activity)
    }
}
