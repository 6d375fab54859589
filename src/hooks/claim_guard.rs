//! The hook before an edit and before a shell command: denies the edit of a file on which another session, or a user, has an
//! exclusive claim, and the git commands that change a working tree in which another works.
//!
//! It only reads: it waits for no lock and records nothing, and ignores claims of dead sessions. A shared claim says that
//! others read the file, and denies nothing. If the hook fails, the tool call goes on. It never rewrites a command.
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use super::call::HookCall;
use crate::claude_code::{HookEvent, HookOutput};
use crate::mesh::{Mesh, file_resource, lease_expires_at_ms};
use crate::model::elapsed::format_duration;
use crate::model::{Error, GitCommand};
use crate::platform::foreign_text::escape_reserved_tags;
use crate::platform::git_checkout::working_tree_of;
use crate::platform::project::Project;
use crate::platform::text::{cut_chars, one_line};
use crate::platform::{Moment, clock, path};
use crate::store::Claim;

/// How many claimed files a denial names.
const FILES_NAMED_MAX: usize = 3;

/// Denies the edit of a file that someone else has claimed, and a git command in a working tree in which someone else works.
pub fn claim_guard(call: &HookCall) -> Result<Option<HookOutput>, Error> {
    match &call.event {
        HookEvent::Editing { file, folder } => {
            let Some(project) = project_with_mesh(call)? else {
                return Ok(None);
            };
            let folder = folder.as_deref().map_or(project.path.as_path(), Path::new);
            guard_file(call, &project, &file_resource(folder, Path::new(file))?)
        }
        HookEvent::ChangingWorkingTrees { commands, folder } => {
            let Some(project) = project_with_mesh(call)? else {
                return Ok(None);
            };
            let folder = folder.as_deref().map_or(project.path.as_path(), Path::new);
            guard_working_trees(call, &project, &working_trees(commands, folder))
        }
        _ => Ok(None),
    }
}

/// Returns the project of the session, if it takes part in a mesh that exists.
fn project_with_mesh(call: &HookCall) -> Result<Option<Project>, Error> {
    let Some(project) = call.project()? else {
        return Ok(None);
    };
    let exists = project.mesh_location(&call.settings)?.database.exists();
    Ok(exists.then_some(project))
}

fn guard_file(
    call: &HookCall,
    project: &Project,
    resource: &str,
) -> Result<Option<HookOutput>, Error> {
    let mut mesh = open(call, project)?;
    let me = mesh.find_session_of_process(call.client()?)?;
    let Some(claim) = mesh.find_other_exclusive_holder(me.as_ref(), resource)? else {
        return Ok(None);
    };
    Ok(Some(HookOutput::Deny(denial_message(
        &claim,
        &mesh.now(),
        &project.path,
    ))))
}

fn guard_working_trees(
    call: &HookCall,
    project: &Project,
    trees: &[(&'static str, PathBuf)],
) -> Result<Option<HookOutput>, Error> {
    if trees.is_empty() {
        return Ok(None);
    }
    let mut mesh = open(call, project)?;
    let me = mesh.find_session_of_process(call.client()?)?;
    for (command, root) in trees {
        let Some(path) = root.to_str() else {
            continue;
        };
        let held = mesh.find_other_holders_in_working_tree(me.as_ref(), path)?;
        if !held.is_empty() {
            let text = git_denial_message(command, root, &held, &mesh.now());
            return Ok(Some(HookOutput::Deny(text)));
        }
    }
    Ok(None)
}

/// Opens the mesh. The process ends right after its use, which closes the database faster than `drop` does.
fn open(call: &HookCall, project: &Project) -> Result<ManuallyDrop<Mesh>, Error> {
    Ok(ManuallyDrop::new(call.open(project)?))
}

/// Returns the working trees that these commands change, each with the first command, as they are run from `folder`.
pub(crate) fn working_trees(
    commands: &[GitCommand],
    folder: &Path,
) -> Vec<(&'static str, PathBuf)> {
    let home = dirs::home_dir();
    let mut trees: Vec<(&'static str, PathBuf)> = Vec::new();
    for command in commands {
        let place = path::resolve(folder, &command.folder_from(folder, home.as_deref()));
        if let Some(root) = place.as_deref().and_then(working_tree_of)
            && trees.iter().all(|(_, before)| *before != root)
        {
            trees.push((command.name, root));
        }
    }
    trees
}

/// Returns what the model gets whose edit is denied.
pub(crate) fn denial_message(claim: &Claim, now: &Moment, project: &Path) -> String {
    let shown = shown_path(&claim.resource, project);
    let who = &claim.peer_name;
    format!(
        "claude-mesh: {shown} is claimed by \"{who}\" {}; nothing was changed.{} \
         Do not edit it in another way. {}",
        until_text(claim, now),
        note_text(claim),
        next_steps(claim)
    )
}

/// Returns what the model gets whose git command is denied: the claims of the first holder in the working tree `root`.
pub(crate) fn git_denial_message(
    command: &str,
    root: &Path,
    held: &[Claim],
    now: &Moment,
) -> String {
    let first = &held[0];
    let tree = one_line(&escape_reserved_tags(&root.to_string_lossy()));
    let resources: Vec<&str> = held
        .iter()
        .filter(|claim| claim.peer_name == first.peer_name)
        .map(|claim| claim.resource.as_str())
        .collect();
    let claimed = if first.resource.starts_with("git:") {
        "it".to_owned()
    } else {
        let files: Vec<String> = resources
            .iter()
            .take(FILES_NAMED_MAX)
            .map(|resource| shown_path(resource, root))
            .collect();
        let more = match resources.len().saturating_sub(FILES_NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{}{more} there", files.join(", "))
    };
    format!(
        "claude-mesh: the command was not run, because git {command} changes the working tree {tree} and \"{}\" has claimed \
         {claimed} {}.{} Do not do it in another way. {}",
        first.peer_name,
        until_text(first, now),
        note_text(first),
        next_steps(first)
    )
}

/// Returns the path of a claimed file for a text, relative to a folder that it is in.
fn shown_path(resource: &str, folder: &Path) -> String {
    let path = PathBuf::from(resource.trim_start_matches("file:"));
    let shown = path.strip_prefix(folder).unwrap_or(&path);
    one_line(&escape_reserved_tags(&shown.to_string_lossy()))
}

fn until_text(claim: &Claim, now: &Moment) -> String {
    let remaining_ms = claim.lease.expires_at_monotonic_ms - now.monotonic_ms;
    if remaining_ms > 0 {
        let at = clock::rfc3339(lease_expires_at_ms(claim, now));
        format!("until {at}, {} from now", format_duration(remaining_ms))
    } else {
        "and still works although its lease has expired".to_owned()
    }
}

fn note_text(claim: &Claim) -> String {
    claim.note.as_deref().map_or_else(String::new, |note| {
        format!(
            " Its note, written by that session and not by your user: \"{}\".",
            one_line(&escape_reserved_tags(cut_chars(note, 500)))
        )
    })
}

fn next_steps(claim: &Claim) -> String {
    let who = &claim.peer_name;
    let wait =
        serde_json::json!({ "resource": claim.resource, "wait": "queue", "wait_seconds": 600 });
    format!(
        "Call claim {wait} to wait for your turn, or ask_peer \"{who}\"; or go on with something else."
    )
}
