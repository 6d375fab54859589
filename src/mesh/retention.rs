//! Sweeping: what is over its time goes, a bounded amount at a time, on the way of verbs that are done.
use std::time::Duration;

use serde_json::json;

use super::Mesh;
use crate::mesh::peer::register::is_gone;
use crate::mesh::question::wait::end_waits;
use crate::model::{EventKind, Result};
use crate::platform::fault_log;
use crate::store::{Reclaimed, Tx};

/// So long after anybody sat there a mailbox goes whose folder is gone, in milliseconds.
const DESERTED_MS: i64 = 30 * 24 * 3600 * 1000;
/// So many folders are looked at in one sweep.
const FOLDERS_MAX: u32 = 50;
/// The row with the mailbox up to which folders were looked at.
const LOOKED_AT: &str = "folders_looked_at";

impl Mesh {
    /// Takes away what is over its time, if that is due. The verb on whose way it happens is done by then and does not fail
    /// by it: a fault is noted, and the next verb tries again.
    pub(in crate::mesh) fn sweep_on_the_way(&mut self, is_due: bool) {
        if is_due
            && let Err(error) = self.sweep()
            && let Some(home) = &self.faults
        {
            fault_log::write(home, "sweep", &error.to_string());
        }
    }

    /// Expires questions and takes away what is over its time, a bounded amount. Returns what was taken.
    pub fn sweep(&mut self) -> Result<Reclaimed> {
        let keep_ms = self.keep_ms;
        self.take_down_bells()?;
        let claims = self.settle_lines("")?;
        let reclaimed = self.write(|tx, around, rings| {
            tx.set_meta("swept_at_ms", &tx.now.wall_ms.to_string())?;
            end_waits(tx, &around.dead_waits(tx, None)?)?;
            for (id, target) in tx.expire_questions()? {
                tx.append(
                    EventKind::QuestionExpired,
                    Some(target),
                    &id.to_string(),
                    &json!({}),
                )?;
                rings.add(tx.sessions_waiting_on(id, None)?);
            }
            let before = tx.now.wall_ms - keep_ms;
            let expired = super::state::expire(tx)?;
            let mut reclaimed = tx.sweep(before)?;
            reclaimed.state += expired;
            tx.sweep_runs(before)?;
            Ok(reclaimed)
        })?;
        self.drop_traces(Duration::ZERO)?;
        let mailboxes = self.sweep_mailboxes()?;
        Ok(Reclaimed {
            claims,
            mailboxes,
            ..reclaimed
        })
    }

    /// Removes mailboxes whose folder is gone, where nobody sat for long and for which nothing is kept. Whether a folder is
    /// gone is looked up while nobody waits for the lock; each sweep goes on where the last one ended.
    fn sweep_mailboxes(&mut self) -> Result<usize> {
        let before_ms = self.now().wall_ms - DESERTED_MS;
        let (looked_at, deserted) = self.read(|tx, _| {
            let looked_at = tx.meta(LOOKED_AT)?.unwrap_or_default();
            let deserted = tx.deserted(before_ms, &looked_at, FOLDERS_MAX)?;
            Ok((looked_at, deserted))
        })?;
        let last = deserted.last().map(|peer| peer.id.to_string());
        let next = last.filter(|_| deserted.len() == FOLDERS_MAX as usize);
        let next = next.unwrap_or_default();
        let folder = |peer: &crate::store::Peer| peer.project.clone().unwrap_or_default();
        let gone: Vec<_> = deserted
            .iter()
            .filter(|peer| is_gone(&folder(peer)))
            .collect();
        if gone.is_empty() && next == looked_at {
            return Ok(0);
        }
        self.write(|tx, _, _| {
            tx.set_meta(LOOKED_AT, &next)?;
            let mut removed = 0;
            for peer in &gone {
                if tx.remove_deserted(peer.id, before_ms)? {
                    removed += 1;
                    let data = json!({ "folder": "gone" });
                    tx.append(EventKind::PeerForgotten, None, peer.name.as_str(), &data)?;
                }
            }
            Ok(removed)
        })
    }

    /// Takes away bells and locks that a killed server has left behind.
    fn take_down_bells(&mut self) -> Result<()> {
        for session in self.around.bells.hung() {
            let over = self.read(|tx, _| {
                let found = tx.session(session)?;
                Ok(found.is_none_or(|session| session.ended_at_ms.is_some()))
            })?;
            if over {
                self.around.bells.remove(session);
            }
        }
        Ok(())
    }
}

/// Returns whether the last sweep of any program was more than a minute ago.
pub(in crate::mesh) fn is_due(tx: &Tx) -> Result<bool> {
    const EVERY_MS: i64 = 60_000;
    let swept_at_ms = tx
        .meta("swept_at_ms")?
        .and_then(|at| at.parse::<i64>().ok());
    Ok(swept_at_ms.is_none_or(|at| (tx.now.wall_ms - at).abs() > EVERY_MS))
}
