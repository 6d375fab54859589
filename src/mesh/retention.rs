//! Sweeping: what is over its time goes, a bounded amount at a time, on the way of verbs that are done.
use std::time::Duration;

use serde_json::json;

use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::peer::seat::is_missing_folder;
use crate::model::{EventKind, Result};
use crate::platform::fault_log;
use crate::store::Reclaimed;

/// So long after anybody sat there a mailbox goes whose folder is gone, in milliseconds.
const ABANDONED_AFTER_MS: i64 = 30 * 24 * 3600 * 1000;
/// So many folders are looked at in one sweep.
const FOLDERS_MAX: u32 = 50;
/// The row with the mailbox up to which folders were looked at.
const FOLDER_CURSOR_KEY: &str = "folders_looked_at";

impl Mesh {
    /// Takes away what is over its time, if that is due. The verb on whose way it happens is done by then and does not fail
    /// by it: a fault is noted, and the next verb tries again.
    pub(in crate::mesh) fn sweep_if_due(&mut self, is_sweep_due: bool) {
        if is_sweep_due
            && let Err(error) = self.sweep()
            && let Some(home) = &self.faults
        {
            fault_log::append(home, "sweep", &error.to_string());
        }
    }

    /// Expires questions and takes away what is over its time, a bounded amount. Returns what was taken.
    pub fn sweep(&mut self) -> Result<Reclaimed> {
        let keep_ms = self.keep_ms;
        self.remove_stale_doorbells()?;
        let claims = self.settle_queues("")?;
        let reclaimed = self.write(|verb| {
            verb.tx
                .set_meta("swept_at_ms", &verb.tx.now.wall_ms.to_string())?;
            verb.delete_waits(&verb.dead_waits(None)?)?;
            for (id, target) in verb.tx.expire_questions()? {
                verb.tx.append_event(
                    EventKind::QuestionExpired,
                    Some(target),
                    &id.to_string(),
                    &json!({}),
                )?;
                verb.wake(verb.tx.sessions_waiting_for_question(id, None)?);
            }
            let before = verb.tx.now.wall_ms - keep_ms;
            let expired = super::state::expire_state_entries(verb)?;
            let mut reclaimed = verb.tx.sweep(before)?;
            reclaimed.state += expired;
            verb.tx.sweep_runs(before)?;
            Ok(reclaimed)
        })?;
        self.erase_residue(Duration::ZERO)?;
        let mailboxes = self.sweep_abandoned_peers()?;
        Ok(Reclaimed {
            claims,
            mailboxes,
            ..reclaimed
        })
    }

    /// Removes mailboxes whose folder is gone, where nobody sat for long and for which nothing is kept. Whether a folder is
    /// gone is looked up while nobody waits for the lock; each sweep goes on where the last one ended.
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
        self.write(|verb| {
            verb.tx.set_meta(FOLDER_CURSOR_KEY, &next)?;
            let mut removed = 0;
            for peer in &abandoned {
                if verb.tx.delete_abandoned_peer(peer.id, before_ms)? {
                    removed += 1;
                    let data = json!({ "folder": "gone" });
                    verb.tx.append_event(
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

    /// Takes away bells and locks that a killed server has left behind.
    fn remove_stale_doorbells(&mut self) -> Result<()> {
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
    let swept_at_ms = read
        .tx
        .meta("swept_at_ms")?
        .and_then(|at| at.parse::<i64>().ok());
    Ok(swept_at_ms.is_none_or(|at| (read.tx.now.wall_ms - at).abs() > SWEEP_INTERVAL_MS))
}
