//! Answers the hooks of the session from the mirror of its state.
use std::path::Path;
use std::sync::Arc;

use crate::claude_code::{HookEvent, HookOutput, HookPayload};
use crate::hooks::{self, HookCall, HookMesh, StartText, claim_denial};
use crate::mesh::{Inbox, SessionVerb, file_resource};
use crate::model::Result;
use crate::platform::host_path;
use crate::platform::project::Project;
use crate::remote::link::Link;
use crate::store::Claim;

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
        HookEvent::Started { session } => {
            attach(link, session.as_deref());
            let is_silent = !call.is_addressable();
            Ok((!is_silent).then(|| HookOutput::Context(start_text(link, call))))
        }
        HookEvent::Prompted { .. } | HookEvent::Stopping { .. } => deliver(link, call),
        HookEvent::Ended {
            session,
            client_continues,
            ..
        } => {
            if *client_continues {
                detach(link, session.as_deref());
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

/// Records which conversation the client goes on with.
fn attach(link: &Link, client_session: Option<&str>) {
    let mut mirror = link.mirror();
    let Some(client_session) = client_session else {
        return;
    };
    // Before the first snapshot the registration says it.
    if mirror.me().is_some() && mirror.client_session() != Some(client_session) {
        mirror.record(SessionVerb::AttachClientSession {
            client_session: client_session.to_owned(),
            given_name: None,
        });
        link.send_soon();
    }
}

/// Records that a conversation has ended, if it is the one that the session is registered with.
fn detach(link: &Link, client_session: Option<&str>) {
    let mut mirror = link.mirror();
    let is_other = matches!(
        (mirror.client_session(), client_session),
        (Some(current), Some(ended)) if current != ended
    );
    if !is_other {
        mirror.forget_activity_summary();
        mirror.record(SessionVerb::DetachClientSession);
        link.send_soon();
    }
}

fn deliver(link: &Arc<Link>, call: &HookCall) -> Result<Option<HookOutput>> {
    if !call.is_addressable() {
        return Ok(None);
    }
    let mut mirror = link.mirror();
    let output = match mirror.addressable() {
        Some(me) => hooks::deliver(call, &mut *mirror, &me),
        None => Ok(None),
    };
    // A turn that a Stop hook continues goes on.
    let ends = matches!(call.event, HookEvent::Stopping { .. }) && !matches!(output, Ok(Some(_)));
    mirror.set_activity(if ends { "idle" } else { "busy" });
    link.send_soon();
    output
}

/// Returns what the model of the session gets at its start.
fn start_text(link: &Link, call: &HookCall) -> String {
    let mut mirror = link.mirror();
    let Some(me) = mirror.me() else {
        return format!(
            "claude-mesh: this session takes part in the mesh at {}. Its name and the other sessions come with the first prompt.",
            link.hub.url
        );
    };
    let start = link.start();
    let inbox = mirror.inbox(&me).unwrap_or_else(|_| Inbox::default());
    StartText {
        me: &me,
        others: &start.others,
        inbox: &inbox,
        unread: mirror.unread(),
        memories: if call.lists_tool_set("memory") {
            start.memories
        } else {
            0
        },
    }
    .text()
}

fn deny_edit(
    link: &Link,
    project: &Project,
    folder: &Path,
    file: &Path,
) -> Result<Option<HookOutput>> {
    let mut mirror = link.mirror();
    let Some(me) = mirror.me() else {
        return Ok(None);
    };
    // The resource is the one that the hub has stored: the path of this machine, with the host of its key.
    let local = file_resource(folder, file)?;
    let path = local.trim_start_matches("file:");
    let host = me.project.as_deref().and_then(host_path::host_of);
    let resource = host.map_or_else(|| local.clone(), |host| format!("file://{host}{path}"));
    let Some(claim) = mirror.claim_on(&resource).cloned() else {
        return Ok(None);
    };
    if mirror.silent_ms() > CLAIMS_STALE_MS {
        let text = format!(
            "claude-mesh: the mesh at {} is out of reach, so it is not known whether {path} is still claimed by \"{}\"; the edit goes on.",
            link.hub.url, claim.peer_name
        );
        return Ok(mirror
            .tell_stale(&claim)
            .then_some(HookOutput::Message(text)));
    }
<<<<<<< HEAD
    let now = mirror.now();
    let shown = Claim {
        resource: local,
        ..claim
    };
    let text = claim_denial(&shown, &now, &project.path);
    Ok(Some(HookOutput::Deny(text)))
=======
    let now = hooks::HookMesh::now(&*mirror);
    let mut shown = claim.clone();
    shown.resource.clone_from(&local);
    let project_path = PathBuf::from(&project.path);
    Ok(Some(HookOutput::Deny(claim_denial(
        &shown,
        &now,
        &project_path,
    ))))
>>>>>>> main
}
