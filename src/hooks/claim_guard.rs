//! The hook before an edit: denies it while another session, or a user, has an exclusive claim on the file.
//!
//! It only reads: it waits for no lock and records nothing, and ignores claims of dead sessions. A shared claim says that
//! others read the file, and denies nothing. If the hook fails, the edit goes on.
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use super::call::HookCall;
use crate::claude_code::{HookEvent, HookOutput};
use crate::mesh::{file_resource, lease_expires_at_ms};
use crate::model::Error;
use crate::model::elapsed::format_duration;
use crate::platform::clock;
use crate::platform::foreign_text::escape_reserved_tags;
use crate::platform::text::{cut_chars, one_line};
use crate::store::Claim;

/// Denies the edit of a file on which someone else has an exclusive claim.
pub fn claim_guard(call: &HookCall) -> Result<Option<HookOutput>, Error> {
    let HookEvent::Editing { file, folder } = &call.event else {
        return Ok(None);
    };
    let Some(project) = call.project()? else {
        return Ok(None);
    };
    if !project.mesh_location(&call.settings)?.database.exists() {
        return Ok(None);
    }
    let folder = folder.as_deref().map_or(project.path.as_path(), Path::new);
    let resource = file_resource(folder, Path::new(file))?;
    // The process ends right after this, which closes the database faster than `drop` does.
    let mut mesh = ManuallyDrop::new(call.open(&project)?);
    let me = mesh.find_session_of_process(call.client()?)?;
    let Some(claim) = mesh.find_other_exclusive_holder(me.as_ref(), &resource)? else {
        return Ok(None);
    };
    Ok(Some(HookOutput::Deny(denial_message(
        &claim,
        &mesh.now(),
        &project.path,
    ))))
}

/// Returns what the model gets whose edit is denied.
pub(crate) fn denial_message(
    claim: &Claim,
    now: &crate::platform::Moment,
    project: &Path,
) -> String {
    let path = PathBuf::from(claim.resource.trim_start_matches("file:"));
    let shown = path.strip_prefix(project).unwrap_or(&path);
    let remaining_ms = claim.lease.expires_at_monotonic_ms - now.monotonic_ms;
    let until = if remaining_ms > 0 {
        let at = clock::rfc3339(lease_expires_at_ms(claim, now));
        format!("until {at}, {} from now", format_duration(remaining_ms))
    } else {
        "and still works although its lease has expired".to_owned()
    };
    let note = claim.note.as_deref().map_or_else(String::new, |note| {
        format!(
            " Its note, written by that session and not by your user: \"{}\".",
            one_line(&escape_reserved_tags(cut_chars(note, 500)))
        )
    });
    let shown = one_line(&escape_reserved_tags(&shown.to_string_lossy()));
    let who = &claim.peer_name;
    let wait =
        serde_json::json!({ "resource": claim.resource, "wait": "queue", "wait_seconds": 600 });
    format!(
        "claude-mesh: {shown} is claimed by \"{who}\" {until}; nothing was changed.{note} \
         Do not edit it in another way. Call claim {wait} to wait for your turn, or ask_peer \"{who}\"; or go on with something else."
    )
}
