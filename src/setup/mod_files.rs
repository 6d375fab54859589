//! The files of the mod, the part of claude-mesh that runs inside Claude Code as a plugin: a marketplace with this one
//! plugin, which Claude Code reads in place.
//!
//! `install --mod` writes them below the folder of claude-mesh and names that folder in the settings of the user
//! (`mod_settings`). They are part of this program and belong to no user, so they are replaced without a backup.
use std::path::{Path, PathBuf};

use super::error::InstallError;
use super::install_paths::InstallPaths;
use super::replace_with_backup;

/// A file of the mod: its path below the marketplace folder, and its content.
pub(crate) type ModFile = (&'static str, &'static str);

macro_rules! mod_file {
    ($path:literal) => {
        ($path, include_str!(concat!("../../plugin/mod/", $path)))
    };
}

/// All files of the mod.
pub(crate) const MOD_FILES: &[ModFile] = &[
    mod_file!(".claude-plugin/marketplace.json"),
    mod_file!("mesh/.claude-plugin/plugin.json"),
    mod_file!("mesh/hooks/hooks.json"),
    mod_file!("mesh/hooks/register.js"),
    mod_file!("mesh/hooks/server.js"),
    mod_file!("mesh/hooks/command.js"),
    mod_file!("mesh/hooks/doorbell.js"),
    mod_file!("mesh/hooks/fork_prompt.js"),
    mod_file!("mesh/hooks/forks.js"),
    mod_file!("mesh/hooks/reading_fork.js"),
    mod_file!("mesh/hooks/status.js"),
];

/// Returns the folder of the marketplace.
pub(crate) fn mod_folder(paths: &InstallPaths) -> PathBuf {
    paths.mesh_home.join("mod")
}

/// Returns whether all files of the mod are in `folder` as this program writes them.
pub(crate) fn are_current(folder: &Path) -> Result<bool, InstallError> {
    for (path, content) in MOD_FILES {
        if replace_with_backup::read(&folder.join(path))?.as_deref() != Some(content.as_bytes()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes the folders of a file that was removed, up to `root`, as far as they are empty.
pub(crate) fn remove_empty_folders(file: &Path, root: &Path) {
    let folders = file.ancestors().skip(1);
    for folder in folders.take_while(|folder| folder.starts_with(root)) {
        // The rest is not empty either.
        if std::fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::setup::mod_settings::{MARKETPLACE_NAME, PLUGIN_NAME};

    fn json_file(path: &str) -> Value {
        let found = MOD_FILES.iter().find(|(name, _)| *name == path);
        serde_json::from_str(found.unwrap().1).unwrap()
    }

    #[test]
    fn mod_files_are_all_files_of_the_folder() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin/mod");
        let mut folders = vec![root.clone()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path.strip_prefix(&root).unwrap().display().to_string());
                }
            }
        }
        let mut listed: Vec<_> = MOD_FILES
            .iter()
            .map(|(path, _)| (*path).to_owned())
            .collect();
        found.sort();
        listed.sort();
        assert_eq!(found, listed);
    }

    #[test]
    fn mod_has_the_version_and_the_names_of_this_program() {
        let plugin = json_file("mesh/.claude-plugin/plugin.json");
        assert_eq!(plugin["version"], env!("CARGO_PKG_VERSION"));
        assert!(plugin["engines"]["claude-code"].is_string());
        let marketplace = json_file(".claude-plugin/marketplace.json");
        assert_eq!(marketplace["name"], MARKETPLACE_NAME);
        let entry = &marketplace["plugins"][0];
        assert_eq!(
            PLUGIN_NAME,
            format!("{}@{MARKETPLACE_NAME}", entry["name"].as_str().unwrap())
        );
        assert_eq!(entry["name"], plugin["name"]);
    }
}
