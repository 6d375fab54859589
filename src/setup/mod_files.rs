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

/// A file that the plugin `mesh` has too: it lies there, once in this repository.
macro_rules! plugin_file {
    ($path:literal) => {
        ($path, include_str!(concat!("../../plugin/", $path)))
    };
}

/// All files of the mod.
pub(crate) const MOD_FILES: &[ModFile] = &[
    mod_file!(".claude-plugin/marketplace.json"),
    mod_file!("mesh/.claude-plugin/plugin.json"),
    mod_file!("mesh/hooks/hooks.json"),
    mod_file!("mesh/hooks/server_name.js"),
    plugin_file!("mesh/hooks/register.js"),
    plugin_file!("mesh/hooks/server.js"),
    plugin_file!("mesh/hooks/command.js"),
    plugin_file!("mesh/hooks/doorbell.js"),
    plugin_file!("mesh/hooks/fork_prompt.js"),
    plugin_file!("mesh/hooks/forks.js"),
    plugin_file!("mesh/hooks/guard.js"),
    plugin_file!("mesh/hooks/pane.js"),
    plugin_file!("mesh/hooks/reading_fork.js"),
    plugin_file!("mesh/hooks/status.js"),
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

    /// Returns the paths of all files in a folder of the repository, relative to it.
    fn files_below(root: &Path) -> Vec<String> {
        let mut folders = vec![root.to_owned()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        found
    }

    #[test]
    fn mod_has_all_its_files_and_the_modules_of_the_plugin() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin");
        let mut found = files_below(&root.join("mod"));
        let modules = files_below(&root.join("mesh/hooks")).into_iter();
        let is_shared = |path: &String| {
            let name = path.strip_suffix(".js");
            name.is_some_and(|name| name != "server_name")
        };
        let modules = modules.filter(is_shared);
        found.extend(modules.map(|path| format!("mesh/hooks/{path}")));
        let listed = MOD_FILES.iter().map(|(path, _)| (*path).to_owned());
        let mut listed: Vec<_> = listed.collect();
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
