//! Migrates an older database to the schema of this program, and refuses one that is too new.
//!
//! A migration runs in one exclusive transaction. A copy of the file is made while the lock is held, so nothing can be
//! written between copy and migration.
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::backup_files;
use super::connect::connect;
use super::fault::fault;
use super::schema::{Schema, read_user_version, read_versions, write_versions};
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::{Fault, FaultKind, fail_point, permissions};

/// Returns the version of a database after migrating it, if it is older. With `migrates` false it is used as it is.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    schema: &Schema,
    migrates: bool,
) -> Result<u32, Fault> {
    let with_path = |error: rusqlite::Error| fault(path, error);
    let stored = read_versions(connection).map_err(with_path)?;
    if stored.min_reader > schema.version() {
        let version = read_user_version(connection).map_err(with_path)?;
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
    if !migrates || stored.version >= schema.version() {
        return Ok(stored.version);
    }
    let tx = connection
        .transaction_with_behavior(TransactionBehavior::Exclusive)
        .map_err(with_path)?;
    // Another program may have migrated it before the lock was granted.
    let version = read_user_version(&tx).map_err(with_path)?;
    if version < schema.version() {
        create_backup(path, version)?;
        for migration in &schema.migrations[version as usize..] {
            tx.execute_batch(migration.sql).map_err(with_path)?;
        }
        write_versions(&tx, schema).map_err(with_path)?;
        fail_point::reach("before-migration-commit");
    }
    tx.commit().map_err(with_path)?;
    Ok(version.max(schema.version()))
}

/// Copies the last commit. The caller holds the write lock, so a second connection sees that commit and no later one.
fn create_backup(path: &Path, version: u32) -> Result<(), Fault> {
    let copy = backup_files::path(path, version, SystemClock::new().now().wall_ms);
    permissions::create_file(&copy).map_err(|error| Fault::io("create", &copy, error))?;
    let run_backup = || {
        let (source, mut target) = (connect(path)?, connect(&copy)?);
        let backup = rusqlite::backup::Backup::new(&source, &mut target)
            .map_err(|error| fault(&copy, error))?;
        backup
            .run_to_completion(1024, std::time::Duration::ZERO, None)
            .map_err(|error| fault(&copy, error))
    };
    run_backup().inspect_err(|_| {
        let _ = std::fs::remove_file(&copy);
    })
}
