//! One transaction: statements on one state of the database, at one time. The other files of this module add a method for
//! each statement.
use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use ulid::Ulid;

use super::engine::{self, OptionalExtension, WriteFacts};
use crate::model::{Error, Refusal, Result};
use crate::platform::Moment;
use crate::platform::id::{PeerId, QuestionId, SessionId};

/// The key of the row in `meta` with the last id.
pub(super) const LAST_ID_KEY: &str = "last_id";
/// The key of the row in `meta` with the time of the last sweep.
const SWEPT_AT_KEY: &str = "swept_at_ms";

/// A transaction, and the time that holds for all of it.
#[derive(Debug)]
pub struct Tx<'a> {
    pub(super) sql: engine::Transaction<'a>,
    /// The time of this transaction.
    pub now: Moment,
    version: u32,
    /// Types of the events appended so far: calls that wait for them are notified after the commit.
    pub(super) appended_event_types: RefCell<Vec<Cow<'static, str>>>,
    secure_delete: Cell<bool>,
    /// The last id of the mesh, once it is known.
    last_id: Cell<Option<Ulid>>,
    /// Whether `last_id` is newer than the one that is stored.
    has_new_id: Cell<bool>,
    /// When expired rows were last deleted, if the transaction began with that.
    swept_at_ms: Option<i64>,
    /// Whether it is known that no call waits for events.
    pub(super) no_event_wait: Cell<bool>,
    /// Whether it is known that no wake-up for a question is due again.
    pub(super) no_wake_due: Cell<bool>,
    /// The sessions that the commit wakes, on a database server.
    wake: RefCell<Vec<String>>,
    /// Since when the database server was away, if no write has extended the leases since.
    outage_since_ms: Cell<Option<i64>>,
    /// Whether it changes an access key, the name or project of a peer, or ends a session.
    changes_identities: Cell<bool>,
    /// For whom it may have put something before a hook.
    pub(super) new_pending: RefCell<Vec<NewPending>>,
}

/// For whom something may be pending now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NewPending {
    /// The sessions of a peer.
    Peer(PeerId),
    /// A peer that was asked, and the peer that answers for it while nobody is at its seat.
    Asked(PeerId),
    /// The peer of a session.
    Session(SessionId),
    /// The peer that has asked a question.
    Asker(QuestionId),
    /// The peer of the session whose fork has answered a question.
    Forked(QuestionId),
    /// All peers.
    Everyone,
}

impl<'a> Tx<'a> {
    pub(super) fn new(sql: engine::Transaction<'a>, now: Moment, version: u32) -> Self {
        Self {
            sql,
            now,
            version,
            appended_event_types: RefCell::default(),
            secure_delete: Cell::default(),
            last_id: Cell::default(),
            has_new_id: Cell::default(),
            swept_at_ms: None,
            no_event_wait: Cell::default(),
            no_wake_due: Cell::default(),
            wake: RefCell::default(),
            outage_since_ms: Cell::default(),
            changes_identities: Cell::default(),
            new_pending: RefCell::default(),
        }
    }

    /// Commits. The last id is stored once, however many ids were made.
    pub(super) fn commit(self) -> engine::Result<()> {
        if self.has_new_id.get()
            && let Some(last_id) = self.last_id.get()
        {
            self.set_meta(LAST_ID_KEY, &last_id.to_string())?;
        }
        self.sql.commit(&self.wake.into_inner())
    }

    /// Spares the transaction the looks for these facts.
    pub(super) fn know(&mut self, facts: WriteFacts) {
        if let Some(stored) = facts.last_id {
            self.last_id.set(Ulid::from_string(&stored).ok());
        }
        self.swept_at_ms = facts.swept_at_ms.and_then(|text| text.parse().ok());
        self.no_event_wait.set(!facts.has_event_wait);
        self.no_wake_due.set(!facts.has_wake_due);
    }
}

/// Returns the queries that `reads` asks.
pub(super) fn queries_of(
    now: Moment,
    version: u32,
    reads: impl FnOnce(&Tx),
) -> Vec<engine::ExpectedQuery> {
    let recorder = engine::QueryRecorder::default();
    let sql = engine::Transaction::Served(Box::new(recorder.clone()));
    reads(&Tx::new(sql, now, version));
    recorder.take()
}

impl Tx<'_> {
    /// Says what this transaction reads next, before it changes anything: a server answers that in one message. `reads` is
    /// called to see its queries, which have no rows then; a file needs none of this.
    pub(crate) fn expect(&self, reads: impl FnOnce(&Tx)) -> engine::Result<()> {
        match &self.sql {
            engine::Transaction::File(_) => Ok(()),
            engine::Transaction::Served(transaction) => {
                transaction.expect(queries_of(self.now.clone(), self.version, reads))
            }
        }
    }

    /// Notes that the database server was away until this transaction.
    pub(super) fn know_outage(&self, since_ms: Option<i64>) {
        self.outage_since_ms.set(since_ms);
    }

    /// Notes a change of an access key, of the name or project of a peer, or the end of a session, if there is one.
    pub(super) fn note_identity_change(&self, is_changed: bool) {
        if is_changed {
            self.changes_identities.set(true);
        }
    }

    /// Returns whether it changes an access key, the name or project of a peer, or ends a session.
    pub(super) fn changes_identities(&self) -> bool {
        self.changes_identities.get()
    }

    /// Returns since when the database server was away, if no write has extended the leases since.
    pub(crate) fn outage_since_ms(&self) -> Option<i64> {
        self.outage_since_ms.get()
    }

    /// Notes that something may be pending now. A mesh on a server has no markers.
    pub(super) fn note_new_pending(&self, new: NewPending) {
        if self.sql.file().is_none() {
            return;
        }
        let mut noted = self.new_pending.borrow_mut();
        if noted.last() != Some(&new) {
            noted.push(new);
        }
    }

    /// Extends the leases of the sessions that were served at a time, in wall milliseconds: none could be renewed since.
    pub(crate) fn extend_session_leases_since(
        &self,
        since_ms: i64,
        lease_until_ms: i64,
    ) -> engine::Result<()> {
        self.sql
            .run(
                "UPDATE session SET lease_until_ms = ?1 WHERE lease_until_ms < ?1 AND lease_until_ms >= ?2 AND ended_at_ms IS NULL",
                [lease_until_ms, since_ms],
            )
    }

    /// Returns whether the database has at least this version of the schema. A hook does not migrate, so it may read an
    /// older one: 2 brought messages, claims and shared state, 3 memories and tasks, 4 access keys, 5 sessions on other hosts, 6 forks.
    pub(crate) fn schema_at_least(&self, version: u32) -> bool {
        self.version >= version
    }

    /// Runs a step of an operation that may be refused alone: a refusal undoes this step only, a fault fails the whole
    /// operation.
    pub(crate) fn try_in_savepoint<T>(
        &self,
        step: impl FnOnce() -> Result<T>,
    ) -> Result<std::result::Result<T, Refusal>> {
        self.sql.execute_batch("SAVEPOINT step")?;
        match step() {
            Ok(outcome) => {
                self.sql.execute_batch("RELEASE step")?;
                Ok(Ok(outcome))
            }
            Err(Error::Refused(refusal)) => {
                self.sql.execute_batch("ROLLBACK TO step; RELEASE step")?;
                Ok(Err(refusal))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Makes the commit wake these sessions, if the database is on a server. Returns whether it does.
    pub(crate) fn wake_with_commit(&self, sessions: &[SessionId]) -> bool {
        if self.sql.file().is_some() {
            return false;
        }
        let sessions = sessions.iter().map(ToString::to_string);
        self.wake.borrow_mut().extend(sessions);
        true
    }

    /// Overwrites with zeros what this transaction deletes in a file. `Store::write` turns it off again.
    pub(crate) fn enable_secure_delete(&self) -> engine::Result<()> {
        if self.sql.file().is_some() {
            self.secure_delete.set(true);
            self.sql.execute_batch("PRAGMA secure_delete = ON")?;
        }
        Ok(())
    }

    pub(super) fn is_secure_delete_enabled(&self) -> bool {
        self.secure_delete.get()
    }

    /// Records that a program must know this version of the schema to use the mesh: older ones refuse it from then on.
    #[cfg(feature = "hub")]
    pub(crate) fn require_reader(&self, version: u32) -> engine::Result<()> {
        let required = self.meta("min_reader")?.and_then(|text| text.parse().ok());
        if required.unwrap_or(0) < version {
            self.set_meta("min_reader", &version.to_string())?;
        }
        Ok(())
    }

    /// Returns a new id: the current time, or one more than the last id, so that ids grow in commit order even if the clock is
    /// set back.
    pub(super) fn next_id(&self) -> engine::Result<Ulid> {
        let last = if let Some(last) = self.last_id.get() {
            last
        } else {
            let stored = self.meta(LAST_ID_KEY)?;
            let stored = stored.and_then(|text| Ulid::from_string(&text).ok());
            stored.unwrap_or(Ulid::nil())
        };
        let fresh = Ulid::from_parts(
            u64::try_from(self.now.wall_ms).unwrap_or(0),
            unpredictable_u128(),
        );
        let next = if fresh > last {
            fresh
        } else {
            last.increment().unwrap_or(last)
        };
        self.last_id.set(Some(next));
        self.has_new_id.set(true);
        Ok(next)
    }

    /// Returns a word that was never used before: the end of a new id.
    pub(crate) fn nonce(&self) -> engine::Result<String> {
        Ok(self.next_id()?.to_string()[16..].to_ascii_lowercase())
    }

    /// Returns when expired rows were last deleted.
    pub(crate) fn swept_at_ms(&self) -> engine::Result<Option<i64>> {
        if self.swept_at_ms.is_some() {
            return Ok(self.swept_at_ms);
        }
        let stored = self.meta(SWEPT_AT_KEY)?;
        Ok(stored.and_then(|text| text.parse().ok()))
    }

    /// Records that expired rows are deleted now.
    pub(crate) fn set_swept(&self) -> engine::Result<()> {
        self.set_meta(SWEPT_AT_KEY, &self.now.wall_ms.to_string())
    }

    pub(crate) fn meta(&self, key: &str) -> engine::Result<Option<String>> {
        self.sql
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
            .query_row([key], |row| row.get("value"))
            .optional()
    }

    pub(crate) fn set_meta(&self, key: &str, value: &str) -> engine::Result<()> {
        self.sql
            .prepare_cached("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")?
            .run([key, value])
    }
}

/// Returns random bits that earlier ones do not reveal, unlike those of `fastrand`: nonces are made of them. The hasher of the
/// standard library has keys from the operating system, so this costs a hook no other generator.
fn unpredictable_u128() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    let state = RandomState::new();
    (u128::from(state.hash_one(1)) << 64) | u128::from(state.hash_one(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bits_of_ids_differ() {
        assert_ne!(unpredictable_u128(), unpredictable_u128());
    }
}
