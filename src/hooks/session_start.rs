//! A session starts, is resumed, cleared or compacted: it sits down and is told who it is.
use crate::hooks::{HookCall, HookEvent, HookOutput, prompt_text};
use crate::mesh::PeerScope;
use crate::model::{Error, PeerKind};

/// Seats the session and tells its model its name, who else is here and what waits. A headless run without a mailbox is
/// left alone.
pub fn session_start(call: &HookCall) -> Result<Option<HookOutput>, Error> {
    let HookEvent::Started { session } = &call.event else {
        return Ok(None);
    };
    if !call.is_addressable() {
        return Ok(None);
    }
    let Some(project) = call.project()? else {
        return Ok(None);
    };
    let process = call.client()?;
    let mut mesh = call.open(&project)?;
    let me = mesh.register(&call.request(process, project.clone(), session.clone()))?;
    let others: Vec<_> = mesh
        .peers(Some(&me), PeerScope::Machine, false)?
        .into_iter()
        .filter(|view| view.peer.id != me.peer && view.peer.kind == PeerKind::Session)
        .collect();
    let inbox = mesh.inbox(&me)?;
    let unread = mesh.unread(&me)?;
    let memories = if call.lists_tool_set("memory") {
        let home = mesh.memory_home(&project)?;
        mesh.count_memories(&home)?
    } else {
        0
    };
    let session_start_text =
        prompt_text::session_start_text(&me, &others, &inbox, unread, memories);
    Ok(Some(HookOutput::context(session_start_text)))
}
