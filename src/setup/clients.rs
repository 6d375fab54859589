//! Builds the configuration that other MCP clients need, for `claude-mesh install --print` and `--client`. Only the files of
//! some are changed: the others have their own command or window for that.
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::client_hooks::with_programs;
use super::entries::SERVER_NAME;
use super::error::InstallError;

/// The program in the shipped files; replaced by its path.
const SERVER_PLACEHOLDER: &str = "\"claude-mesh-server\"";
/// Begins the hooks in the file of a client.
const HOOKS_KEY: &str = "\"hooks\": {";
/// The project in the file of a client that cannot say which one is open; replaced by its path.
const PROJECT_PLACEHOLDER: &str = "\"/path/of/the/project\"";

/// An MCP client other than Claude Code.
#[derive(Debug, Clone, Copy)]
pub struct ClientConfig {
    /// Its name on the command line.
    pub name: &'static str,
    /// The files for its configuration.
    pub config_location: &'static str,
    /// A hint for its user.
    pub note: &'static str,
    /// The file of a user, below the home folder, that `install --client` changes; `None` if it changes none.
    user_file: Option<&'static str>,
    /// The file of a user for its hooks, where that is another one.
    user_hooks_file: Option<&'static str>,
    template: &'static str,
}

/// The known clients.
pub const CLIENTS: [ClientConfig; 5] = [
    ClientConfig {
        name: "codex",
        config_location: "~/.codex/config.toml, or .codex/config.toml of a project you trust",
        note: "Codex passes few variables to its servers: put settings into ~/.claude-mesh/.env",
        user_file: Some(".codex/config.toml"),
        user_hooks_file: Some(".codex/hooks.json"),
        template: include_str!("../../config/codex.toml"),
    },
    ClientConfig {
        name: "cursor",
        config_location: "~/.cursor/mcp.json, or .cursor/mcp.json of a project",
        note: "Cursor replaces ${workspaceFolder} by the open folder",
        user_file: None,
        user_hooks_file: None,
        template: include_str!("../../config/cursor.json"),
    },
    ClientConfig {
        name: "gemini",
        config_location: "~/.gemini/settings.json, or .gemini/settings.json of a project",
        note: "\"timeout\" is in milliseconds: ask_peer waits an hour at most",
        user_file: Some(".gemini/settings.json"),
        user_hooks_file: None,
        template: include_str!("../../config/gemini.json"),
    },
    ClientConfig {
        name: "vscode",
        config_location: ".vscode/mcp.json of a project, or your own mcp.json (\"MCP: Open User Configuration\")",
        note: "VS Code replaces ${workspaceFolder} by the open folder",
        user_file: None,
        user_hooks_file: None,
        template: include_str!("../../config/vscode.json"),
    },
    ClientConfig {
        name: "windsurf",
        config_location: "~/.codeium/windsurf/mcp_config.json",
        note: "Windsurf does not say which folder is open, so the entry is for this one project",
        user_file: None,
        user_hooks_file: None,
        template: include_str!("../../config/windsurf.json"),
    },
];

impl ClientConfig {
    pub fn find_by_name(name: &str) -> Option<Self> {
        CLIENTS.into_iter().find(|client| client.name == name)
    }

    /// Returns the file that `install --client` changes; `None` if it changes none.
    pub fn file(&self, home: &Path) -> Option<PathBuf> {
        Some(home.join(self.user_file?))
    }

    /// Returns the file that `install --client` changes for its hooks, if that is not the one of [`ClientConfig::file`].
    pub(crate) fn hooks_file(&self, home: &Path) -> Option<PathBuf> {
        Some(home.join(self.user_hooks_file?))
    }

    /// Returns its configuration, with the server in `programs` and, if the client cannot say which one is open, this project.
    pub fn configuration(&self, programs: &Path, project: &Path) -> Result<String, InstallError> {
        if self.template.contains(HOOKS_KEY) {
            return self.configuration_with_hooks(programs);
        }
        let server = json_string(&programs.join(SERVER_PLACEHOLDER.trim_matches('"')))?;
        let text = self.template.replace(SERVER_PLACEHOLDER, &server);
        if text.contains(PROJECT_PLACEHOLDER) {
            return Ok(text.replace(PROJECT_PLACEHOLDER, &json_string(project)?));
        }
        Ok(text)
    }
}

impl ClientConfig {
    /// Returns a JSON template with the server and the hooks in `programs`.
    fn configuration_with_hooks(&self, programs: &Path) -> Result<String, InstallError> {
        let template: Value =
            serde_json::from_str(self.template).expect("the files in config are checked by a test");
        let mut file = with_programs(&template, programs)?;
        let program = programs.join(SERVER_PLACEHOLDER.trim_matches('"'));
        let path = program.to_str();
        let path = path.ok_or_else(|| InstallError::unusable(&program, "its name is not UTF-8"))?;
        file["mcpServers"][SERVER_NAME]["command"] = Value::from(path);
        let text = serde_json::to_string_pretty(&file).expect("a JSON value can be written");
        Ok(text + "\n")
    }
}

/// Returns a path as a JSON string, which is a TOML string as well.
fn json_string(path: &Path) -> Result<String, InstallError> {
    let text = path
        .to_str()
        .ok_or_else(|| InstallError::unusable(path, "its name is not UTF-8"))?;
    Ok(serde_json::Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    /// The configuration of each client, read in its own format.
    fn read(client: &ClientConfig, programs: &str, project: &str) -> Value {
        let text = client
            .configuration(Path::new(programs), Path::new(project))
            .unwrap();
        if client.name == "codex" {
            let table: toml::Table = text.parse().unwrap();
            return serde_json::to_value(table).unwrap();
        }
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn client_configuration_escapes_any_server_path() {
        let (programs, project) = ("/opt/a \"b\" \\c/ü\n", "/p \"q\"");
        for client in &CLIENTS {
            let root = read(client, programs, project);
            let servers = match client.name {
                "codex" => &root["mcp_servers"],
                "vscode" => &root["servers"],
                _ => &root["mcpServers"],
            };
            let keys = if client.name == "gemini" { 2 } else { 1 };
            assert_eq!(root.as_object().unwrap().len(), keys, "{}", client.name);
            let server = &servers["claude-mesh"];
            let path = format!("{programs}/claude-mesh-server");
            assert_eq!(server["command"], path, "{}", client.name);
            assert_eq!(server["args"], serde_json::json!([]));
            let expected_path = match client.name {
                "cursor" | "vscode" => "${workspaceFolder}".into(),
                "windsurf" => project.into(),
                _ => Value::Null,
            };
            assert_eq!(server["env"]["CLAUDE_MESH_PROJECT_PATH"], expected_path);
        }
    }

    #[test]
    fn client_call_timeout_exceeds_the_longest_ask_peer_wait() {
        let server = |name: &str, key: &str| {
            let root = read(&ClientConfig::find_by_name(name).unwrap(), "/bin", "/p");
            root[key]["claude-mesh"].clone()
        };
        let codex = server("codex", "mcp_servers")["tool_timeout_sec"].as_i64();
        let gemini = server("gemini", "mcpServers")["timeout"].as_i64();
        assert!(codex.unwrap() > 3_600 && gemini.unwrap() > 3_600_000);
        assert_eq!(server("vscode", "servers")["type"], "stdio");
        assert_eq!(server("cursor", "mcpServers")["type"], "stdio");
    }

    #[test]
    fn non_utf8_program_path_is_refused() {
        let folder = Path::new(std::ffi::OsStr::from_bytes(b"/\xff"));
        let refused = CLIENTS[0].configuration(folder, Path::new("/p"));
        assert!(refused.unwrap_err().to_string().contains("not UTF-8"));
        assert!(ClientConfig::find_by_name("emacs").is_none());
    }
}
