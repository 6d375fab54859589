//! Finds the program that a command in a file of Claude Code starts.
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::install_paths::InstallPaths;

/// Returns the file behind a command, with links followed; a bare name is looked up in `PATH` as Claude Code does.
pub(crate) fn find_program(paths: &InstallPaths, command: &str) -> Result<PathBuf, String> {
    let named = Path::new(command);
    let found = if named.is_absolute() {
        named.to_owned()
    } else if command.contains('/') {
        return Err(format!("{command} depends on the folder it is started in"));
    } else {
        let mut candidates = paths.search_path.iter().map(|folder| folder.join(named));
        candidates
            .find(|candidate| is_executable(candidate))
            .ok_or_else(|| format!("{command} is not in PATH"))?
    };
    if !found.exists() {
        return Err(format!("{} does not exist", paths.display_path(&found)));
    }
    if !is_executable(&found) {
        return Err(format!("{} cannot be executed", paths.display_path(&found)));
    }
    Ok(fs::canonicalize(&found).unwrap_or(found))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
