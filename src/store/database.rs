//! The open database of a mesh: [`Store`] runs each operation as one short transaction.
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connect::Options;
use super::engine::{self, Access, ExpectedQuery, ServedDatabase};
use super::file_database::FileDatabase;
use super::schema::{self, Schema};
use super::transaction::{Tx, queries_of};
use crate::model::{Error, Result};
use crate::platform::{Fault, Moment};

/// A mark of a state of a database, as one open connection sees it.
#[cfg(feature = "hub")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeMark {
    replacements: u32,
    /// Changes with each commit of another connection.
    by_others: i64,
    /// Changes with each own commit that changes access keys, or who the peers and sessions are.
    own_identity_changes: u64,
}

/// An open database.
#[derive(Debug)]
pub struct Store {
    pub(super) place: Place,
    path: PathBuf,
    /// How often another file has taken the place of the first.
    replacements: u32,
    options: Options,
}

/// Where the mesh is.
#[derive(Debug)]
pub(super) enum Place {
    File(FileDatabase),
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "this build has no client of a database server")
    )]
    Served(Served),
}

/// A mesh on a database server.
#[derive(Debug)]
pub(super) struct Served {
    database: Box<dyn ServedDatabase>,
    /// Whether the time of a transaction is that of the server. Tests set their own.
    has_own_clock: bool,
    /// What the next write asks with its first message.
    expected: Vec<ExpectedQuery>,
}

impl Store {
    /// Opens the database at `path`; creates it, with its folder, if there is none. An older schema is migrated, except by a
    /// hook.
    pub fn open(path: &Path, options: Options) -> std::result::Result<Self, Fault> {
        Self::open_with(path, options, &schema::CURRENT)
    }

    /// Opens a database with another schema than the current one; for tests of migrations.
    pub fn open_with(
        path: &Path,
        options: Options,
        schema: &Schema,
    ) -> std::result::Result<Self, Fault> {
        Ok(Self {
            place: Place::File(FileDatabase::open(path, &options, schema)?),
            path: path.to_path_buf(),
            replacements: 0,
            options,
        })
    }

    /// Returns a store on a database server. `path` is the place of what is kept on this machine beside it.
    #[cfg(feature = "postgres")]
    pub(super) fn served(database: Box<dyn ServedDatabase>, path: &Path, options: Options) -> Self {
        Self {
            place: Place::Served(Served {
                database,
                has_own_clock: !options.callers_time,
                expected: Vec::new(),
            }),
            path: path.to_path_buf(),
            replacements: 0,
            options,
        }
    }

    /// Returns the path of the database; of one on a server, the path whose neighbours are the files of this machine.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the database is on a server, so that a commit wakes sessions itself.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_served(&self) -> bool {
        matches!(self.place, Place::Served(_))
    }

    #[cfg(test)]
    pub(super) fn connection(&mut self) -> &mut rusqlite::Connection {
        match &mut self.place {
            Place::File(file) => &mut file.connection,
            Place::Served(_) => panic!("it is not in a file"),
        }
    }

    #[cfg(test)]
    pub(super) fn version(&self) -> u32 {
        match &self.place {
            Place::File(file) => file.version,
            Place::Served(served) => served.database.version(),
        }
    }

    /// Returns the sizes of the database file and of its WAL in bytes. What a server keeps has no WAL of its own.
    pub fn sizes(&mut self) -> (u64, u64) {
        match &mut self.place {
            Place::File(file) => file.sizes(),
            Place::Served(served) => (served.database.size_bytes().unwrap_or(0), 0),
        }
    }

    /// Changes how long a write waits for the lock. Returns the previous value.
    pub fn set_lock_timeout(&mut self, lock_timeout: Duration) -> Duration {
        if let Place::File(file) = &mut self.place {
            file.set_lock_timeout(lock_timeout);
        }
        std::mem::replace(&mut self.options.lock_timeout, lock_timeout)
    }

    /// Opens the database again if its path names another file now, or none. Returns whether it did.
    pub fn reopen_if_replaced(&mut self) -> std::result::Result<bool, Fault> {
        let Place::File(file) = &self.place else {
            return Ok(false);
        };
        if !file.is_replaced() {
            return Ok(false);
        }
        let replacements = self.replacements + 1;
        *self = Self::open(&self.path, self.options.clone())?;
        self.replacements = replacements;
        Ok(true)
    }

    /// Returns how often the file at the path was replaced by another since this was opened.
    #[cfg(feature = "hub")]
    pub(crate) fn replacements(&self) -> u32 {
        self.replacements
    }

    /// Returns a mark of what the database says of access keys, peers and sessions: another one after any commit by another
    /// connection, and after one by this that changes them. On a server it is another one after each commit; with a listener as
    /// soon as this process has made or heard of it, which costs no question to the server.
    #[cfg(feature = "hub")]
    pub(crate) fn change_mark(&mut self) -> std::result::Result<ChangeMark, Fault> {
        match &mut self.place {
            Place::File(file) => {
                let (by_others, own_identity_changes) = file.change_counts()?;
                Ok(ChangeMark {
                    replacements: self.replacements,
                    by_others,
                    own_identity_changes,
                })
            }
            Place::Served(served) => {
                let count = served.database.change_count();
                let (is_received, count) = count.map_err(engine::EngineError::into_fault)?;
                Ok(ChangeMark {
                    replacements: u32::from(is_received),
                    by_others: count,
                    own_identity_changes: 0,
                })
            }
        }
    }

    /// Says what the next write reads before it changes anything, apart from times: a server answers that with the first
    /// message. `reads` is called to see its queries, which have no rows then; a file needs none of this.
    pub(crate) fn expect(&mut self, now: Moment, reads: impl FnOnce(&Tx)) {
        if let Place::Served(served) = &mut self.place {
            let version = served.database.version();
            served.expected.extend(queries_of(now, version, reads));
        }
    }

    /// Runs an operation as one writing transaction, which is rolled back if the operation fails. On a server its time is that
    /// of the server.
    pub fn write<T>(&mut self, now: Moment, operation: impl FnOnce(&Tx) -> Result<T>) -> Result<T> {
        match &mut self.place {
            Place::File(file) => file.write(now, operation),
            Place::Served(served) => {
                let lock_timeout = self.options.lock_timeout;
                served.run(now, Access::Write { lock_timeout }, |tx| {
                    let outcome = operation(&tx)?;
                    tx.commit()?;
                    Ok(outcome)
                })
            }
        }
    }

    /// Forgets an outage of the server, after a write that has extended the leases.
    pub(crate) fn end_outage(&self, since_ms: i64) {
        if let Place::Served(served) = &self.place {
            served.database.end_outage(since_ms);
        }
    }

    /// Returns where the database server is, without user and password; `None` for a file.
    pub(crate) fn server(&self) -> Option<String> {
        match &self.place {
            Place::File(_) => None,
            Place::Served(served) => Some(served.database.place()),
        }
    }

    /// Runs a query on one state of the database.
    pub fn read<T>(&mut self, now: Moment, query: impl FnOnce(&Tx) -> Result<T>) -> Result<T> {
        match &mut self.place {
            Place::File(file) => file.read(now, query),
            Place::Served(served) => served.run(now, Access::Read, |tx| query(&tx)),
        }
    }

    /// Copies the WAL into the file and refreshes the statistics of the query planner; for a server without work.
    pub fn checkpoint_and_optimize(&mut self) -> Result<()> {
        match &mut self.place {
            Place::File(file) => file.checkpoint_and_optimize(),
            Place::Served(served) => Ok(served.database.optimize()?),
        }
    }

    /// Checkpoints a WAL that has become long. The commit before is durable without it, so a failure is ignored.
    pub(crate) fn checkpoint_if_wal_is_long(&mut self) {
        if let Place::File(file) = &mut self.place {
            file.checkpoint_if_wal_is_long();
        }
    }

    /// Checks the whole file for damage, which is slow. Returns the first finding. A database server checks its own.
    pub fn find_damage(&mut self) -> Result<Option<String>> {
        match &self.place {
            Place::File(file) => file.find_damage(),
            Place::Served(_) => Ok(None),
        }
    }
}

impl Served {
    fn run<T>(
        &mut self,
        now: Moment,
        access: Access,
        operation: impl FnOnce(Tx) -> Result<T>,
    ) -> Result<T> {
        let version = self.database.version();
        let has_own_clock = self.has_own_clock;
        let outcome = {
            let expected = match access {
                Access::Write { .. } => std::mem::take(&mut self.expected),
                Access::Read => Vec::new(),
            };
            let begun = self.database.begin(access, expected)?;
            let now = if has_own_clock { begun.now } else { now };
            let mut tx = Tx::new(engine::Transaction::Served(begun.transaction), now, version);
            if let Some(facts) = begun.facts {
                tx.know(facts);
            }
            tx.know_outage(begun.outage_since_ms.filter(|_| has_own_clock));
            operation(tx)
        };
        if let Err(Error::Fault(fault)) = &outcome
            && fault.kind.is_outage()
        {
            self.database.note_outage();
        }
        outcome
    }
}
