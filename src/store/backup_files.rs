//! Names of the copies that are made before a migration: `mesh.db.schema-<version>-<time>.bak`.
use std::path::{Path, PathBuf};

use super::database_path::{folder_of, with_suffix};
use crate::platform::clock::rfc3339;

/// What is between the name of the database and the version in the name of a copy.
const INFIX: &str = ".schema-";

/// Returns the path of the copy of a database of schema `version`.
pub(super) fn path(database: &Path, version: u32, wall_ms: i64) -> PathBuf {
    let time = rfc3339(wall_ms).replace([':', '.', '-'], "");
    with_suffix(database, &format!("{INFIX}{version}-{time}.bak"))
}

/// Returns the newest copy. Names carry version and time, so it is the last by name.
pub(super) fn newest(database: &Path) -> Option<PathBuf> {
    let name_prefix = format!("{}{INFIX}", database.file_name()?.to_str()?);
    names_in(folder_of(database))
        .filter(|name| {
            name.starts_with(&name_prefix) && Path::new(name).extension() == Some("bak".as_ref())
        })
        .max()
        .map(|name| database.with_file_name(name))
}

/// Returns the copies whose schema is `version` or later, by name.
pub(super) fn since_version(database: &Path, version: u32) -> Vec<PathBuf> {
    let database_name = database.file_name().unwrap_or_default().to_string_lossy();
    let version_of = |name: &str| -> Option<u32> {
        let rest = name.strip_prefix(&*database_name)?.strip_prefix(INFIX)?;
        rest.split('-').next()?.parse().ok()
    };
    let folder = folder_of(database);
    let mut copies: Vec<PathBuf> = names_in(folder)
        .filter(|name| version_of(name).is_some_and(|found| found >= version))
        .map(|name| folder.join(name))
        .collect();
    copies.sort();
    copies
}

fn names_in(folder: &Path) -> impl Iterator<Item = String> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}
