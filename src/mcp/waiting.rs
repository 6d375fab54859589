//! A blocking call: looks, waits for the bell, tells how far the questions came, and ends in one of few ways.
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use tokio::sync::watch;

use super::station::Shared;
use crate::ground::id::QuestionId;
use crate::mesh::{Interruption, Standing, Wait};
use crate::model::{Activity, Delivery, PeerName, QuestionState, Result, WakeState};

/// A call that waits says so at least this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

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

/// Waits. Subscribe, look, wait, look again.
pub(super) async fn wait(
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
    let until_ms =
        shared.now().monotonic_ms + i64::try_from(at_most.as_millis()).unwrap_or(i64::MAX / 2);
    let mut progress = Progress::new(context);
    let _waiting = shared.begin_wait();
    let mut rings = shared.rings();
    let mut stdin_closed = shared.stdin_closed().subscribe();
    let mut first = true;
    loop {
        rings.borrow_and_update();
        let look = shared
            .same_seat(client, |at| at.mesh.look(&at.me, &wait, first))
            .await?;
        first = false;
        if let Some(reason) = look.interrupts.filter(|_| !look.done)
            && let Some(interruption) = shared
                .same_seat(client, |at| at.mesh.interrupt(&at.me, &wait, &reason))
                .await?
        {
            return Ok((Ended::Interrupted(interruption), look.standings));
        }
        let now = shared.now();
        let left_ms = until_ms - now.monotonic_ms;
        let open = |standing: &&Standing| standing.question.state == QuestionState::Open;
        let deserted = leave_deserted
            && look
                .standings
                .iter()
                .filter(open)
                .all(|standing| !standing.askable || standing.held.is_some());
        if look.done || left_ms <= 0 || deserted {
            let taken_back: &[QuestionId] = if look.done && wait.any { created } else { &[] };
            let finished = shared
                .same_seat(client, |at| at.mesh.finish(&at.me, &wait, taken_back))
                .await;
            // An answer that is here is not kept back because it could not be marked as taken.
            if !look.done {
                finished?;
            }
            let ended = match (look.done, deserted) {
                (true, _) => Ended::Done,
                (false, true) => Ended::Deserted,
                (false, false) => Ended::TimedOut,
            };
            return Ok((ended, look.standings));
        }
        // After the end of stdin a notice is never taken from us.
        let pause = tokio::select! {
            pause = progress.tell(&look.standings, now.wall_ms) => pause,
            () = closed(&mut stdin_closed) => Duration::ZERO,
        };
        let pause = pause
            .min(shared.pace())
            .min(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)));
        tokio::select! {
            changed = rings.changed() => if changed.is_err() { tokio::time::sleep(pause).await },
            () = tokio::time::sleep(pause) => {}
            // Nobody reads the result of a call whose client has gone; waiting on would only delay the end.
            () = closed(&mut stdin_closed) => {
                shared.same_seat(client, |at| at.mesh.finish(&at.me, &wait, &[])).await?;
                return Ok((Ended::TimedOut, look.standings));
            }
            () = context.ct.cancelled() => {
                shared.same_seat(client, |at| at.mesh.finish(&at.me, &wait, created)).await?;
                return Ok((Ended::Cancelled, look.standings));
            }
        }
    }
}

async fn closed(stdin: &mut watch::Receiver<bool>) {
    let _ = stdin.wait_for(|closed| *closed).await;
}

/// The notices of one call: at once, at every change, and every ten seconds.
struct Progress<'a> {
    context: &'a RequestContext<RoleServer>,
    token: Option<rmcp::model::ProgressToken>,
    said: Vec<Facts>,
    said_at_ms: i64,
    count: f64,
}

impl<'a> Progress<'a> {
    fn new(context: &'a RequestContext<RoleServer>) -> Self {
        Self {
            token: context.meta.get_progress_token(),
            context,
            said: Vec::new(),
            said_at_ms: 0,
            count: 0.0,
        }
    }

    /// Says where the open questions stand, if that is due. Returns how long until it is due again.
    async fn tell(&mut self, standings: &[Standing], now_ms: i64) -> Duration {
        let Some(token) = &self.token else {
            return PROGRESS_EVERY;
        };
        let open: Vec<&Standing> = standings
            .iter()
            .filter(|standing| standing.question.state == QuestionState::Open)
            .collect();
        // Spans grow all the time; only the facts behind them are a change.
        let facts: Vec<_> = open.iter().map(|standing| Facts::of(standing)).collect();
        let every_ms = i64::try_from(PROGRESS_EVERY.as_millis()).unwrap_or(i64::MAX);
        if facts != self.said || now_ms - self.said_at_ms >= every_ms {
            let lines: Vec<String> = open
                .iter()
                .map(|standing| standing.delivery.line(standing.peer.as_str(), now_ms))
                .collect();
            self.count += 1.0;
            let notice = ProgressNotificationParam::new(token.clone(), self.count)
                .with_message(lines.join("; "));
            let _ = self.context.peer.notify_progress(notice).await;
            (self.said, self.said_at_ms) = (facts, now_ms);
        }
        Duration::from_millis(
            u64::try_from((self.said_at_ms + every_ms - now_ms).max(1)).unwrap_or(1),
        )
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
