//! Answers the hooks of the session from the mirror of its state.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::claude_code::{HookEvent, HookOutput, HookPayload};
use crate::hooks::{self, HookCall, StartText, claim_denial};
use crate::mesh::{Inbox, SessionVerb, file_resource};
use crate::model::Result;
use crate::platform::project::Project;
use crate::remote::link::Link;

/// A mirror that was not refreshed for longer does not deny edits, in milliseconds.
const CLAIMS_STALE_MS: i64 = 30_000;

/// Returns the output of a hook for the event in its payload; empty if there is none.
pub(super) fn answer(link: &Arc<Link>, payload: &[u8]) -> String {
    let Ok(payload) = serde_json::from_slice::<HookPayload>(payload) else {
        return String::new();
    };
    let name = payload.event_name.clone();
    let Some(event) = HookEvent::from_payload(payload) else {
        return String::new();
    };
    let call = HookCall {
        event,
        settings: link.settings.clone(),
    };
    let output = output(link, &call).ok().flatten();
    output.map_or_else(String::new, |output| output.to_json(&name))
}

fn output(link: &Arc<Link>, call: &HookCall) -> Result<Option<HookOutput>> {
    match &call.event {
        HookEvent::Started { .. } => Ok(Some(HookOutput::Context(start_text(link)))),
        HookEvent::Prompted { .. } => deliver(link, call, "busy"),
        HookEvent::Stopping { .. } => deliver(link, call, "idle"),
        HookEvent::Ended {
            client_continues, ..
        } => {
            if *client_continues {
                link.mirror().record(SessionVerb::DetachClientSession);
                link.send_soon();
            }
            Ok(None)
        }
        HookEvent::Editing { file, folder } => {
            let project = link.project();
            let folder = folder.as_deref().map_or(project.path.as_path(), Path::new);
            deny_edit(link, &project, folder, Path::new(file))
        }
    }
}

fn deliver(link: &Arc<Link>, call: &HookCall, activity: &str) -> Result<Option<HookOutput>> {
    let mut mirror = link.mirror();
    mirror.set_activity(activity);
    let Some(me) = mirror.me() else {
        return Ok(None);
    };
    let output = hooks::deliver(call, &mut *mirror, &me);
    link.send_soon();
    output
}

/// Returns what the model of the session gets at its start.
fn start_text(link: &Link) -> String {
    let mut mirror = link.mirror();
    let Some(me) = mirror.me() else {
        return format!(
            "claude-mesh: this session takes part in the mesh at {}. Its name and the other sessions come with the first prompt.",
            link.hub.url
        );
    };
    let start = link.start();
    let inbox = hooks::HookMesh::inbox(&mut *mirror, &me).unwrap_or_else(|_| Inbox::default());
    StartText {
        me: &me,
        others: &start.others,
        inbox: &inbox,
        unread: mirror.unread(),
        memories: start.memories,
    }
    .text()
}

fn deny_edit(
    link: &Link,
    project: &Project,
    folder: &Path,
    file: &Path,
) -> Result<Option<HookOutput>> {
    let mirror = link.mirror();
    let Some(me) = mirror.me() else {
        return Ok(None);
    };
    // The resource is the one that the hub has stored: the path of this machine, with the host of its key.
    let local = file_resource(folder, file)?;
    let path = local.trim_start_matches("file:");
    let host = me
        .project
        .as_deref()
        .and_then(crate::platform::host_path::host_of);
    let resource = host.map_or_else(|| local.clone(), |host| format!("file://{host}{path}"));
    let Some(claim) = mirror.claim_on(&resource) else {
        return Ok(None);
    };
    if mirror.silent_ms() > CLAIMS_STALE_MS {
        let text = format!(
            "claude-mesh: the mesh at {} is out of reach, so it is not known whether {path} is still claimed by \"{}\"; the edit goes on.",
            link.hub.url, claim.peer_name
        );
        return Ok(Some(HookOutput::Message(text)));
    }
    let now = hooks::HookMesh::now(&*mirror);
    let mut shown = claim.clone();
    shown.resource.clone_from(&local);
    let project_path = PathBuf::from(&project.path);
    Ok(Some(HookOutput::Deny(claim_denial(
        &shown,
        &now,
        &project_path,
    ))))
}
