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
    pub steps: &'static [Step],
    /// The oldest program (by its newest version) that can work on a file of this schema.
    pub min_reader: u32,
}

/// From one version to the next; additive within a major version.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The statements.
    pub sql: &'static str,
}

/// The schema of this program.
pub(super) const CURRENT: Schema = Schema {
    steps: &[
        Step {
            sql: include_str!("schema/0001_questions.sql"),
        },
        Step {
            sql: include_str!("schema/0002_messages_claims_state.sql"),
        },
        Step {
            sql: include_str!("schema/0003_memory_tasks.sql"),
        },
    ],
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
            crate::store::busy_handler::random_u128()
        ),
    );
    let made = make_aside(&temporary, schema).and_then(|()| put_in_place(&temporary, path));
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = std::fs::remove_file(with_suffix(&temporary, suffix));
    }
    made
}

/// What an earlier file left beside it would be taken for the log of the new one, and damage it. One program at a time
/// looks, clears and links: none clears away the log of a file that another has just put here.
fn put_in_place(temporary: &Path, path: &Path) -> Result<(), Fault> {
    let folder = super::folder_of(path);
    let at = |error| Fault::io("create", path, &error);
    let turn = File::open(folder).map_err(at)?;
    turn.lock().map_err(at)?;
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
fn make_aside(temporary: &Path, schema: &Schema) -> Result<(), Fault> {
    let file = permissions::create_file(temporary)
        .map_err(|error| Fault::io("create", temporary, &error))?;
    let connection = connect(temporary)?;
    let write = || {
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL; BEGIN")?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        for step in schema.steps {
            connection.execute_batch(step.sql)?;
        }
        mark(&connection, schema)?;
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
        .map_err(|error| Fault::io("create", temporary, &error))
}

/// Refuses, untouched, what is not a mesh of ours: a look at the first bytes, before the database library sees the file.
pub(super) fn check(path: &Path) -> Result<FileId, Fault> {
    let mut file = file::open_at_once(path).map_err(|error| Fault::io("open", path, &error))?;
    let metadata = file
        .metadata()
        .map_err(|error| Fault::io("open", path, &error))?;
    let foreign = |what: &str, hint: String| {
        let message = format!("cannot open {}: {what}", path.display());
        Fault::new(FaultKind::Foreign, message, hint)
    };
    if !metadata.is_file() {
        let hint = "nothing was changed. Set MESH_DB_PATH to the path of a file";
        return Err(foreign("it is not a file", hint.into()));
    }
    permissions::check(path, &metadata)?;
    let mut head = [0_u8; 72];
    if metadata.len() == 0 {
        let hint = format!("`rm {}`: it is made anew", path.display());
        return Err(foreign("the file is empty", hint));
    }
    if file.read_exact(&mut head).is_err() || !head.starts_with(b"SQLite format 3\0") {
        return Err(foreign(
            "file is not a database",
            recovery_hints::made_anew(path),
        ));
    }
    if head[68..72] != APPLICATION_ID.to_be_bytes() {
        return Err(foreign(
            "the database belongs to another program",
            recovery_hints::elsewhere(path),
        ));
    }
    Ok(FileId(metadata.dev(), metadata.ino()))
}

/// Brings an older file up to date; refuses one that is too new.
pub(super) fn reach(store: &mut Store, schema: &Schema) -> Result<(), Fault> {
    let path = store.path.clone();
    let at = |error: rusqlite::Error| fault(&path, &error);
    let (min_reader, version) = read_marks(&store.connection).map_err(at)?;
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
    store.version = version;
    if store.options.hook || version >= schema.version() {
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
    tx.commit().map_err(at)?;
    store.version = version.max(schema.version());
    Ok(())
}

fn read_version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Returns the oldest reader and the version, as `mark` wrote them: a table costs a hook less than a pragma. Version 1 did
/// not write its own.
fn read_marks(connection: &Connection) -> rusqlite::Result<(u32, u32)> {
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

fn mark(connection: &Connection, schema: &Schema) -> rusqlite::Result<()> {
    connection.pragma_update(None, "user_version", schema.version())?;
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('min_reader', ?1), ('schema', ?2)",
        [schema.min_reader.to_string(), schema.version().to_string()],
    )?;
    Ok(())
}

/// The write lock is held by the caller, so a second connection reads the last commit and nothing comes between.
fn keep_copy(path: &Path, version: u32) -> Result<(), Fault> {
    let time = rfc3339(SystemClock::new().now().wall_ms).replace([':', '.', '-'], "");
    let copy = with_suffix(
        path,
        &format!("{}{version}-{time}.bak", recovery_hints::COPY),
    );
    permissions::create_file(&copy).map_err(|error| Fault::io("create", &copy, &error))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Moment;
    use crate::platform::file::tests::make_pipe;
    use crate::store::Options;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    const NEXT: Schema = Schema {
        steps: &[
            CURRENT.steps[0],
            CURRENT.steps[1],
            CURRENT.steps[2],
            Step {
                sql: "ALTER TABLE peer ADD COLUMN later TEXT",
            },
        ],
        min_reader: 1,
    };
    const BREAKING: Schema = Schema {
        steps: NEXT.steps,
        min_reader: 4,
    };

    struct Place(tempfile::TempDir);

    impl Place {
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
    fn a_new_file_is_private_marked_as_ours_and_nothing_else_is_left() {
        let place = Place::new();
        drop(place.open(&CURRENT, false).unwrap());
        assert_eq!(place.names(), ["mesh.db"]);
        let mode = place.file().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let head = std::fs::read(place.file()).unwrap();
        assert_eq!(head[68..72], APPLICATION_ID.to_be_bytes());
    }

    #[test]
    fn an_older_file_is_migrated_once_with_a_copy_kept() {
        let place = Place::new();
        let mut store = place.open(&CURRENT, false).unwrap();
        store
            .write(at(1), |tx| Ok(tx.set_meta("kept", "yes")?))
            .unwrap();
        let mut threads = Vec::new();
        for _ in 0..8 {
            let path = place.file();
            threads.push(std::thread::spawn(move || {
                Store::open_with(&path, Options::default(), &NEXT).map(drop)
            }));
        }
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
        let copies: Vec<String> = place
            .names()
            .into_iter()
            .filter(|name| name.contains(".bak"))
            .collect();
        assert_eq!(copies.len(), 1, "{copies:?}");
        let copy = connect(&place.0.path().join(&copies[0])).unwrap();
        assert_eq!(read_version(&copy).unwrap(), version());
        let mut migrated = place.open(&NEXT, false).unwrap();
        let kept = migrated.read(at(2), |tx| Ok(tx.meta("kept")?)).unwrap();
        assert_eq!(kept.as_deref(), Some("yes"));
        // The older program, still open, works on beside the newer one.
        store
            .write(at(3), |tx| Ok(tx.set_meta("kept", "still")?))
            .unwrap();
        drop(place.open(&CURRENT, false).unwrap());
    }

    #[test]
    fn a_hook_reads_an_older_file_as_it_is() {
        let place = Place::new();
        drop(place.open(&CURRENT, false).unwrap());
        let store = place.open(&NEXT, true).unwrap();
        assert_eq!(read_version(&store.connection).unwrap(), version());
        assert_eq!(store.version, version());
        assert_eq!(
            place
                .names()
                .iter()
                .filter(|name| name.contains(".bak"))
                .count(),
            0
        );
    }

    #[test]
    fn what_is_not_a_mesh_of_ours_is_refused_and_stays_as_it_is() {
        let sqlite_of_others = {
            let place = Place::new();
            permissions::create_file(&place.file()).unwrap();
            connect(&place.file())
                .unwrap()
                .execute_batch("CREATE TABLE t (x)")
                .unwrap();
            std::fs::read(place.file()).unwrap()
        };
        let newer = {
            let place = Place::new();
            drop(place.open(&BREAKING, false).unwrap());
            std::fs::read(place.file()).unwrap()
        };
        let cases: [(&[u8], FaultKind, &str); 5] = [
            (b"", FaultKind::Foreign, "empty"),
            (b"short", FaultKind::Foreign, "not a database"),
            (&[7; 9_000], FaultKind::Foreign, "not a database"),
            (&sqlite_of_others, FaultKind::Foreign, "another program"),
            (
                &newer,
                FaultKind::Newer,
                "has schema 4, this program knows up to 3",
            ),
        ];
        for (content, kind, says) in cases {
            let place = Place::new();
            std::fs::write(place.file(), content).unwrap();
            std::fs::set_permissions(place.file(), std::fs::Permissions::from_mode(0o600)).unwrap();
            let fault = place.open(&CURRENT, false).unwrap_err();
            assert_eq!(fault.kind, kind, "{says}");
            assert!(fault.message.contains(says), "{}", fault.message);
            assert_eq!(std::fs::read(place.file()).unwrap(), content, "{says}");
        }
        let place = Place::new();
        make_pipe(&place.file());
        let fault = place.open(&CURRENT, false).unwrap_err();
        assert!(fault.message.ends_with("it is not a file"), "{fault}");
    }

    #[test]
    fn ids_grow_in_commit_order_even_when_the_clock_jumps_back() {
        let place = Place::new();
        let mut store = place.open(&CURRENT, false).unwrap();
        let mut mint = |wall_ms| store.write(at(wall_ms), |tx| Ok(tx.mint()?)).unwrap();
        let ids = [
            mint(5_000_000),
            mint(4_000_000),
            mint(4_000_001),
            mint(9_000_000),
        ];
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }

    #[test]
    fn a_verb_that_is_refused_leaves_nothing_behind() {
        let place = Place::new();
        let mut store = place.open(&CURRENT, false).unwrap();
        let refused: crate::model::Result<()> = store.write(at(1), |tx| {
            tx.set_meta("half", "written")?;
            Err(crate::model::Refusal::conflict("no").into())
        });
        assert!(refused.is_err());
        assert_eq!(store.read(at(2), |tx| Ok(tx.meta("half")?)).unwrap(), None);
    }

    #[test]
    fn what_a_deleted_file_left_beside_it_does_not_reach_the_new_one() {
        let place = Place::new();
        let mut store = place.open(&CURRENT, false).unwrap();
        store
            .write(at(1), |tx| Ok(tx.set_meta("old", &"y".repeat(50_000))?))
            .unwrap();
        let log = with_suffix(&place.file(), "-wal");
        let left = std::fs::read(&log).unwrap();
        assert!(left.len() > 50_000);
        drop(store);
        std::fs::remove_file(place.file()).unwrap();
        std::fs::write(&log, left).unwrap();
        let mut store = place.open(&CURRENT, false).unwrap();
        let old = store.read(at(2), |tx| Ok(tx.meta("old")?)).unwrap();
        assert!(old.is_none(), "a value of the deleted file");
        assert_eq!(store.find_damage().unwrap(), None);
    }

    #[test]
    fn a_replaced_file_is_noticed() {
        let place = Place::new();
        let mut store = place.open(&CURRENT, false).unwrap();
        assert!(!store.reopen_if_replaced().unwrap());
        for name in place.names() {
            std::fs::remove_file(place.0.path().join(name)).unwrap();
        }
        assert!(store.reopen_if_replaced().unwrap());
        assert!(place.file().exists());
        assert!(!store.reopen_if_replaced().unwrap());
    }
}
