//! Opens connections of SQLite and configures them for a server, a command or a hook.
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::fault::fault;
use crate::platform::Fault;
use crate::store::wal;
use crate::store::wal::WalLength;

/// How a database is opened.
#[expect(clippy::struct_excessive_bools, reason = "four independent settings")]
#[derive(Debug, Clone)]
pub struct Options {
    /// Flush every commit to disk.
    pub sync_full: bool,
    /// How long a write waits for the lock before it is a fault.
    pub lock_timeout: Duration,
    /// The program is a hook: it runs no migration and leaves checkpoints to others.
    pub hook: bool,
    /// A long WAL is copied in a thread, so that no caller waits for the disk; for a program that runs on.
    pub checkpoint_in_background: bool,
    /// The time of a transaction on a database server is that of the caller. For tests with a clock of their own.
    pub callers_time: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync_full: false,
            lock_timeout: Duration::from_secs(15),
            hook: false,
            checkpoint_in_background: false,
            callers_time: false,
        }
    }
}

/// Deleted content is overwritten in pages that are written anyway; whole freed pages are not overwritten.
pub(super) const FAST_SECURE_DELETE: &str = "PRAGMA secure_delete = FAST;";

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that opens a database"
)]
pub(super) fn connect(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|error| fault(path, error))
}

/// Configures a connection. Returns what it knows of the length of the WAL, which a hook does not count.
pub(super) fn configure(
    connection: &mut Connection,
    options: &Options,
) -> rusqlite::Result<WalLength> {
    let mut wal_length = WalLength::default();
    if options.hook {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
    // Plans do not depend on bound values; without this, cached statements are compiled again at every use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let synchronous_level = if options.sync_full { "FULL" } else { "NORMAL" };
    let wal_pragma = if options.hook {
        "wal_autocheckpoint = 0"
    } else {
        wal_length = wal::install_wal_hook(connection)?;
        "journal_size_limit = 16777216"
    };
    // Without it, an erased text could survive in pages it left long before it was erased. Hooks write no memories.
    let secure_delete = if options.hook { "" } else { FAST_SECURE_DELETE };
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous_level}; PRAGMA {wal_pragma}; {secure_delete}"
    ))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(wal_length)
}
