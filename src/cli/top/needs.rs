//! Decides what needs the person, by the same rules as the board of the hub (`src/hub/page/needs.js`), most urgent first.
use super::snapshot::{OpenQuestion, Snapshot};
use crate::mesh::{ClaimQueue, PeerView, PendingQuestion};
use crate::model::{Activity, Liveness, TaskStatus, WakeState};
use crate::store::Task;

/// A queue of more than this many is long.
const QUEUE_LONG: usize = 2;
/// A ticket that is this old makes its queue long too.
const TICKET_OLD_MS: i64 = 5 * 60_000;

/// Something that needs the person. The order of the variants is that of urgency.
pub(super) enum Need<'a> {
    /// A question to the person.
    Question(&'a PendingQuestion),
    /// A session that waits at a dialog in its terminal.
    Dialog(&'a PeerView),
    /// A question whose peer was not woken.
    NotWoken(&'a OpenQuestion),
    /// A question that a throttle holds.
    Held(&'a OpenQuestion),
    /// A task whose work is done and not accepted.
    Review(&'a Task),
    /// A claim that many wait for, or one for long.
    Queue(&'a ClaimQueue),
}

/// Returns what needs the person, most urgent first, then the oldest.
pub(super) fn needs(snapshot: &Snapshot) -> Vec<Need<'_>> {
    let is_dialog =
        |view: &&PeerView| view.liveness == Liveness::Alive && view.activity == Activity::Waiting;
    let is_held = |open: &&OpenQuestion| open.status.held.is_some();
    let is_failed =
        |open: &&OpenQuestion| !is_held(open) && open.status.delivery.wake == WakeState::Failed;
    let oldest_first = || snapshot.questions.iter().rev();
    let mut reviews: Vec<&Task> = snapshot
        .tasks
        .tasks
        .iter()
        .filter(|task| task.status == TaskStatus::InReview)
        .collect();
    reviews.sort_by_key(|task| task.updated_at_ms);
    let questions = snapshot.to_you.iter().map(Need::Question);
    questions
        .chain(snapshot.peers.iter().filter(is_dialog).map(Need::Dialog))
        .chain(oldest_first().filter(is_failed).map(Need::NotWoken))
        .chain(oldest_first().filter(is_held).map(Need::Held))
        .chain(reviews.into_iter().map(Need::Review))
        .chain(
            snapshot
                .claims
                .iter()
                .filter(|queue| is_long(queue, snapshot.now.wall_ms))
                .map(Need::Queue),
        )
        .collect()
}

fn is_long(queue: &ClaimQueue, now_ms: i64) -> bool {
    let oldest = queue.queue.first();
    queue.queue.len() > QUEUE_LONG
        || oldest.is_some_and(|ticket| now_ms - ticket.claimed_at_ms > TICKET_OLD_MS)
}
