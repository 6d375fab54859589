//! What a person does with a file that cannot be used; nothing here does it for them.
use std::path::{Path, PathBuf};

use super::{folder_of, with_suffix};

/// What stands between the name of the file and the version in the name of a copy.
pub(super) const BACKUP_INFIX: &str = ".schema-";

/// Returns what to do with a broken file: where to, what becomes of it, and which copies there are.
pub fn recovery_hint(path: &Path) -> String {
    let displayed_path = path.display();
    let backup = match newest_backup(path) {
        Some(backup) => format!(
            "; {} is a copy from before an update, `cp -p` brings it back",
            backup.display()
        ),
        None => String::new(),
    };
    format!(
        "nothing was changed. Close all sessions, then `mv {displayed_path} {}`: an empty mesh is made anew. Settings and walls are in \
         other files and stay{backup}",
        with_suffix(path, ".damaged").display()
    )
}

/// Returns what to do where something stands that is not ours.
pub(super) fn relocation_hint(path: &Path) -> String {
    format!(
        "nothing was changed. Set MESH_DB_PATH to another place, or move {} away if nobody needs it there",
        path.display()
    )
}

/// Copies carry version and time in their names, so the last one by name is the newest.
fn newest_backup(path: &Path) -> Option<PathBuf> {
    let mut name_prefix = path.file_name()?.to_owned();
    name_prefix.push(BACKUP_INFIX);
    let name_prefix = name_prefix.to_str()?;
    let names = std::fs::read_dir(folder_of(path)).ok()?;
    names
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            name.starts_with(name_prefix) && Path::new(name).extension() == Some("bak".as_ref())
        })
        .max()
        .map(|name| path.with_file_name(name))
}
