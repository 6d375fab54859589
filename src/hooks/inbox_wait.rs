//! An idle session is waited beside, for clients whose inbox takes no line: what wakes it is handed over by the end of this
//! program.
//!
//! One waits per session: Claude Code starts one more at the end of every turn, and those that find one leave at once. It
//! ends with its session or its client, or is ended by Claude Code; after it has woken the session, the end of that turn
//! starts the next.
use std::sync::Arc;
use std::time::Duration;

use super::inbox_poll::add_new_messages;
use crate::hooks::{HookCall, HookEvent, prompt_text};
use crate::mesh::{Mesh, Rewake, SessionHandle};
use crate::model::{Error, PeerKind, WakeState};
use crate::platform::process::ProcessKey;
use crate::platform::{FaultKind, lock, process};
use crate::wake::WakeSignal;

/// A ring that was lost between commit and bell is made up for by a look after this time.
const FALLBACK_INTERVAL: Duration = Duration::from_secs(30);
/// The same where the system does not tell of the end of the client.
const FALLBACK_INTERVAL_UNWATCHED: Duration = Duration::from_secs(2);

/// Waits until the session is to be woken, and returns with what; or until there is nobody to wake.
pub fn inbox_wait(call: &HookCall) -> Result<Option<String>, Error> {
    // In `claude -p` the end of the run would wait for this program, whether it answers or not.
    if !matches!(
        call.event,
        HookEvent::Started { .. } | HookEvent::Stopping { .. }
    ) || call.settings.is_headless()
    {
        return Ok(None);
    }
    let Some(project) = call.project()? else {
        return Ok(None);
    };
    let client = call.client()?;
    let mut mesh = call.open(&project)?;
    let me = call.find_or_register(&mut mesh, client, project)?;
    if me.kind == PeerKind::Run {
        return Ok(None);
    }
    let Some(_only) = lock::acquire(&mesh.doorbells().hook_waiter_lock_path(me.session))? else {
        return Ok(None);
    };
    let signal = Arc::new(WakeSignal::default());
    let waker = Arc::clone(&signal);
    let listener = mesh
        .doorbells()
        .listen(me.session, call.settings.polling, move || waker.raise())?;
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
        let pause = match check_for_wake(&mut mesh, &me) {
            Ok(WaitStep::Wake(text)) => return Ok(Some(text)),
            Ok(WaitStep::Ended) => return Ok(None),
            Ok(WaitStep::Again(after)) => after.map_or(interval, |after| after.min(interval)),
            Err(Error::Fault(fault)) if fault.kind == FaultKind::Busy => {
                FALLBACK_INTERVAL_UNWATCHED
            }
            Err(error) => return Err(error),
        };
        signal.wait_until_raised(seen, pause);
    }
}

/// What a look came to.
enum WaitStep {
    Wake(String),
    Again(Option<Duration>),
    Ended,
}

fn check_for_wake(mesh: &mut Mesh, me: &SessionHandle) -> Result<WaitStep, Error> {
    match mesh.rewake(me)? {
        Rewake::Ended => return Ok(WaitStep::Ended),
        Rewake::Wait { after_ms } => {
            let after = after_ms.map(|ms| u64::try_from(ms.max(10)).unwrap_or(10));
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
    let unmentioned_mail = add_new_messages(mesh, me, &mut undelivered)?;
    if undelivered.is_empty() {
        return Ok(WaitStep::Again(None));
    }
    let (text, shown) =
        prompt_text::attachment_text(undelivered, unmentioned_mail, &[], mesh.now().wall_ms);
    // A wake that cannot be counted would be followed by the next one, turn after turn.
    mesh.mark_delivered(me, &shown, None, WakeState::Rewake)?;
    Ok(WaitStep::Wake(text))
}

/// Raises the signal when the client has ended. Returns whether the system tells of it.
fn signal_on_exit(client: ProcessKey, signal: Arc<WakeSignal>) -> bool {
    let Some(end) = process::open_exit_watch(client) else {
        return false;
    };
    std::thread::spawn(move || {
        end.wait();
        signal.raise();
    });
    true
}
