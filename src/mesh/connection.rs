//! `Mesh`: one open store, a database file or a schema on a server. Runs each operation as one transaction and writes the
//! doorbells after its commit.
//!
//! The operations themselves are in the modules of the nouns; `open.rs` opens a mesh.
#[cfg(feature = "postgres")]
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::liveness::{HostView, SESSION_LEASE_MS};
#[cfg(feature = "hub")]
use crate::mesh::once_mark::OnceMark;
use crate::model::Result;
use crate::platform::id::PeerId;
use crate::platform::{Clock, Fault, Moment, fail_point};
use crate::store::{Store, Tx};
use crate::wake::Doorbells;

/// How long the extension of leases before a query waits for the write lock.
const EXTENSION_LOCK_TIMEOUT: Duration = Duration::from_millis(250);

/// How many names of peers are remembered.
#[cfg(feature = "postgres")]
const KNOWN_TARGETS_MAX: usize = 1024;

/// One open mesh.
pub struct Mesh {
    pub(in crate::mesh) store: Store,
    pub(in crate::mesh) clock: Arc<dyn Clock>,
    pub(in crate::mesh) host: HostView,
    pub(in crate::mesh) keep_ms: i64,
    pub(in crate::mesh) faults: Option<PathBuf>,
    /// What the next transaction records, so that a repeated operation is carried out once.
    #[cfg(feature = "hub")]
    pub(in crate::mesh) once: Option<OnceMark>,
    /// Peers by the names that addresses gave them before; see [`Mesh::expect_target`].
    #[cfg(feature = "postgres")]
    pub(in crate::mesh) known_targets: BTreeMap<String, PeerId>,
    /// Runs at the end of each write operation, in its transaction.
    pub(in crate::mesh) before_commit: fn(&mut WriteContext) -> Result<()>,
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

impl Mesh {
    /// Returns the path of the database.
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// Returns the doorbells that this mesh writes after a commit, for a caller that listens to one.
    pub fn doorbells(&self) -> &Doorbells {
        &self.host.doorbells
    }

    /// Returns the time of this mesh's clock.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Changes how long a write waits for the lock.
    pub fn set_lock_timeout(&mut self, lock_timeout: Duration) {
        self.store.set_lock_timeout(lock_timeout);
    }

    /// Opens the file again if another file is at its path now. Returns whether it did: sessions registered before are not
    /// in the new file.
    pub fn reopen_if_replaced(&mut self) -> std::result::Result<bool, Fault> {
        self.store.reopen_if_replaced()
    }

    /// Returns whether the mesh is on a database server, not in a file.
    #[cfg(feature = "hub")]
    pub fn is_on_server(&self) -> bool {
        #[cfg(feature = "postgres")]
        return self.store.is_served();
        #[cfg(not(feature = "postgres"))]
        false
    }

    /// Returns a mark of the access keys, peers and sessions of the mesh: another one after any change of them, and after any
    /// commit by another program.
    #[cfg(feature = "hub")]
    pub fn change_mark(&mut self) -> std::result::Result<crate::store::ChangeMark, Fault> {
        self.store.change_mark()
    }

    /// Copies the WAL into the database file and refreshes the planner's statistics; a server does this while idle.
    pub fn checkpoint_and_optimize(&mut self) -> Result<()> {
        self.store.checkpoint_and_optimize()
    }

    /// Checks the whole file for damage, which is slow. Returns the first finding.
    pub fn find_damage(&mut self) -> Result<Option<String>> {
        self.store.find_damage()
    }

    /// Says what the next write reads first, apart from times; see [`Store::expect`].
    pub(in crate::mesh) fn expect(&mut self, reads: impl FnOnce(&Tx)) {
        self.store.expect(self.clock.now(), reads);
    }

    /// Says that the next write looks an address up, and reads this of the peer that had the name before. It is asked of a
    /// database server in the same message; if the name means another peer now, the write asks again.
    pub(in crate::mesh) fn expect_target(&mut self, name: &str, reads: impl FnOnce(&Tx, PeerId)) {
        #[cfg(feature = "postgres")]
        let known = self.known_targets.get(name).copied();
        #[cfg(not(feature = "postgres"))]
        let known = None;
        self.expect(|tx| {
            drop(tx.find_peer_by_name(name));
            if let Some(peer) = known {
                reads(tx, peer);
            }
        });
    }

    /// Remembers which peer an address named.
    #[cfg(feature = "postgres")]
    pub(in crate::mesh) fn note_target(&mut self, name: &str, peer: PeerId) {
        if !self.store.is_served() || self.known_targets.get(name) == Some(&peer) {
            return;
        }
        if self.known_targets.len() >= KNOWN_TARGETS_MAX {
            self.known_targets.clear();
        }
        self.known_targets.insert(name.to_owned(), peer);
    }

    /// Runs an operation in one transaction, then wakes the sessions that it concerns.
    pub(in crate::mesh) fn write<T>(
        &mut self,
        operation: impl FnOnce(&mut WriteContext) -> Result<T>,
    ) -> Result<T> {
        self.store.reopen_if_replaced()?;
        #[cfg(feature = "hub")]
        if let Some(mark) = &self.once {
            let now = self.clock.now();
            self.store.expect(now, |tx| mark.expect_reads(tx));
        }
        let (host, before_commit) = (&self.host, self.before_commit);
        #[cfg(feature = "hub")]
        let once = self.once.as_ref();
        let (outcome, wakeups, outage) = self.store.write(self.clock.now(), |tx| {
            let mut write = WriteContext::new(tx, host);
            let outage = tx.outage_since_ms();
            if let Some(since_ms) = outage {
                let lease_until_ms = tx.now.wall_ms + SESSION_LEASE_MS;
                tx.extend_session_leases_since(since_ms, lease_until_ms)?;
            }
            #[cfg(feature = "hub")]
            let events_after = once.map(|mark| mark.check(&write)).transpose()?;
            let outcome = operation(&mut write)?;
            before_commit(&mut write)?;
            #[cfg(feature = "hub")]
            if let (Some(mark), Some(events_after)) = (once, events_after) {
                mark.record(&write, events_after)?;
            }
            write.wake(tx.sessions_waiting_for_events()?);
            write.wake_unnotified()?;
            Ok((outcome, write.into_wakeups(tx), outage))
        })?;
        #[cfg(feature = "hub")]
        {
            self.once = None;
        }
        if let Some(since_ms) = outage {
            self.store.end_outage(since_ms);
        }
        fail_point::reach("before-doorbells");
        wakeups.deliver(&self.host.doorbells);
        self.store.checkpoint_if_wal_is_long();
        Ok(outcome)
    }

    /// Runs a query in one transaction.
    pub(in crate::mesh) fn read<T>(
        &mut self,
        query: impl FnOnce(ReadContext) -> Result<T>,
    ) -> Result<T> {
        self.store.reopen_if_replaced()?;
        let (host, mut query) = (&self.host, Some(query));
        let found = self.store.read(self.clock.now(), |tx| {
            if tx.outage_since_ms().is_some() {
                return Ok(None);
            }
            let query = query.take().expect("it has not run");
            query(ReadContext { tx, host }).map(Some)
        })?;
        if let Some(found) = found {
            return Ok(found);
        }
        self.extend_leases_after_outage();
        let (host, query) = (&self.host, query.take().expect("it has not run"));
        self.store
            .read(self.clock.now(), |tx| query(ReadContext { tx, host }))
    }

    /// Extends the leases that could not be renewed, before somebody reads who lives. The reader goes on also if that fails,
    /// because the server still stores nothing.
    fn extend_leases_after_outage(&mut self) {
        self.write_beside_call(EXTENSION_LOCK_TIMEOUT);
    }

    /// Runs a query that a caller asked for. Like a write operation, it repeats wake-ups that may be lost.
    pub(in crate::mesh) fn read_and_wake_unnotified<T>(
        &mut self,
        query: impl FnOnce(ReadContext) -> Result<T>,
    ) -> Result<T> {
        let (outcome, unnotified) =
            self.read(|read| Ok((query(read)?, read.tx.has_questions_due_for_wake()?)))?;
        if unnotified {
            self.wake_unnotified();
        }
        Ok(outcome)
    }

    /// Repeats wake-ups that may be lost. It does not wait for the write lock and ignores faults, because the caller's
    /// operation must not depend on it: the next operation tries again.
    pub(in crate::mesh) fn wake_unnotified(&mut self) {
        self.write_beside_call(Duration::ZERO);
    }

    /// Writes what each write does, and ignores faults. It is not the write that a call is marked for.
    fn write_beside_call(&mut self, lock_timeout: Duration) {
        let lock_timeout = self.store.set_lock_timeout(lock_timeout);
        #[cfg(feature = "hub")]
        let once = self.once.take();
        let _ = self.write(|_| Ok(()));
        #[cfg(feature = "hub")]
        {
            self.once = once;
        }
        self.store.set_lock_timeout(lock_timeout);
    }
}
