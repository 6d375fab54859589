//! Sweeps: removes what is older than the retention time, a bounded amount at a time, after operations that are done.
use std::time::Duration;

use serde_json::json;

use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::peer::find_or_create_peer::is_missing_folder;
use crate::model::{EventKind, Result};
use crate::platform::fault_log;
use crate::store::{ErasedWords, FtsIndex, Reclaimed};

/// How long after its last session a peer is removed whose folder does not exist any more, in milliseconds.
const ABANDONED_AFTER_MS: i64 = 30 * 24 * 3600 * 1000;
/// How many folders one sweep checks.
const FOLDERS_MAX: u32 = 50;
/// How many steps of a merge of full-text indexes one sweep takes, because its caller waits, and how many pages each takes:
/// other writers come between them.
const MERGE_STEPS_MAX: u32 = 10;
const PAGES_PER_MERGE_STEP: i64 = 50;
/// The key of the last peer whose folder was checked.
const FOLDER_CURSOR_KEY: &str = "folders_looked_at";

impl Mesh {
    /// Sweeps if that is due. The operation before it is committed by then and does not fail by it: a fault goes to the
    /// fault log, and the next operation tries again.
    pub(in crate::mesh) fn sweep_if_due(&mut self, is_sweep_due: bool) {
        if is_sweep_due
            && let Err(error) = self.sweep()
            && let Some(home) = &self.faults
        {
            fault_log::append(home, "sweep", &error.to_string());
        }
    }

    /// Expires questions and removes what is older than the retention time, a bounded amount. Returns what was removed.
    pub fn sweep(&mut self) -> Result<Reclaimed> {
        let keep_ms = self.keep_ms;
        self.remove_stale_doorbells()?;
        let claims = self.settle_queues("")?;
        let reclaimed = self.write(|write| {
            write.tx.set_swept()?;
            write.delete_waits(&write.dead_waits(None)?)?;
            for (id, target) in write.tx.expire_questions()? {
                write.tx.append_event(
                    EventKind::QuestionExpired,
                    Some(target),
                    &id.to_string(),
                    &json!({}),
                )?;
                write.wake(write.tx.sessions_waiting_for_question(id, None)?);
            }
            let before = write.tx.now.wall_ms - keep_ms;
            let expired = super::state::expire_state_entries(write)?;
            let mut reclaimed = write.tx.delete_expired_rows(before)?;
            reclaimed.state += expired;
            write.tx.delete_unused_runs(before)?;
            Ok(reclaimed)
        })?;
        self.erase_residue(&ErasedWords::Unknown, Duration::ZERO)?;
        self.merge_memory_indexes()?;
        let mailboxes = self.sweep_abandoned_peers()?;
        Ok(Reclaimed {
            claims,
            mailboxes,
            ..reclaimed
        })
    }

    /// Merges a part of the full-text indexes, if that makes deletions from them faster.
    fn merge_memory_indexes(&mut self) -> Result<()> {
        for index in FtsIndex::ALL {
            let mut steps = 0;
            while steps < MERGE_STEPS_MAX
                && self.read(|read| Ok(read.tx.needs_fts_merge(index)?))?
            {
                steps += 1;
                self.write(|write| Ok(write.tx.merge_fts(index, PAGES_PER_MERGE_STEP)?))?;
            }
        }
        Ok(())
    }

    /// Removes peers whose folder does not exist any more, that had no session for long, and for which nothing is kept.
    /// Folders are read while nobody waits for the lock; each sweep continues where the last one ended.
    fn sweep_abandoned_peers(&mut self) -> Result<usize> {
        let before_ms = self.now().wall_ms - ABANDONED_AFTER_MS;
        let (cursor, abandoned_peers) = self.read(|read| {
            let cursor = read.tx.meta(FOLDER_CURSOR_KEY)?.unwrap_or_default();
            let abandoned_peers = read.tx.abandoned_peers(before_ms, &cursor, FOLDERS_MAX)?;
            Ok((cursor, abandoned_peers))
        })?;
        let last = abandoned_peers.last().map(|peer| peer.id.to_string());
        let next = last.filter(|_| abandoned_peers.len() == FOLDERS_MAX as usize);
        let next = next.unwrap_or_default();
        let folder = |peer: &crate::store::Peer| peer.project.clone().unwrap_or_default();
        let abandoned: Vec<_> = abandoned_peers
            .iter()
            .filter(|peer| is_missing_folder(&folder(peer)))
            .collect();
        if abandoned.is_empty() && next == cursor {
            return Ok(0);
        }
        self.write(|write| {
            write.tx.set_meta(FOLDER_CURSOR_KEY, &next)?;
            let mut removed = 0;
            for peer in &abandoned {
                if write.tx.delete_abandoned_peer(peer.id, before_ms)? {
                    removed += 1;
                    let data = json!({ "folder": "gone" });
                    write.tx.append_event(
                        EventKind::PeerForgotten,
                        None,
                        peer.name.as_str(),
                        &data,
                    )?;
                }
            }
            Ok(removed)
        })
    }

    /// Removes doorbells and locks that killed servers have left behind.
    fn remove_stale_doorbells(&mut self) -> Result<()> {
        self.host.doorbells.remove_stale_calm_files();
        for session in self.host.doorbells.list_sessions() {
            let has_ended = self.read(|read| {
                let found = read.tx.session(session)?;
                Ok(found.is_none_or(|session| session.ended_at_ms.is_some()))
            })?;
            if has_ended {
                self.host.doorbells.remove(session);
            }
        }
        Ok(())
    }
}

/// Returns whether the last sweep of any program was more than a minute ago.
pub(in crate::mesh) fn is_sweep_due(read: ReadContext) -> Result<bool> {
    const SWEEP_INTERVAL_MS: i64 = 60_000;
    let swept_at_ms = read.tx.swept_at_ms()?;
    Ok(swept_at_ms.is_none_or(|at| (read.tx.now.wall_ms - at).abs() > SWEEP_INTERVAL_MS))
}
