//! Denies a tool call that would change a file or a working tree of someone else: the edit of a file on which another session, or
//! a user, has an exclusive claim, and a git command in a working tree in which another works.
//!
//! It only reads: it waits for no lock and records nothing, and ignores claims of dead sessions. A shared claim says that
//! others read the file, and denies nothing. The hook and the mod use it.
use std::path::{Path, PathBuf};

use crate::claude_code::HookEvent;
use crate::mesh::claim::lease::lease_expires_at_ms;
use crate::mesh::claim::resource::file_resource;
use crate::mesh::connection::Mesh;
use crate::mesh::session::SessionHandle;
use crate::model::elapsed::format_duration;
use crate::model::{GitCommand, Result};
use crate::platform::foreign_text::escape_reserved_tags;
use crate::platform::git_checkout::working_tree_of;
use crate::platform::text::{cut_chars, one_line};
use crate::platform::{Moment, clock, path};
use crate::store::Claim;

/// How many claimed files a denial names.
const FILES_NAMED_MAX: usize = 3;

/// What a tool call is about to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardedChange {
    /// A file, as the resource of its claims.
    File(String),
    /// Working trees, each with the git command that changes it; at least one.
    WorkingTrees(Vec<(&'static str, PathBuf)>),
}

impl GuardedChange {
    /// Returns what a tool call changes, in a session of `project`; `None` if no claim could deny it. Refuses a path that
    /// leads nowhere.
    pub fn of_event(event: &HookEvent, project: &Path) -> Result<Option<Self>> {
        let folder_of = |folder: &Option<String>| match folder {
            Some(folder) => PathBuf::from(folder),
            None => project.to_owned(),
        };
        match event {
            HookEvent::Editing { file, folder } => {
                let resource = file_resource(&folder_of(folder), Path::new(file))?;
                Ok(Some(Self::File(resource)))
            }
            HookEvent::ChangingWorkingTrees { commands, folder } => {
                let trees = working_trees(commands, &folder_of(folder));
                Ok((!trees.is_empty()).then_some(Self::WorkingTrees(trees)))
            }
            _ => Ok(None),
        }
    }
}

impl Mesh {
    /// Returns what the model of a session gets whose change is denied; `None` if nobody else has claimed what it changes.
    pub fn guard_denial(
        &mut self,
        me: Option<&SessionHandle>,
        change: &GuardedChange,
        project: &Path,
    ) -> Result<Option<String>> {
        match change {
            GuardedChange::File(resource) => {
                let claim = self.find_other_exclusive_holder(me, resource)?;
                Ok(claim.map(|claim| claim_denial(&claim, &self.now(), project)))
            }
            GuardedChange::WorkingTrees(trees) => {
                for (command, root) in trees {
                    let Some(path) = root.to_str() else {
                        continue;
                    };
                    let held = self.find_other_holders_in_working_tree(me, path)?;
                    if !held.is_empty() {
                        return Ok(Some(git_denial(command, root, &held, &self.now())));
                    }
                }
                Ok(None)
            }
        }
    }
}

/// Returns the working trees that these commands change, each with the first command, as they are run from `folder`.
pub fn working_trees(commands: &[GitCommand], folder: &Path) -> Vec<(&'static str, PathBuf)> {
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
pub fn claim_denial(claim: &Claim, now: &Moment, project: &Path) -> String {
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
pub fn git_denial(command: &str, root: &Path, held: &[Claim], now: &Moment) -> String {
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
