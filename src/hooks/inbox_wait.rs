//! An idle session is waited beside, for clients whose inbox takes no line: what wakes it is handed over by the end of this
//! program.
//!
//! One waits per session: Claude Code starts one more at the end of every turn, and those that find one leave at once. It
//! ends with its session or its client, or is ended by Claude Code; after it has woken the session, the end of that turn
//! starts the next.
use std::sync::Arc;
use std::time::Duration;

use super::inbox_poll::add_mail;
use crate::hooks::{Call, Event, prompt_text};
use crate::mesh::{Mesh, Rewake, Sitting};
use crate::model::{Error, PeerKind, WakeState};
use crate::platform::process::ProcessKey;
use crate::platform::{FaultKind, lock, process};
use crate::wake::Signal;

/// A ring that was lost between commit and bell is made up for by a look after this time.
const CALM: Duration = Duration::from_secs(30);
/// The same where the system does not tell of the end of the client.
const WATCHFUL: Duration = Duration::from_secs(2);

/// Waits until the session is to be woken, and returns with what; or until there is nobody to wake.
pub fn inbox_wait(call: &Call) -> Result<Option<String>, Error> {
    // In `claude -p` the end of the run would wait for this program, whether it answers or not.
    if !matches!(call.event, Event::Started { .. } | Event::Stopping { .. })
        || call.settings.is_headless()
    {
        return Ok(None);
    }
    let Some(project) = call.project()? else {
        return Ok(None);
    };
    let client = call.client()?;
    let mut mesh = call.open(&project)?;
    let me = call.seat(&mut mesh, client, project)?;
    if me.kind == PeerKind::Run {
        return Ok(None);
    }
    let Some(_only) = lock::own(&mesh.bells().waiter_lock_path(me.session))? else {
        return Ok(None);
    };
    let signal = Arc::new(Signal::default());
    let ring = Arc::clone(&signal);
    let listener = mesh
        .bells()
        .listen(me.session, call.settings.polling, move || ring.raise())?;
    let told_of_the_end = hear_the_end(client, Arc::clone(&signal));
    let longest = listener
        .pace(false)
        .unwrap_or(if told_of_the_end { CALM } else { WATCHFUL });
    loop {
        let seen = signal.count();
        if !process::is_alive(client) {
            return Ok(None);
        }
        let pause = match look(&mut mesh, &me) {
            Ok(Look::Wake(text)) => return Ok(Some(text)),
            Ok(Look::Over) => return Ok(None),
            Ok(Look::Again(after)) => after.map_or(longest, |after| after.min(longest)),
            Err(Error::Fault(fault)) if fault.kind == FaultKind::Busy => WATCHFUL,
            Err(error) => return Err(error),
        };
        signal.wait_past(seen, pause);
    }
}

/// What a look came to.
enum Look {
    Wake(String),
    Again(Option<Duration>),
    Over,
}

fn look(mesh: &mut Mesh, me: &Sitting) -> Result<Look, Error> {
    match mesh.rewake(me)? {
        Rewake::Over => return Ok(Look::Over),
        Rewake::Wait { after_ms } => {
            let after = after_ms.map(|ms| u64::try_from(ms.max(10)).unwrap_or(10));
            return Ok(Look::Again(after.map(Duration::from_millis)));
        }
        Rewake::Now => {}
    }
    let mut fresh = mesh.inbox(me)?;
    fresh.questions.retain(|waiting| waiting.pending.times == 0);
    fresh
        .answers
        .retain(|late| late.question.answer_shown_at_ms.is_none());
    let new_mail = add_mail(mesh, me, &mut fresh)?;
    if fresh.is_empty() {
        return Ok(Look::Again(None));
    }
    let (text, shown) = prompt_text::attached(fresh, new_mail, &[], mesh.now().wall_ms);
    // A wake that cannot be counted would be followed by the next one, turn after turn.
    mesh.mark_shown(me, &shown, None, WakeState::Rewake)?;
    Ok(Look::Wake(text))
}

/// Raises the signal when the client has ended. Returns whether the system tells of it.
fn hear_the_end(client: ProcessKey, signal: Arc<Signal>) -> bool {
    let Some(end) = process::watch_end(client) else {
        return false;
    };
    std::thread::spawn(move || {
        end.wait();
        signal.raise();
    });
    true
}
