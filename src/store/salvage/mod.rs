//! Saves what can be read of a damaged mesh file into a new one, for `claude-mesh doctor --salvage`.
//!
//! *Purpose:* a damaged page costs the rows that are on it and no others. The old file is only read.
//! *Why not otherwise:* SQLite's own recovery is an extension that the library of this program does not have, and a query ends at
//! the first damaged page. So the pages are read here, and only rows that are well-formed are taken. Indexes, triggers and the
//! full-text index come from the schema of this program. What indexes of the old file still name tells how many rows of a
//! damaged page were lost.

mod btree_page;
mod bytes;
mod file_pages;
mod known_rows;
mod repairs;
mod report;
mod source_file;
mod table_shape;
mod target;
mod trees;

use std::fs::File;
use std::path::Path;

use rusqlite::TransactionBehavior;
use rusqlite::config::DbConfig;

pub use self::report::{Salvaged, SalvagedTable};
use self::source_file::SourceFile;
use self::target::Target;
use super::backup::{TemporaryCopy, complete};
use super::connect::connect;
use super::engine;
use super::fault::{add_path, fault};
use super::file_lock::{ExclusiveUseError, lock_all};
use super::recovery_hints::{recovery_hint, relocation_hint};
use super::transaction::Tx;
use super::{create, schema};
use crate::model::Error;
use crate::platform::{Fault, FaultKind, Moment, permissions};

/// Says which tables and indexes of a file have damaged pages.
pub fn damaged_parts(database: &Path) -> Vec<String> {
    let read = File::open(database)
        .map_err(|error| Fault::io("open", database, error))
        .and_then(|file| SourceFile::read(&file, database));
    read.map(|source| source.damaged_parts())
        .unwrap_or_default()
}

/// Saves what can be read of a damaged mesh file into `file`, which must not exist.
pub fn salvage(database: &Path, file: &Path, now: Moment) -> Result<Salvaged, ExclusiveUseError> {
    let temporary = TemporaryCopy::beside(file, "salvage")?;
    let source = read_alone(database)?;
    create::create_temporary_database(&temporary.path, &schema::CURRENT)?;
    let with_path = |error| fault(&temporary.path, error);
    let mut connection = connect(&temporary.path)?;
    // Rows whose parent is lost are removed at the end.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)
        .map_err(with_path)?;
    let sql = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(with_path)?;
    let tx = Tx::new(engine::Transaction::File(sql), now, schema::version());
    let mut salvaged =
        fill(&tx, source, database).map_err(|error| fault_of(&temporary.path, error))?;
    tx.commit()
        .map_err(|error| fault_of(&temporary.path, error.into()))?;
    connection.close().map_err(|(_, error)| with_path(error))?;
    complete(&temporary.path)?;
    temporary.link_to(file)?;
    salvaged.bytes = file.metadata().map_or(0, |metadata| metadata.len());
    Ok(salvaged)
}

/// Reads the file while no other program has it open. One that this user may only read is read without that check.
fn read_alone(database: &Path) -> Result<SourceFile, ExclusiveUseError> {
    let open_fault = |error| Fault::io("open", database, error);
    if !database.exists() {
        let message = format!("{} does not exist", database.display());
        let hint = "run this in a folder whose mesh is damaged, or name the damaged file: MESH_DB_PATH=FILE claude-mesh doctor --salvage …";
        return Err(Fault::new(FaultKind::Other, message, hint).into());
    }
    let metadata = database.metadata().map_err(open_fault)?;
    permissions::check_owner_and_mode(database, &metadata)?;
    let file = match lock_all(database) {
        Err(ExclusiveUseError::Fault(_)) => File::open(database).map_err(open_fault)?,
        locked => locked?,
    };
    Ok(SourceFile::read(&file, database)?)
}

fn fill(tx: &Tx, mut source: SourceFile, database: &Path) -> Result<Salvaged, Error> {
    let undamaged = table_shape::schema_entries(tx)?;
    if source.is_foreign(&undamaged) {
        let message = format!(
            "{}: the database belongs to another program",
            database.display()
        );
        let hint = relocation_hint(database);
        return Err(Fault::new(FaultKind::ForeignFile, message, hint).into());
    }
    source.add_missing_entries(&undamaged);
    repairs::check_version(&source, database)?;
    let mut target = Target::new(tx, &source, undamaged);
    target.copy_tables()?;
    if target.is_empty() {
        let message = format!("no row of a mesh can be read in {}", database.display());
        let hint = recovery_hint(database);
        return Err(Fault::new(FaultKind::DatabaseCorrupted, message, hint).into());
    }
    let restored_peers = target.restore_peers()?;
    target.remove_rows_without_parent()?;
    repairs::continue_counters(tx, &source)?;
    repairs::index_memories(tx)?;
    Ok(Salvaged {
        bytes: 0,
        tables: target.into_tables(),
        restored_peers,
    })
}

fn fault_of(path: &Path, error: Error) -> Fault {
    match add_path(path, error) {
        Error::Fault(fault) => fault,
        Error::Refused(refusal) => Fault::new(FaultKind::Other, refusal.to_string(), ""),
    }
}
