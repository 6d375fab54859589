//! Hints for a person whose database cannot be used. claude-mesh itself moves, deletes and repairs nothing.
use std::path::Path;

use super::backup_files;
use super::database_path::with_suffix;

/// Returns what to do with a damaged file: where to move it, what happens then, and which copy there is.
pub fn recovery_hint(path: &Path) -> String {
    let displayed_path = path.display();
    let backup = match backup_files::newest(path) {
        Some(backup) => format!(
            "; {} is a copy from before an update, `cp -p` restores it",
            backup.display()
        ),
        None => String::new(),
    };
    let saved = with_suffix(path, ".saved");
    let saved = saved.display();
    format!(
        "nothing was changed. Close all sessions. `claude-mesh doctor --salvage {saved}` saves what can be read into a new file, \
         and `claude-mesh restore {saved}` puts that in the place of this one. Or `mv {displayed_path} {}`: the next command \
         creates an empty mesh. Settings and walls are in other files and are kept{backup}",
        with_suffix(path, ".damaged").display()
    )
}

/// Returns what to do when the file belongs to another program.
pub(super) fn relocation_hint(path: &Path) -> String {
    format!(
        "nothing was changed. Set MESH_DB_PATH to another path, or move {} away if no other program needs it there",
        path.display()
    )
}
