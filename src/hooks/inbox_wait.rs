//! The waiting hook: runs beside an idle session whose inbox accepts no lines, and wakes it by exit code 2.
//!
//! One waits for each session: Claude Code starts one at the end of every turn, and one that finds another exits at once. It
//! ends with its session or the process of the session, or Claude Code ends it. After a wake, the end of that turn starts
//! the next one.
use super::call::HookCall;
use super::waiting_hook;
use crate::claude_code::HookEvent;
use crate::model::{Error, PeerKind};
use crate::platform::lock;

/// Waits until the session is to be woken and returns the text for it; `None` if there is nothing to wait for any more.
pub fn inbox_wait(call: &HookCall) -> Result<Option<String>, Error> {
    // A `claude -p` run would not end before this program does.
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
    let Some(_guard) = lock::acquire(&mesh.doorbells().waiting_hook_lock_path(me.session))? else {
        return Ok(None);
    };
    waiting_hook::wait_for_wake(&mut mesh, &me, client, call.settings.polling)
}
