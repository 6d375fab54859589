//! Making the file, knowing it for ours, and bringing an older one up to date.
//!
//! A new file is made under another name and linked into place when it is whole: of fifty programs that start at once one
//! wins, the others find its file, and a crash leaves at most a stray temporary one. A migration runs in one exclusive
//! transaction, with a copy of the file made while the lock is held.
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{FileId, Store, connect, fault, with_suffix};
use crate::ground::clock::{Clock, SystemClock, rfc3339};
use crate::ground::{Fault, FaultKind, private};

/// Marks a file as ours; the letters `CMsh`.
const APPLICATION_ID: i32 = 0x434d_7368;

/// What a program knows of the schema.
#[derive(Debug)]
pub struct Schema {
    /// One step per version; the first makes version 1.
    pub steps: &'static [Step],
    /// The oldest program (by its newest version) that can work on a file of this schema.
    pub min_reader: u32,
}

/// From one version to the next; additive within a major version.
#[derive(Debug)]
pub struct Step {
    /// The statements.
    pub sql: &'static str,
}

/// The schema of this program.
pub(super) const CURRENT: Schema = Schema {
    steps: &[Step {
        sql: include_str!("schema.sql"),
    }],
    min_reader: 1,
};

impl Schema {
    fn version(&self) -> u32 {
        u32::try_from(self.steps.len()).expect("a handful of steps")
    }
}

/// Returns the version of the schema of this program.
pub fn version() -> u32 {
    CURRENT.version()
}

/// Returns whether there is a file; a link to nowhere or an unreadable folder is a fault.
pub(super) fn exists(path: &Path) -> Result<bool, Fault> {
    path.try_exists()
        .map_err(|error| Fault::io("open", path, &error))
}

/// Makes the file, unless another program is faster.
pub(super) fn create(path: &Path, schema: &Schema) -> Result<(), Fault> {
    let temporary = with_suffix(
        path,
        &format!(
            ".new-{}-{:x}",
            std::process::id(),
            super::lock_wait::random_u128()
        ),
    );
    let made =
        make_aside(&temporary, schema).and_then(|()| match std::fs::hard_link(&temporary, path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(Fault::io("create", path, &error))
            }
            _ => Ok(()),
        });
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = std::fs::remove_file(with_suffix(&temporary, suffix));
    }
    made
}

fn make_aside(temporary: &Path, schema: &Schema) -> Result<(), Fault> {
    private::create_file(temporary).map_err(|error| Fault::io("create", temporary, &error))?;
    let connection = connect(temporary)?;
    let fill = || {
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN")?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        for step in schema.steps {
            connection.execute_batch(step.sql)?;
        }
        mark(&connection, schema)?;
        connection.execute_batch("COMMIT")
    };
    fill().map_err(|error| fault(temporary, &error))?;
    connection
        .close()
        .map_err(|(_, error)| fault(temporary, &error))
}

/// Refuses, untouched, what is not a mesh of ours: a look at the first bytes, before the database library sees the file.
pub(super) fn check(path: &Path) -> Result<FileId, Fault> {
    let mut file = File::open(path).map_err(|error| Fault::io("open", path, &error))?;
    let metadata = file
        .metadata()
        .map_err(|error| Fault::io("open", path, &error))?;
    private::check(path, &metadata)?;
    let foreign = |what: &str| {
        Fault::new(
            FaultKind::Foreign,
            format!("cannot open {}: {what}", path.display()),
            super::NOTHING_CHANGED,
        )
    };
    if !metadata.is_file() {
        return Err(foreign("it is not a file"));
    }
    let mut head = [0_u8; 72];
    if metadata.len() == 0 {
        return Err(foreign("the file is empty; remove it and it is made anew"));
    }
    if file.read_exact(&mut head).is_err() || !head.starts_with(b"SQLite format 3\0") {
        return Err(foreign("file is not a database"));
    }
    if head[68..72] != APPLICATION_ID.to_be_bytes() {
        return Err(foreign("the database belongs to another program"));
    }
    Ok(FileId(metadata.dev(), metadata.ino()))
}

/// Brings an older file up to date; refuses one that is too new.
pub(super) fn reach(store: &mut Store, schema: &Schema) -> Result<(), Fault> {
    let path = store.path.clone();
    let at = |error: rusqlite::Error| fault(&path, &error);
    let min_reader = read_min_reader(&store.connection).map_err(at)?;
    if min_reader > schema.version() {
        let version = read_version(&store.connection).map_err(at)?;
        return Err(Fault::new(
            FaultKind::Newer,
            format!(
                "{} has schema {version}, this program knows up to {}",
                path.display(),
                schema.version()
            ),
            "a newer claude-mesh has opened it; update this one. Nothing was changed",
        ));
    }
    if store.options.hook || read_version(&store.connection).map_err(at)? >= schema.version() {
        return Ok(());
    }
    let tx = store
        .connection
        .transaction_with_behavior(TransactionBehavior::Exclusive)
        .map_err(at)?;
    let version = read_version(&tx).map_err(at)?;
    if version < schema.version() {
        keep_copy(&path, version)?;
        for step in &schema.steps[version as usize..] {
            tx.execute_batch(step.sql).map_err(at)?;
        }
        mark(&tx, schema).map_err(at)?;
    }
    tx.commit().map_err(at)
}

fn read_version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn read_min_reader(connection: &Connection) -> rusqlite::Result<u32> {
    let min_reader: String = connection.query_row(
        "SELECT value FROM meta WHERE key = 'min_reader'",
        [],
        |row| row.get(0),
    )?;
    Ok(min_reader.parse().unwrap_or(u32::MAX))
}

fn mark(connection: &Connection, schema: &Schema) -> rusqlite::Result<()> {
    connection.pragma_update(None, "user_version", schema.version())?;
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('min_reader', ?1)",
        [schema.min_reader.to_string()],
    )?;
    Ok(())
}

/// The write lock is held by the caller, so a second connection reads the last commit and nothing comes between.
fn keep_copy(path: &Path, version: u32) -> Result<(), Fault> {
    let time = rfc3339(SystemClock::new().now().wall_ms).replace([':', '.', '-'], "");
    let copy = with_suffix(path, &format!(".schema-{version}-{time}.bak"));
    private::create_file(&copy).map_err(|error| Fault::io("create", &copy, &error))?;
    let copying = || {
        let (source, mut target) = (connect(path)?, connect(&copy)?);
        let backup = rusqlite::backup::Backup::new(&source, &mut target)
            .map_err(|error| fault(&copy, &error))?;
        backup
            .run_to_completion(1024, std::time::Duration::ZERO, None)
            .map_err(|error| fault(&copy, &error))
    };
    copying().inspect_err(|_| {
        let _ = std::fs::remove_file(&copy);
    })
}
