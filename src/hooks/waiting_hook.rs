//! Waits until an idle session must be woken by its waiting hook, and returns what wakes it.
use std::sync::Arc;
use std::time::Duration;

use super::hook_mesh::HookMesh;
use super::{message, prompt_text};
use crate::mesh::{
    BlockingWait, Mesh, PollResult, SessionHandle, ThreadDriver, WaitCondition, WaitOutcome,
    WaitingHookAction,
};
use crate::model::{Error, WakeState};
use crate::platform::FaultKind;
use crate::platform::id::WaitId;
use crate::platform::process::{self, ProcessKey};
use crate::wake::WakeSignal;

/// The longest time between two polls: a writer can die between its commit and the doorbell.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(30);
/// The longest time between two polls where the system does not report the end of the client process.
const FALLBACK_INTERVAL_UNWATCHED: Duration = Duration::from_secs(2);
/// The time to the next poll if another program holds the write lock.
const BUSY_RETRY_MS: i64 = 2_000;
/// The shortest time between two polls.
const POLL_INTERVAL_MIN_MS: i64 = 10;

/// Waits until the session is to be woken and returns the text for it; `None` if the session or its process has ended.
pub(super) fn wait_for_wake(
    mesh: &mut Mesh,
    me: &SessionHandle,
    client: ProcessKey,
    polling: bool,
) -> Result<Option<String>, Error> {
    let signal = Arc::new(WakeSignal::default());
    let waker = Arc::clone(&signal);
    let listener = mesh
        .doorbells()
        .listen(me.session, polling, move || waker.raise())?;
    let exit_watched = signal_on_exit(client, Arc::clone(&signal));
    let interval = listener.poll_interval(false).unwrap_or(if exit_watched {
        FALLBACK_INTERVAL
    } else {
        FALLBACK_INTERVAL_UNWATCHED
    });
    let mut wait = BlockingWait::new(
        WakeCondition { client },
        mesh.now().monotonic_ms,
        Duration::MAX,
    );
    let mut driver = ThreadDriver {
        mesh,
        me,
        signal: &signal,
        poll_interval: Some(interval),
    };
    match driver.run(&mut wait, |_| true)? {
        WaitOutcome::Done(text) => Ok(text),
        WaitOutcome::Expired | WaitOutcome::Interrupted(_) | WaitOutcome::Cancelled => Ok(None),
    }
}

/// The condition that wakes the session of a process, or ends the wait.
struct WakeCondition {
    client: ProcessKey,
}

impl WaitCondition for WakeCondition {
    /// The text that wakes the session; `None` if the session or its process has ended.
    type Output = Option<String>;

    fn poll(
        &mut self,
        mesh: &mut Mesh,
        me: &SessionHandle,
    ) -> Result<PollResult<Option<String>>, Error> {
        if !process::is_alive(self.client) {
            return Ok(PollResult::Done(None));
        }
        match poll_for_wake(mesh, me) {
            Err(Error::Fault(fault)) if fault.kind == FaultKind::Busy => Ok(PollResult::Pending {
                poll_after_ms: Some(BUSY_RETRY_MS),
            }),
            result => result,
        }
    }

    fn row(&self) -> Option<WaitId> {
        None
    }
}

fn poll_for_wake(mesh: &mut Mesh, me: &SessionHandle) -> Result<PollResult<Option<String>>, Error> {
    match mesh.waiting_hook_action(me)? {
        WaitingHookAction::Ended => return Ok(PollResult::Done(None)),
        WaitingHookAction::Wait { after_ms } => {
            let poll_after_ms = after_ms.map(|ms| ms.max(POLL_INTERVAL_MIN_MS));
            return Ok(PollResult::Pending { poll_after_ms });
        }
        WaitingHookAction::Now => {}
    }
    // Unlike at a prompt a fault here fails the hook: a wake that is not recorded would be repeated turn after turn.
    Ok(match wake_text(mesh, me)? {
        Some(text) => PollResult::Done(Some(text)),
        None => None.into(),
    })
}

/// Returns the text that wakes the session, with what was not delivered to it yet; `None` if there is nothing. Records the
/// delivery.
pub(crate) fn wake_text<M: HookMesh>(
    mesh: &mut M,
    me: &SessionHandle,
) -> Result<Option<String>, Error> {
    let mut undelivered = mesh.inbox(me)?;
    undelivered
        .questions
        .retain(|pending| pending.delivery.delivery_count == 0);
    undelivered
        .answers
        .retain(|late| late.question.answer_shown_at_ms.is_none());
    let unmentioned_mail = message::load_unmentioned(mesh, me, &mut undelivered)?;
    if undelivered.is_empty() {
        return Ok(None);
    }
    let (text, shown) =
        prompt_text::attachment_text(undelivered, unmentioned_mail, &[], mesh.now().wall_ms);
    mesh.mark_delivered(me, &shown, None, WakeState::Rewake)?;
    Ok(Some(text))
}

/// Raises the signal when the process ends. Returns whether the system reports that.
fn signal_on_exit(client: ProcessKey, signal: Arc<WakeSignal>) -> bool {
    let Some(exit) = process::open_exit_watch(client) else {
        return false;
    };
    std::thread::spawn(move || {
        exit.wait();
        signal.raise();
    });
    true
}
