//! Tests of opening a database: it is created, migrated, refused or opened again.
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::connect::{Options, connect};
use super::database::Store;
use super::database_path::with_suffix;
use super::file_header::APPLICATION_ID;
use super::schema::{CURRENT, Migration, Schema, read_user_version, version};
use crate::platform::file::tests::make_pipe;
use crate::platform::{Fault, FaultKind, Moment, permissions};

const NEXT: Schema = Schema {
    migrations: &[
        CURRENT.migrations[0],
        CURRENT.migrations[1],
        CURRENT.migrations[2],
        CURRENT.migrations[3],
        CURRENT.migrations[4],
        CURRENT.migrations[5],
        CURRENT.migrations[6],
        CURRENT.migrations[7],
        Migration {
            sql: "ALTER TABLE peer ADD COLUMN later TEXT",
        },
    ],
    min_reader: 1,
};
const BREAKING: Schema = Schema {
    migrations: NEXT.migrations,
    min_reader: 9,
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
    let mut store = folder.open(&NEXT, true).unwrap();
    assert_eq!(read_user_version(store.connection()).unwrap(), version());
    assert_eq!(store.version(), version());
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
            "has schema 9, this program knows up to 8",
        ),
    ];
    for (content, kind, expected) in cases {
        let folder = TestFolder::new();
        std::fs::write(folder.file(), content).unwrap();
        std::fs::set_permissions(folder.file(), std::fs::Permissions::from_mode(0o600)).unwrap();
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
