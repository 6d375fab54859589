//! Names the mod in the settings of the user and removes it there: the folder of its marketplace, and that it is enabled.
use std::path::Path;

use serde_json::{Value, json};

use super::error::InstallError;
use super::json_items::{ContainerKind, PathStep};
use super::json_text::JsonText;
use super::parse_error::ParseError;

/// The name of the marketplace.
pub(crate) const MARKETPLACE_NAME: &str = "claude-mesh-mod";
/// The name of the plugin, with its marketplace.
pub(crate) const PLUGIN_NAME: &str = "mesh@claude-mesh-mod";

const MARKETPLACES: &str = "extraKnownMarketplaces";
const ENABLED_PLUGINS: &str = "enabledPlugins";

/// What a settings file says of the mod.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModState {
    /// The folder of its marketplace, if one is named.
    pub(crate) folder: Option<String>,
    /// Whether it is enabled, if the file says so.
    pub(crate) enabled: Option<bool>,
}

impl ModState {
    pub(crate) fn of(json: &JsonText) -> Result<Self, ParseError> {
        let marketplace = json.value(&marketplace_path())?;
        let path = marketplace
            .as_ref()
            .and_then(|it| it.pointer("/source/path"));
        let enabled = json.value(&enabled_path())?;
        Ok(Self {
            folder: path.and_then(Value::as_str).map(str::to_owned),
            enabled: enabled.as_ref().and_then(Value::as_bool),
        })
    }
}

fn marketplace_path() -> [PathStep<'static>; 2] {
    [MARKETPLACES.into(), MARKETPLACE_NAME.into()]
}

fn enabled_path() -> [PathStep<'static>; 2] {
    [ENABLED_PLUGINS.into(), PLUGIN_NAME.into()]
}

/// Refuses a file in which the keys of the mod cannot be added.
pub(crate) fn check_kinds(json: &JsonText) -> Result<(), ParseError> {
    json.check_kind(&[MARKETPLACES.into()], ContainerKind::Object)?;
    json.check_kind(&[ENABLED_PLUGINS.into()], ContainerKind::Object)
}

/// Names the marketplace in `folder`; with `enable` also enables the mod, which a user may have disabled.
pub(crate) fn add_mod(json: &mut JsonText, folder: &Path, enable: bool) -> Result<(), ParseError> {
    let marketplace = json!({ "source": { "source": "directory", "path": folder } });
    if json.value(&marketplace_path())?.as_ref() != Some(&marketplace) {
        json.set(&marketplace_path(), &marketplace)?;
    }
    if enable && json.value(&enabled_path())? != Some(Value::Bool(true)) {
        json.set(&enabled_path(), &true)?;
    }
    Ok(())
}

/// Removes the mod.
pub(crate) fn drop_mod(json: &mut JsonText) -> Result<(), ParseError> {
    json.prune(&marketplace_path())?;
    json.prune(&enabled_path())
}

/// Refuses a folder that JSON cannot name.
pub(crate) fn check_folder(folder: &Path) -> Result<(), InstallError> {
    match folder.to_str() {
        Some(_) if folder.is_absolute() => Ok(()),
        _ => Err(InstallError::unusable(
            folder,
            "the folder of the mod must be an absolute path in UTF-8",
        )),
    }
}
