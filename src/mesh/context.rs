//! Defines what an operation works with: its transaction, the view of this machine, and the sessions to wake after the
//! commit.
//!
//! Functions that only read take a [`ReadContext`], functions that write take a [`WriteContext`]. Neither is kept across
//! transactions.
use std::ops::Deref;

use crate::mesh::liveness::HostView;
use crate::model::{Activity, Liveness, Result};
use crate::platform::id::{QuestionId, SessionId, WaitId};
use crate::platform::process;
use crate::store::{Peer, Session, Tx};
use crate::wake::Doorbells;

/// A transaction that reads, and the view of this machine.
#[derive(Clone, Copy)]
pub(in crate::mesh) struct ReadContext<'a> {
    pub(in crate::mesh) tx: &'a Tx<'a>,
    pub(in crate::mesh) host: &'a HostView,
}

impl ReadContext<'_> {
    /// Returns whether the client of a session lives; see [`HostView::liveness`].
    pub(in crate::mesh) fn liveness(self, session: &Session, ttl_ms: i64) -> Liveness {
        self.host.liveness(session, ttl_ms, &self.tx.now)
    }

    /// Returns whether a session can be asked: it lives and its server runs.
    pub(in crate::mesh) fn is_askable(self, session: &Session) -> bool {
        self.host.is_askable(session, &self.tx.now)
    }

    /// Returns what a session is doing.
    pub(in crate::mesh) fn activity(self, session: &Session) -> Activity {
        self.host.activity(session, &self.tx.now)
    }

    /// Returns whether the server of a session runs: by the lock that it holds, or in a mesh of several machines by the lease
    /// that its hub renews.
    pub(in crate::mesh) fn is_server_running(self, session: SessionId) -> bool {
        if self.host.by_leases {
            let lease_until_ms = self.tx.session_lease(session).ok().flatten();
            return lease_until_ms.is_some_and(|until_ms| self.tx.now.wall_ms < until_ms);
        }
        self.host.doorbells.is_server_running(session)
    }

    /// Returns whether a session is registered at a peer that is not dead. Records no deaths.
    pub(in crate::mesh) fn has_live_session(self, peer: &Peer) -> Result<bool> {
        let is_live = |session: &Session| self.liveness(session, peer.ttl_ms) != Liveness::Dead;
        Ok(self.tx.live_sessions_at(peer.id)?.iter().any(is_live))
    }

    /// Returns the sessions in which a call, other than that of the wait `except`, waits for a question. Calls of killed
    /// servers do not count.
    pub(in crate::mesh) fn served_sessions_waiting_on(
        self,
        question: QuestionId,
        except: Option<WaitId>,
    ) -> Result<Vec<SessionId>> {
        let mut found = self.tx.leases_waiting_for_question(question, except)?;
        found.retain(|(session, lease_until_ms)| match lease_until_ms {
            Some(until_ms) if self.host.by_leases => self.tx.now.wall_ms < *until_ms,
            _ => self.is_server_running(*session),
        });
        Ok(found.into_iter().map(|(session, _)| session).collect())
    }

    /// Returns the waits, of one session or of all, whose process has ended without deleting them.
    pub(in crate::mesh) fn dead_waits(self, session: Option<SessionId>) -> Result<Vec<WaitId>> {
        let own = &self.host.own;
        let dead = self
            .tx
            .waits_checkable_from(own, session)?
            .into_iter()
            .filter(|(_, process)| *process != own.process && !process::is_alive(*process));
        Ok(dead.map(|(wait, _)| wait).collect())
    }
}

/// One write operation: what it reads from, and what follows from it.
pub(in crate::mesh) struct WriteContext<'a> {
    context: ReadContext<'a>,
    wakeups: PendingWakeups,
    /// Resources whose claim queues are settled before the commit.
    pub(in crate::mesh) changed_queues: Vec<String>,
}

impl<'a> Deref for WriteContext<'a> {
    type Target = ReadContext<'a>;

    fn deref(&self) -> &ReadContext<'a> {
        &self.context
    }
}

impl<'a> WriteContext<'a> {
    pub(in crate::mesh) fn new(tx: &'a Tx<'a>, host: &'a HostView) -> Self {
        Self {
            context: ReadContext { tx, host },
            wakeups: PendingWakeups::default(),
            changed_queues: Vec::new(),
        }
    }

    /// Returns the reading part of this operation.
    pub(in crate::mesh) fn read(&self) -> ReadContext<'a> {
        self.context
    }

    /// Wakes sessions after the commit.
    pub(in crate::mesh) fn wake(&mut self, sessions: impl IntoIterator<Item = SessionId>) {
        self.wakeups.sessions.extend(sessions);
    }

    /// Wakes the calls that wait for a question, so that they read its state.
    pub(in crate::mesh) fn wake_askers(&mut self, question: QuestionId) -> Result<()> {
        self.wake(self.tx.sessions_waiting_for_question(question, None)?);
        Ok(())
    }

    /// Wakes the sessions whose wake-up may be lost: the asker may have died between its commit and the doorbell.
    pub(in crate::mesh) fn wake_unnotified(&mut self) -> Result<()> {
        for target in self.tx.take_peers_due_for_wake()? {
            let sessions = self.tx.live_sessions_at(target)?;
            self.wake(sessions.iter().map(|session| session.id));
        }
        Ok(())
    }

    /// Removes the doorbell of a session that has ended, after the commit.
    pub(in crate::mesh) fn remove_doorbell(&mut self, session: SessionId) {
        self.wakeups.ended.push(session);
    }

    pub(in crate::mesh) fn delete_waits(&mut self, waits: &[WaitId]) -> Result<()> {
        for wait in waits {
            self.tx.delete_wait(*wait)?;
        }
        Ok(())
    }

    /// Returns what is to be done after the commit. A database server wakes the sessions with the commit itself.
    pub(in crate::mesh) fn into_wakeups(self, tx: &Tx) -> PendingWakeups {
        let mut wakeups = self.wakeups;
        wakeups.sessions.sort_unstable();
        wakeups.sessions.dedup();
        if tx.wake_with_commit(&wakeups.sessions) {
            wakeups.sessions.clear();
        }
        wakeups
    }
}

/// The doorbells to write and to remove after the commit of a transaction.
#[derive(Debug, Default)]
pub(in crate::mesh) struct PendingWakeups {
    sessions: Vec<SessionId>,
    ended: Vec<SessionId>,
}

impl PendingWakeups {
    pub(in crate::mesh) fn deliver(self, doorbells: &Doorbells) {
        for session in self.sessions {
            doorbells.write_doorbell(session);
        }
        for session in self.ended {
            doorbells.remove(session);
        }
    }
}
