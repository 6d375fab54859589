//! Checks for `doctor` whether the mod is installed and whether Claude Code runs it.
use serde_json::Value;

use super::finding::{Finding, note, ok, problem};
use super::install_paths::{InstallPaths, InstallScope};
use super::mod_files::{are_current, mod_folder};
use super::replace_with_backup;
use super::wired_state::SettingsFile;
use crate::platform::text::without_bom;

const INSTALL_MOD: &str = "claude-mesh install --mod";

/// Returns whether the settings of the user name the mod.
pub(crate) fn is_installed(settings: &[SettingsFile]) -> bool {
    settings
        .iter()
        .any(|file| file.scope == InstallScope::User && file.mod_state.folder.is_some())
}

/// Returns the findings about the mod.
pub(crate) fn check_mod(paths: &InstallPaths, settings: &[SettingsFile]) -> Vec<Finding> {
    let folder = mod_folder(paths);
    let shown = paths.display_path(&folder);
    if !is_installed(settings) {
        return vec![ok(format!("mod: not installed (`{INSTALL_MOD}`)"))];
    }
    let user = settings
        .iter()
        .find(|file| file.scope == InstallScope::User);
    let named = user.and_then(|file| file.mod_state.folder.as_deref());
    let mut findings = Vec::new();
    if named.map(std::path::Path::new) != Some(folder.as_path()) {
        let text = format!("mod: {} is wired, not {shown}", named.unwrap_or_default());
        findings.push(problem(text).fix(INSTALL_MOD));
    } else if !are_current(&folder).unwrap_or(false) {
        let text = format!("mod: the files in {shown} are missing or of another version");
        findings.push(problem(text).fix(INSTALL_MOD));
    }
    findings.extend(
        disabled_by(paths, settings)
            .map(|reason| note(format!("mod: {reason}, so it does not run"))),
    );
    if findings.is_empty() {
        findings.push(ok(format!("mod: installed ({shown})")));
    }
    findings
}

/// Returns why Claude Code does not run the mod, as far as files show it.
fn disabled_by(paths: &InstallPaths, settings: &[SettingsFile]) -> Option<String> {
    // The nearer file decides.
    let mut nearest_first = settings.iter().rev();
    let deciding = nearest_first.find(|file| file.mod_state.enabled.is_some());
    match deciding {
        Some(file) if file.mod_state.enabled == Some(false) => {
            return Some(format!(
                "it is disabled in {}",
                paths.display_path(&file.path)
            ));
        }
        None => return Some("no settings file enables it".to_owned()),
        Some(_) => {}
    }
    if let Some(file) = settings.iter().find(|file| file.hooks_disabled) {
        let path = paths.display_path(&file.path);
        return Some(format!("disableAllHooks is true in {path}"));
    }
    let setting = managed_refusal(paths)?;
    let path = paths.managed_settings.display();
    Some(format!("{setting} is set in {path}"))
}

/// Returns the setting of an organization that refuses mods of its users.
fn managed_refusal(paths: &InstallPaths) -> Option<&'static str> {
    let content = replace_with_backup::read(&paths.managed_settings).ok()??;
    let managed: Value = serde_json::from_slice(without_bom(&content)).ok()?;
    let is_true = |key: &str| managed.get(key) == Some(&Value::Bool(true));
    let guard = managed
        .get("pluginConfigs")
        .and_then(|configs| configs.get("cc-plugin-sec-default@builtin"));
    let guard = guard.and_then(|guard| guard.pointer("/options/allowManagedModsOnly"));
    let no_marketplace = managed
        .get("strictKnownMarketplaces")
        .and_then(Value::as_array)
        .is_some_and(Vec::is_empty);
    ["disableAllHooks", "allowManagedHooksOnly"]
        .into_iter()
        .find(|key| is_true(key))
        .or((guard == Some(&Value::Bool(true))).then_some("allowManagedModsOnly"))
        .or(no_marketplace.then_some("strictKnownMarketplaces"))
}
