//! `claude-mesh claims --check-staged`: a git hook runs it to prevent commits of files that another session holds.
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::error::ErrorKind;
use serde_json::json;

use super::claim_format::{format_holders, shown};
use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::error::{CliError, Failure, UsageError};
use crate::mesh;
use crate::platform::clock::rfc3339;
use crate::platform::text;

/// Fails if another peer holds a staged file exclusively.
pub(super) fn check_staged(context: &CliContext) -> CommandResult {
    let folder = &context.settings.working_directory;
    let staged = staged(folder)?;
    let Some(mut mesh) = context.open_existing()? else {
        print::err("claude-mesh: no mesh here yet, so nothing is claimed\n")?;
        return Ok(CommandStatus::Done);
    };
    let me = context.find_own_session(&mut mesh)?;
    let own = context.speaker_name(&mut mesh)?;
    let now = mesh.now();
    let mut held = Vec::new();
    for file in staged {
        // A file that no claim can name is not claimed.
        let Ok(resource) = mesh::file_resource(folder, &file) else {
            continue;
        };
        let claim = mesh.find_other_exclusive_holder(me.as_ref(), &resource)?;
        held.extend(claim.filter(|claim| Some(&claim.peer_name) != own.as_ref()));
    }
    if context.json {
        let files: Vec<_> = held
            .iter()
            .map(|claim| {
                json!({
                    "resource": claim.resource,
                    "peer": claim.peer_name,
                    "note": claim.note,
                    "lease_expires_at": rfc3339(mesh::lease_expires_at_ms(claim, &now)),
                })
            })
            .collect();
        print::json(&json!({ "held": files }))?;
    } else if !held.is_empty() {
        let lines: Vec<String> = held
            .iter()
            .map(|claim| {
                let holder = format_holders(std::slice::from_ref(claim), &now);
                let note = claim.note.as_deref().map_or_else(String::new, |note| {
                    format!(" ({})", text::one_line(&context.sanitize_foreign(note)))
                });
                format!("{} is {holder}{note}", shown(context, &claim.resource))
            })
            .collect();
        let hint = "wait, or ask them; `claude-mesh claims` shows who holds what, `git commit --no-verify` skips this check";
        CliError::new("conflict", lines.join("\n"), hint).report(false);
    }
    Ok(if held.is_empty() {
        CommandStatus::Done
    } else {
        CommandStatus::Refused
    })
}

/// Returns the files that the commit would change, add, move or remove, as absolute paths.
fn staged(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let top = git(folder, &["rev-parse", "--show-toplevel"])?;
    let top = top.strip_suffix(b"\n").unwrap_or(&top);
    // From the top folder, so that `diff.relative` has no effect; a moved file counts at both paths.
    let names = git(
        &path_of(top),
        &["diff", "--cached", "--name-only", "--no-renames", "-z"],
    )?;
    let names = names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    Ok(names.map(|name| path_of(top).join(path_of(name))).collect())
}

fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// Runs git. Without git or without a repository the usage is wrong.
fn git(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
    let wrong = |message: String| {
        Failure::from(UsageError {
            command: None,
            kind: ErrorKind::ValueValidation,
            message,
        })
    };
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| wrong(format!("cannot run git: {error}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let problem = String::from_utf8_lossy(&output.stderr);
    Err(wrong(format!(
        "git says: {}",
        text::one_line(problem.trim())
    )))
}
