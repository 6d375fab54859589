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

use crate::platform::clock::{Clock, SystemClock, rfc3339};
use crate::platform::{Fault, FaultKind, file, permissions};
use crate::store::{FileId, Store, connect, fault, recovery_hints, with_suffix};

/// Marks a file as ours; the letters `CMsh`.
const APPLICATION_ID: i32 = 0x434d_7368;

/// What a program knows of the schema.
#[derive(Debug)]
pub struct Schema {
    /// One step per version; the first makes version 1.
    pub migrations: &'static [Migration],
    /// The oldest program (by its newest version) that can work on a file of this schema.
    pub min_reader: u32,
}

/// From one version to the next; additive within a major version.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The statements.
    pub sql: &'static str,
}

/// The schema of this program.
pub(super) const CURRENT: Schema = Schema {
    migrations: &[
        Migration {
            sql: include_str!("schema/0001_questions.sql"),
        },
        Migration {
            sql: include_str!("schema/0002_messages_claims_state.sql"),
        },
        Migration {
            sql: include_str!("schema/0003_memory_tasks.sql"),
        },
    ],
    min_reader: 1,
};

impl Schema {
    fn version(&self) -> u32 {
        u32::try_from(self.migrations.len()).expect("a handful of steps")
    }
}

/// Returns the version of the schema of this program.
pub fn version() -> u32 {
    CURRENT.version()
}

/// Returns whether there is a file; a link to nowhere or an unreadable folder is a fault.
pub(super) fn exists(path: &Path) -> Result<bool, Fault> {
    path.try_exists()
        .map_err(|error| Fault::io("open", path, error))
}

/// Makes the file, unless another program is faster.
pub(super) fn create(path: &Path, schema: &Schema) -> Result<(), Fault> {
    let temporary = with_suffix(
        path,
        &format!(
            ".new-{}-{:x}",
            std::process::id(),
            crate::store::busy_handler::random_u128()
        ),
    );
    let outcome = create_temporary_database(&temporary, schema)
        .and_then(|()| link_into_place(&temporary, path));
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = std::fs::remove_file(with_suffix(&temporary, suffix));
    }
    outcome
}

/// What an earlier file left beside it would be taken for the log of the new one, and damage it. One program at a time
/// looks, clears and links: none clears away the log of a file that another has just put here.
fn link_into_place(temporary: &Path, path: &Path) -> Result<(), Fault> {
    let folder = super::folder_of(path);
    let at = |error| Fault::io("create", path, error);
    let folder_lock = File::open(folder).map_err(at)?;
    folder_lock.lock().map_err(at)?;
    if exists(path)? {
        return Ok(());
    }
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(with_suffix(path, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(error)),
            _ => {}
        }
    }
    match std::fs::hard_link(temporary, path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(at(error)),
        _ => Ok(()),
    }
}

/// Written without a log: closing brings a log into the file, and does not say that there was no room for it. In the one
/// transaction here every failed write is seen, and WAL is what the finished file is switched to; a lock of its own spares
/// the shared memory for that.
fn create_temporary_database(temporary: &Path, schema: &Schema) -> Result<(), Fault> {
    let file = permissions::create_file(temporary)
        .map_err(|error| Fault::io("create", temporary, error))?;
    let connection = connect(temporary)?;
    let write = || {
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL; BEGIN")?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        for migration in schema.migrations {
            connection.execute_batch(migration.sql)?;
        }
        write_schema_version(&connection, schema)?;
        connection.execute_batch("COMMIT")?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
    };
    let mode: String = write().map_err(|error| fault(temporary, &error))?;
    connection
        .close()
        .map_err(|(_, error)| fault(temporary, &error))?;
    if mode != "wal" {
        let problem = format!(
            "cannot use {}: it stays in {mode} mode",
            temporary.display()
        );
        return Err(Fault::new(FaultKind::Other, problem, ""));
    }
    // What the link will name must be there after a power cut too.
    file.sync_all()
        .map_err(|error| Fault::io("create", temporary, error))
}

/// Refuses, untouched, what is not a mesh of ours: a look at the first bytes, before the database library sees the file.
pub(super) fn check(path: &Path) -> Result<FileId, Fault> {
    let mut file = file::open_nonblocking(path).map_err(|error| Fault::io("open", path, error))?;
    let metadata = file
        .metadata()
        .map_err(|error| Fault::io("open", path, error))?;
    let foreign_file_fault = |what: &str, hint: String| {
        let message = format!("cannot open {}: {what}", path.display());
        Fault::new(FaultKind::ForeignFile, message, hint)
    };
    if !metadata.is_file() {
        let hint = "nothing was changed. Set MESH_DB_PATH to the path of a file";
        return Err(foreign_file_fault("it is not a file", hint.into()));
    }
    permissions::check_owner_and_mode(path, &metadata)?;
    let mut header = [0_u8; 72];
    if metadata.len() == 0 {
        let hint = format!("`rm {}`: it is made anew", path.display());
        return Err(foreign_file_fault("the file is empty", hint));
    }
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"SQLite format 3\0") {
        return Err(foreign_file_fault(
            "file is not a database",
            recovery_hints::recovery_hint(path),
        ));
    }
    if header[68..72] != APPLICATION_ID.to_be_bytes() {
        return Err(foreign_file_fault(
            "the database belongs to another program",
            recovery_hints::relocation_hint(path),
        ));
    }
    Ok(FileId(metadata.dev(), metadata.ino()))
}

/// Brings an older file up to date; refuses one that is too new.
pub(super) fn migrate_to(store: &mut Store, schema: &Schema) -> Result<(), Fault> {
    let path = store.path.clone();
    let at = |error: rusqlite::Error| fault(&path, &error);
    let (min_reader, version) = read_meta_versions(&store.connection).map_err(at)?;
    if min_reader > schema.version() {
        let version = read_user_version(&store.connection).map_err(at)?;
        return Err(Fault::new(
            FaultKind::NewerSchema,
            format!(
                "{} has schema {version}, this program knows up to {}",
                path.display(),
                schema.version()
            ),
            "a newer claude-mesh has opened it; update this one. Nothing was changed",
        ));
    }
    store.version = version;
    if store.options.hook || version >= schema.version() {
        return Ok(());
    }
    let tx = store
        .connection
        .transaction_with_behavior(TransactionBehavior::Exclusive)
        .map_err(at)?;
    let version = read_user_version(&tx).map_err(at)?;
    if version < schema.version() {
        backup_before_migration(&path, version)?;
        for migration in &schema.migrations[version as usize..] {
            tx.execute_batch(migration.sql).map_err(at)?;
        }
        write_schema_version(&tx, schema).map_err(at)?;
    }
    tx.commit().map_err(at)?;
    store.version = version.max(schema.version());
    Ok(())
}

fn read_user_version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Returns the oldest reader and the version, as `mark` wrote them: a table costs a hook less than a pragma. Version 1 did
/// not write its own.
fn read_meta_versions(connection: &Connection) -> rusqlite::Result<(u32, u32)> {
    let mut statement =
        connection.prepare("SELECT key, value FROM meta WHERE key IN ('min_reader', 'schema')")?;
    let mut rows = statement.query([])?;
    let (mut min_reader, mut version) = (u32::MAX, 1);
    while let Some(row) = rows.next()? {
        let (key, value): (String, String) = (row.get(0)?, row.get(1)?);
        let value = value.parse().unwrap_or(u32::MAX);
        if key == "schema" {
            version = value;
        } else {
            min_reader = value;
        }
    }
    Ok((min_reader, version))
}

fn write_schema_version(connection: &Connection, schema: &Schema) -> rusqlite::Result<()> {
    connection.pragma_update(None, "user_version", schema.version())?;
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('min_reader', ?1), ('schema', ?2)",
        [schema.min_reader.to_string(), schema.version().to_string()],
    )?;
    Ok(())
}

/// The write lock is held by the caller, so a second connection reads the last commit and nothing comes between.
fn backup_before_migration(path: &Path, version: u32) -> Result<(), Fault> {
    let time = rfc3339(SystemClock::new().now().wall_ms).replace([':', '.', '-'], "");
    let copy = with_suffix(
        path,
        &format!("{}{version}-{time}.bak", recovery_hints::BACKUP_INFIX),
    );
    permissions::create_file(&copy).map_err(|error| Fault::io("create", &copy, error))?;
    let run_backup = || {
        let (source, mut target) = (connect(path)?, connect(&copy)?);
        let backup = rusqlite::backup::Backup::new(&source, &mut target)
            .map_err(|error| fault(&copy, &error))?;
        backup
            .run_to_completion(1024, std::time::Duration::ZERO, None)
            .map_err(|error| fault(&copy, &error))
    };
    run_backup().inspect_err(|_| {
        let _ = std::fs::remove_file(&copy);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Moment;
    use crate::platform::file::tests::make_pipe;
    use crate::store::Options;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    const NEXT: Schema = Schema {
        migrations: &[
            CURRENT.migrations[0],
            CURRENT.migrations[1],
            CURRENT.migrations[2],
            Migration {
                sql: "ALTER TABLE peer ADD COLUMN later TEXT",
            },
        ],
        min_reader: 1,
    };
    const BREAKING: Schema = Schema {
        migrations: NEXT.migrations,
        min_reader: 4,
    };

    struct TestFolder(tempfile::TempDir);

    impl TestFolder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(&self) -> PathBuf {
            self.0.path().join("mesh.db")
        }

        fn open(&self, schema: &Schema, hook: bool) -> Result<Store, Fault> {
            let options = Options {
                hook,
                ..Options::default()
            };
            Store::open_with(&self.file(), options, schema)
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<String> = std::fs::read_dir(self.0.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    fn at(wall_ms: i64) -> Moment {
        Moment {
            wall_ms,
            monotonic_ms: 0,
            boot: "b".into(),
        }
    }

    #[test]
    fn new_database_is_owner_only_with_our_application_id() {
        let folder = TestFolder::new();
        drop(folder.open(&CURRENT, false).unwrap());
        assert_eq!(folder.names(), ["mesh.db"]);
        let mode = folder.file().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let header = std::fs::read(folder.file()).unwrap();
        assert_eq!(header[68..72], APPLICATION_ID.to_be_bytes());
    }

    #[test]
    fn older_database_is_migrated_once_and_backed_up() {
        let folder = TestFolder::new();
        let mut store = folder.open(&CURRENT, false).unwrap();
        store
            .write(at(1), |tx| Ok(tx.set_meta("kept", "yes")?))
            .unwrap();
        let mut threads = Vec::new();
        for _ in 0..8 {
            let path = folder.file();
            threads.push(std::thread::spawn(move || {
                Store::open_with(&path, Options::default(), &NEXT).map(drop)
            }));
        }
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
        let copies: Vec<String> = folder
            .names()
            .into_iter()
            .filter(|name| name.contains(".bak"))
            .collect();
        assert_eq!(copies.len(), 1, "{copies:?}");
        let copy = connect(&folder.0.path().join(&copies[0])).unwrap();
        assert_eq!(read_user_version(&copy).unwrap(), version());
        let mut migrated = folder.open(&NEXT, false).unwrap();
        let kept = migrated.read(at(2), |tx| Ok(tx.meta("kept")?)).unwrap();
        assert_eq!(kept.as_deref(), Some("yes"));
        // The older program, still open, works on beside the newer one.
        store
            .write(at(3), |tx| Ok(tx.set_meta("kept", "still")?))
            .unwrap();
        drop(folder.open(&CURRENT, false).unwrap());
    }

    #[test]
    fn hook_opens_an_older_schema_without_migrating_it() {
        let folder = TestFolder::new();
        drop(folder.open(&CURRENT, false).unwrap());
        let store = folder.open(&NEXT, true).unwrap();
        assert_eq!(read_user_version(&store.connection).unwrap(), version());
        assert_eq!(store.version, version());
        assert_eq!(
            folder
                .names()
                .iter()
                .filter(|name| name.contains(".bak"))
                .count(),
            0
        );
    }

    #[test]
    fn foreign_or_newer_database_is_refused_and_unchanged() {
        let foreign_database = {
            let folder = TestFolder::new();
            permissions::create_file(&folder.file()).unwrap();
            connect(&folder.file())
                .unwrap()
                .execute_batch("CREATE TABLE t (x)")
                .unwrap();
            std::fs::read(folder.file()).unwrap()
        };
        let newer = {
            let folder = TestFolder::new();
            drop(folder.open(&BREAKING, false).unwrap());
            std::fs::read(folder.file()).unwrap()
        };
        let cases: [(&[u8], FaultKind, &str); 5] = [
            (b"", FaultKind::ForeignFile, "empty"),
            (b"short", FaultKind::ForeignFile, "not a database"),
            (&[7; 9_000], FaultKind::ForeignFile, "not a database"),
            (&foreign_database, FaultKind::ForeignFile, "another program"),
            (
                &newer,
                FaultKind::NewerSchema,
                "has schema 4, this program knows up to 3",
            ),
        ];
        for (content, kind, expected) in cases {
            let folder = TestFolder::new();
            std::fs::write(folder.file(), content).unwrap();
            std::fs::set_permissions(folder.file(), std::fs::Permissions::from_mode(0o600))
                .unwrap();
            let fault = folder.open(&CURRENT, false).unwrap_err();
            assert_eq!(fault.kind, kind, "{expected}");
            assert!(fault.message.contains(expected), "{}", fault.message);
            assert_eq!(std::fs::read(folder.file()).unwrap(), content, "{expected}");
        }
        let folder = TestFolder::new();
        make_pipe(&folder.file());
        let fault = folder.open(&CURRENT, false).unwrap_err();
        assert!(fault.message.ends_with("it is not a file"), "{fault}");
    }

    #[test]
    fn ids_grow_in_commit_order_despite_a_clock_jump() {
        let folder = TestFolder::new();
        let mut store = folder.open(&CURRENT, false).unwrap();
        let mut next_id = |wall_ms| store.write(at(wall_ms), |tx| Ok(tx.next_id()?)).unwrap();
        let ids = [
            next_id(5_000_000),
            next_id(4_000_000),
            next_id(4_000_001),
            next_id(9_000_000),
        ];
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }

    #[test]
    fn refused_transaction_is_rolled_back() {
        let folder = TestFolder::new();
        let mut store = folder.open(&CURRENT, false).unwrap();
        let refused: crate::model::Result<()> = store.write(at(1), |tx| {
            tx.set_meta("half", "written")?;
            Err(crate::model::Refusal::conflict("no").into())
        });
        assert!(refused.is_err());
        assert_eq!(store.read(at(2), |tx| Ok(tx.meta("half")?)).unwrap(), None);
    }

    #[test]
    fn wal_of_a_deleted_database_does_not_reach_the_new_one() {
        let folder = TestFolder::new();
        let mut store = folder.open(&CURRENT, false).unwrap();
        store
            .write(at(1), |tx| Ok(tx.set_meta("old", &"y".repeat(50_000))?))
            .unwrap();
        let wal_path = with_suffix(&folder.file(), "-wal");
        let old_wal = std::fs::read(&wal_path).unwrap();
        assert!(old_wal.len() > 50_000);
        drop(store);
        std::fs::remove_file(folder.file()).unwrap();
        std::fs::write(&wal_path, old_wal).unwrap();
        let mut store = folder.open(&CURRENT, false).unwrap();
        let old = store.read(at(2), |tx| Ok(tx.meta("old")?)).unwrap();
        assert!(old.is_none(), "a value of the deleted file");
        assert_eq!(store.find_damage().unwrap(), None);
    }

    #[test]
    fn replaced_database_file_is_reopened() {
        let folder = TestFolder::new();
        let mut store = folder.open(&CURRENT, false).unwrap();
        assert!(!store.reopen_if_replaced().unwrap());
        for name in folder.names() {
            std::fs::remove_file(folder.0.path().join(name)).unwrap();
        }
        assert!(store.reopen_if_replaced().unwrap());
        assert!(folder.file().exists());
        assert!(!store.reopen_if_replaced().unwrap());
    }
}
