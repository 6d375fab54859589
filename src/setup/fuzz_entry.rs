//! Installs and uninstalls in memory, for the fuzz targets in `fuzz/`. Only a build with `--cfg fuzzing` has this module.
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::client_hooks::codex_hooks;
use super::clients::ClientConfig;
use super::entries::{HookSets, server};
use super::file_edits::Edit;
use super::json_text::JsonText;
use super::settings_edits::{InstallOptions, WantedSettings};

const PROGRAMS: &str = "/opt/mesh/bin";
/// The keys below which an install creates objects and lists that an uninstall removes when they are empty.
const PARENTS: [&str; 5] = [
    "hooks",
    "permissions",
    "mcpServers",
    "extraKnownMarketplaces",
    "enabledPlugins",
];

/// A file that an install edits.
#[derive(Clone, Copy, Debug)]
pub enum EditableFile {
    /// The settings of Claude Code.
    Settings(InstallOptions),
    /// `~/.claude.json` or `.mcp.json`.
    Servers,
    /// `config.toml` of the Codex CLI.
    CodexConfig,
    /// `hooks.json` of the Codex CLI.
    CodexHooks,
    /// `settings.json` of Gemini CLI.
    Gemini,
}

impl EditableFile {
    /// Returns the content after an install; `None` if the file is refused.
    pub fn installed(self, content: &[u8]) -> Option<Vec<u8>> {
        apply(&self.edits().0, content)
    }

    /// Returns the content after an uninstall; `None` if the file is refused.
    pub fn uninstalled(self, content: &[u8]) -> Option<Vec<u8>> {
        apply(&self.edits().1, content)
    }

    /// Returns whether an uninstall finds nothing of claude-mesh, nor an empty object or list that it would take for its own.
    pub fn is_foreign(self, content: &[u8]) -> bool {
        let is_unchanged = self.edits().1.apply(content).is_ok_and(|it| !it.is_changed);
        is_unchanged && (matches!(self, Self::CodexConfig) || !has_empty_parent(content))
    }

    /// Returns the edits of an install and of an uninstall.
    fn edits(self) -> (Edit, Edit) {
        let programs = Path::new(PROGRAMS);
        let printed = |name: &str| {
            let client = ClientConfig::find_by_name(name).expect("the client is supported");
            let printed = client.configuration(programs, programs);
            printed.expect("the folder of the programs can be written")
        };
        match self {
            Self::Settings(options) => {
                let hooks = HookSets::load(Some(programs)).expect("the folder is absolute");
                let wanted = WantedSettings {
                    hooks,
                    mod_folder: options.install_mod.then(|| PathBuf::from("/opt/mesh/mod")),
                    options,
                };
                (Edit::AddSettings(Box::new(wanted)), Edit::DropSettings)
            }
            Self::Servers => {
                let server = server(Some(programs)).expect("the folder is absolute");
                (Edit::AddServer(server), Edit::DropServer)
            }
            Self::CodexConfig => (
                Edit::AddCodexServer(printed("codex")),
                Edit::DropCodexServer,
            ),
            Self::CodexHooks => {
                let hooks = codex_hooks(programs).expect("the folder can be written");
                (Edit::AddClientHooks(hooks), Edit::DropClientHooks)
            }
            Self::Gemini => {
                let printed = serde_json::from_str(&printed("gemini"));
                let printed = printed.expect("the file in config is JSON");
                (Edit::AddGemini(printed), Edit::DropGemini)
            }
        }
    }
}

fn apply(edit: &Edit, content: &[u8]) -> Option<Vec<u8>> {
    edit.apply(content).ok().map(|edited| edited.content)
}

fn has_empty_parent(content: &[u8]) -> bool {
    let Ok(json) = JsonText::parse(content) else {
        return false;
    };
    PARENTS
        .iter()
        .any(|key| match json.value(&[(*key).into()]) {
            Ok(Some(value)) => is_empty(&value) || children(&value).any(is_empty),
            _ => false,
        })
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Object(object) => Box::new(object.values()),
        Value::Array(list) => Box::new(list.iter()),
        _ => Box::new(std::iter::empty()),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}
