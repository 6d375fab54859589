//! The parts of Claude Code's settings files that claude-mesh reads or writes.
//!
//! `setup` edits these files; what belongs into them is defined here.
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::platform::file;
use crate::platform::text::without_bom;

/// A longer settings file is not read.
const SETTINGS_BYTES_MAX: u64 = 1024 * 1024;

/// The settings file of a user or project, in its `.claude` folder.
pub(crate) const SETTINGS_FILE: &str = "settings.json";
/// The settings file of one checkout, in its `.claude` folder.
pub(crate) const LOCAL_SETTINGS_FILE: &str = "settings.local.json";
/// The folder of a project that holds its settings files.
pub(crate) const PROJECT_SETTINGS_DIR: &str = ".claude";

/// The setting that decides which lines of other sessions an inbox accepts.
pub const INBOUND: &str = "crossSessionInbound";
/// The value of [`INBOUND`] that refuses every line.
pub const INBOUND_REFUSED: &str = "refuse";

/// Returns whether this value of [`INBOUND`] refuses every line.
pub(crate) fn refuses_inbound(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value == INBOUND_REFUSED)
}

/// Returns the first settings file that makes the inbox refuse lines for sessions in `folder`. A file that is missing or
/// broken refuses nothing.
pub fn find_inbound_refusal(config_dir: &Path, folder: Option<&Path>) -> Option<PathBuf> {
    let own = folder.map(|folder| folder.join(PROJECT_SETTINGS_DIR));
    let own = own
        .iter()
        .flat_map(|claude| [LOCAL_SETTINGS_FILE, SETTINGS_FILE].map(|name| claude.join(name)));
    own.chain([config_dir.join(SETTINGS_FILE)]).find(|path| {
        let content = file::read(path, SETTINGS_BYTES_MAX).unwrap_or_default();
        let settings = serde_json::from_slice(without_bom(&content));
        settings.is_ok_and(|settings: Value| refuses_inbound(settings.get(INBOUND)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::file::tests::make_pipe;

    #[test]
    fn user_project_and_local_settings_can_refuse_inbound_lines() {
        let place = tempfile::tempdir().unwrap();
        let (config, project) = (place.path().join("config"), place.path().join("project"));
        let refuses = || find_inbound_refusal(&config, Some(&project));
        assert_eq!(refuses(), None);
        std::fs::create_dir_all(project.join(".claude")).unwrap();
        make_pipe(&project.join(".claude/settings.json"));
        assert_eq!(refuses(), None, "a pipe is not read");
        std::fs::remove_file(project.join(".claude/settings.json")).unwrap();
        for path in [
            config.join("settings.json"),
            project.join(".claude/settings.json"),
            project.join(".claude/settings.local.json"),
        ] {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, r#"{"crossSessionInbound": "accept"}"#).unwrap();
            assert_eq!(refuses(), None);
            std::fs::write(&path, "\u{feff}{\"crossSessionInbound\": \"refuse\"}").unwrap();
            assert_eq!(refuses(), Some(path.clone()));
            std::fs::write(&path, "{").unwrap();
            assert_eq!(refuses(), None, "a broken file refuses nothing");
        }
    }
}
