//! Waits until an idle session must be woken by its waiting hook, and returns what wakes it.
use std::sync::Arc;
use std::time::Duration;

use super::{message, prompt_text};
use crate::mesh::{Mesh, Rewake, SessionHandle};
use crate::model::{Error, WakeState};
use crate::platform::process::{self, ProcessKey};
use crate::platform::{Fault, FaultKind};
use crate::wake::WakeSignal;

/// The longest time between two reads: a writer can die between its commit and the doorbell.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(30);
/// The same where the system does not report the end of the process.
const FALLBACK_INTERVAL_UNWATCHED: Duration = Duration::from_secs(2);
/// The shortest time between two reads.
const MIN_INTERVAL_MS: i64 = 10;

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
    loop {
        let seen = signal.count();
        if !process::is_alive(client) {
            return Ok(None);
        }
        let pause = match check_for_wake(mesh, me) {
            Ok(WaitStep::Wake(text)) => return Ok(Some(text)),
            Ok(WaitStep::Ended) => return Ok(None),
            Ok(WaitStep::Again(after)) => after.map_or(interval, |after| after.min(interval)),
            Err(Error::Fault(Fault {
                kind: FaultKind::Busy,
                ..
            })) => FALLBACK_INTERVAL_UNWATCHED,
            Err(error) => return Err(error),
        };
        signal.wait_until_raised(seen, pause);
    }
}

/// The result of one read.
enum WaitStep {
    Wake(String),
    Again(Option<Duration>),
    Ended,
}

fn check_for_wake(mesh: &mut Mesh, me: &SessionHandle) -> Result<WaitStep, Error> {
    match mesh.rewake(me)? {
        Rewake::Ended => return Ok(WaitStep::Ended),
        Rewake::Wait { after_ms } => {
            let after =
                after_ms.map(|ms| u64::try_from(ms.max(MIN_INTERVAL_MS)).unwrap_or_default());
            return Ok(WaitStep::Again(after.map(Duration::from_millis)));
        }
        Rewake::Now => {}
    }
    let mut undelivered = mesh.inbox(me)?;
    undelivered
        .questions
        .retain(|waiting| waiting.pending.delivery_count == 0);
    undelivered
        .answers
        .retain(|late| late.question.answer_shown_at_ms.is_none());
    let unmentioned_mail = message::load_unmentioned(mesh, me, &mut undelivered)?;
    if undelivered.is_empty() {
        return Ok(WaitStep::Again(None));
    }
    let (text, shown) =
        prompt_text::attachment_text(undelivered, unmentioned_mail, &[], mesh.now().wall_ms);
    // Unlike at a prompt a fault here fails the call: a wake that is not recorded would be repeated turn after turn.
    mesh.mark_delivered(me, &shown, None, WakeState::Rewake)?;
    Ok(WaitStep::Wake(text))
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
