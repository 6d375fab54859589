//! The files of a task as claims.
//!
//! A session that begins its own task acquires exclusive claims on those of its files that are free, so that the claim guard and
//! the claim queues know of the work. These claims are released when the task ends, returns to `todo` or changes its assignee,
//! unless another task of the session needs them. Claims that the session had before stay.
use std::collections::BTreeSet;
use std::path::Path;

use crate::mesh::claim::acquire::{ClaimOutcome, ClaimRequest, acquire};
use crate::mesh::claim::grant::release_claim;
use crate::mesh::claim::owner::Owner;
use crate::mesh::claim::queue::settle_queue;
use crate::mesh::claim::resource::canonical_resource_as;
use crate::mesh::context::WriteContext;
use crate::mesh::session::SessionHandle;
use crate::model::task::{FILES_MAX, check_count};
use crate::model::{ClaimMode, Refusal, Result};
use crate::store::{Claim, Task};

/// The lease of claims on files of a task; claiming again renews it.
const FILE_LEASE_MS: i64 = 3_600_000;

/// The holder of a file of a task.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct FileClaim {
    pub claim: Claim,
    /// Whether the caller holds it.
    pub own: bool,
}

/// Returns files as names of resources, each once; a path is relative to `folder`.
pub fn task_files(folder: &Path, files: &[String]) -> Result<Vec<String>> {
    check_count("files_owned", files.len(), FILES_MAX)?;
    let named = |file: &str| canonical_resource_as("files_owned", folder, file);
    let resource_of = |file: &String| match file.trim() {
        "" => Err(Refusal::argument("\"files_owned\" has an empty path").into()),
        given if given.starts_with("file:") => named(given),
        path => named(&format!("file:{path}")),
    };
    let all: BTreeSet<String> = files.iter().map(resource_of).collect::<Result<_>>()?;
    Ok(all.into_iter().collect())
}

/// Claims the files of a task that are free. Returns who holds which file.
pub(in crate::mesh) fn claim_files(
    write: &mut WriteContext,
    me: &SessionHandle,
    task: &mut Task,
) -> Result<Vec<FileClaim>> {
    let note = note(task);
    let mut files = Vec::new();
    for resource in &task.files_owned {
        let queue_state = settle_queue(write, resource)?;
        let own = |claim: &&Claim| Owner::of(claim) == Owner::me(me);
        let held = queue_state.holders.iter().find(own);
        if let Some(claim) = held.filter(|claim| claim.mode == ClaimMode::Exclusive) {
            let claim = claim.clone();
            files.push(FileClaim { claim, own: true });
            continue;
        }
        if queue_state.queue.iter().any(|ticket| own(&ticket)) {
            // The session has queued a ticket of its own before; it stays.
            let other = queue_state
                .holders
                .iter()
                .find(|claim| !own(claim))
                .cloned();
            files.extend(other.map(|claim| FileClaim { claim, own: false }));
            continue;
        }
        let request = ClaimRequest {
            resource,
            mode: ClaimMode::Exclusive,
            lease_ms: FILE_LEASE_MS,
            note: Some(&note),
            queue: false,
            wait: false,
        };
        match acquire(write, me, &request)? {
            ClaimOutcome::Granted(grant) => {
                // A claim that was shared before is not released with the task.
                if held.is_none() {
                    task.claims.push(grant.claim.id);
                }
                files.push(FileClaim {
                    claim: grant.claim,
                    own: true,
                });
            }
            ClaimOutcome::Denied { holders } => {
                let other = holders.into_iter().find(|claim| !own(&claim));
                files.extend(other.map(|claim| FileClaim { claim, own: false }));
            }
            ClaimOutcome::Queued(_) => {}
        }
    }
    Ok(files)
}

/// Releases the claims that a task has acquired, except on the files in `kept`. A claim that another active task of the
/// same peer needs is transferred to that task.
pub(in crate::mesh) fn release_files(
    write: &mut WriteContext,
    task: &mut Task,
    kept: &[String],
) -> Result<()> {
    for id in std::mem::take(&mut task.claims) {
        let Some(claim) = write.tx.claim(id)? else {
            continue;
        };
        if kept.contains(&claim.resource) {
            task.claims.push(id);
        } else if let Some(mut other) =
            write
                .tx
                .find_active_task_using(claim.peer, &claim.resource, task.id)?
        {
            other.claims.push(id);
            write.tx.set_task_claims(&other)?;
            write.tx.set_claim_note(id, &note(&other))?;
        } else {
            release_claim(write, &claim, "task")?;
            write.changed_queues.push(claim.resource);
        }
    }
    Ok(())
}

/// Returns the note of a claim for a task.
fn note(task: &Task) -> String {
    format!("task {}", task.id)
}
