//! Checks the plugin `mesh`, which adds the same to Claude Code as an install: whether it is enabled, whether its programs are
//! there, and which of the two works.
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::finding::{Finding, note, ok, problem};
use super::install_paths::InstallPaths;
use super::replace_with_backup;
use super::wired_state::SettingsFile;

/// The plugin, enabled in a settings file.
#[derive(Clone, Debug)]
pub struct EnabledPlugin {
    /// Its name with that of its marketplace, like `mesh@claude-mesh`.
    pub name: String,
    /// The settings file that enables it.
    pub file: PathBuf,
}

/// Returns the plugin, if one of these files enables it.
pub(crate) fn enabled_plugin_in(settings: &[SettingsFile]) -> Option<EnabledPlugin> {
    settings.iter().find_map(|file| {
        Some(EnabledPlugin {
            name: file.plugin.clone()?,
            file: file.path.clone(),
        })
    })
}

/// Returns the findings about the plugin, beside an install if there is one.
pub(crate) fn check_plugin(
    paths: &InstallPaths,
    plugin: &EnabledPlugin,
    is_installed: bool,
) -> Vec<Finding> {
    let name = &plugin.name;
    let file = paths.display_path(&plugin.file);
    if is_installed {
        let text = format!(
            "the plugin {name} ({file}) rests, because `claude-mesh install` has added the same; keep one of them"
        );
        return vec![note(text).fix(format!("claude plugin disable {name}"))];
    }
    let folder = install_folder(&paths.claude_dir, name);
    if folder.as_deref().is_some_and(has_programs) {
        return vec![ok(format!(
            "plugin: {name} is enabled ({file}); its tools are mcp__plugin_mesh_claude-mesh__…"
        ))];
    }
    let text = match folder {
        Some(_) => format!(
            "the plugin {name} lacks its programs: the npm package of this platform is not installed (npm was not found, or the registry does not have it)"
        ),
        None => format!("the plugin {name} is enabled in {file}, but not installed"),
    };
    let fix = format!("claude plugin uninstall {name}; claude plugin install {name}");
    vec![problem(text).fix(fix)]
}

/// Returns the folder into which Claude Code has installed the plugin.
fn install_folder(claude_dir: &Path, name: &str) -> Option<PathBuf> {
    let list = claude_dir.join("plugins/installed_plugins.json");
    let content = replace_with_backup::read(&list).ok()??;
    let list: Value = serde_json::from_slice(&content).ok()?;
    let path = list["plugins"][name][0]["installPath"].as_str()?;
    Some(PathBuf::from(path))
}

/// Returns whether a package of programs is beside the plugin.
fn has_programs(folder: &Path) -> bool {
    let packages = std::fs::read_dir(folder.join("node_modules/@claude-mesh"));
    packages
        .into_iter()
        .flatten()
        .flatten()
        .any(|package| package.path().join("bin/claude-mesh-server").is_file())
}
