//! Reads the file in which Claude Code registers each running session, so that hooks, server and command line find the same
//! session.
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::platform::file;
use crate::platform::process::ProcessKey;

/// The file of one session has a few hundred bytes.
const BYTES_MAX: u64 = 64 * 1024;

/// What Claude Code has registered about one running session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryEntry {
    /// The current Claude Code session; changes at `/clear`.
    pub session_id: Option<String>,
    /// The folder in which it was started.
    pub folder: Option<String>,
    /// The name that its user gave it (`--name`, `/rename`).
    pub given_name: Option<String>,
    /// `idle`, `busy` or `waiting`.
    pub status: Option<String>,
    /// When `status` last changed, in wall milliseconds.
    pub status_since_ms: Option<i64>,
    /// Whether it is a `claude -p` run.
    pub headless: bool,
    /// The path of its inbox socket.
    pub socket: Option<String>,
    /// The version of Claude Code.
    pub version: Option<String>,
    /// Start time in wall milliseconds.
    pub started_at_ms: Option<i64>,
}

/// The file as Claude Code writes it. Any field may be missing in another version.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegistryFile {
    session_id: Option<String>,
    cwd: Option<String>,
    started_at: Option<i64>,
    proc_start: Option<String>,
    version: Option<String>,
    entrypoint: Option<String>,
    messaging_socket_path: Option<String>,
    name: Option<String>,
    name_source: Option<String>,
    status: Option<String>,
    status_updated_at: Option<i64>,
}

/// Returns the folder of the registry files of all sessions.
pub fn registry_folder(config_dir: &Path) -> PathBuf {
    config_dir.join("sessions")
}

/// Returns the registry entry of a process; `None` if there is no file for it, or if the file belongs to an earlier process
/// with the same pid.
pub fn registry_entry(config_dir: &Path, process: ProcessKey) -> Option<RegistryEntry> {
    let path = registry_folder(config_dir).join(format!("{}.json", process.pid));
    let registry_file: RegistryFile =
        serde_json::from_slice(&file::read(&path, BYTES_MAX).ok()?).ok()?;
    if registry_file
        .proc_start
        .is_some_and(|started| started != process.started.to_string())
    {
        return None;
    }
    Some(RegistryEntry {
        session_id: registry_file.session_id,
        folder: registry_file.cwd,
        given_name: registry_file.name.filter(|_| {
            registry_file
                .name_source
                .is_some_and(|source| source != "derived")
        }),
        status: registry_file.status,
        status_since_ms: registry_file.status_updated_at,
        headless: registry_file
            .entrypoint
            .is_some_and(|entrypoint| entrypoint.starts_with("sdk")),
        socket: registry_file.messaging_socket_path,
        version: registry_file.version,
        started_at_ms: registry_file.started_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::file::tests::make_pipe;

    #[test]
    fn fifo_as_registry_file_does_not_block() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("sessions")).unwrap();
        make_pipe(&place.path().join("sessions/7.json"));
        let process = ProcessKey {
            pid: 7,
            started: 55,
        };
        assert_eq!(registry_entry(place.path(), process), None);
    }

    #[test]
    fn registry_file_of_an_earlier_process_is_ignored() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("sessions")).unwrap();
        let content = r#"{"pid":7,"sessionId":"s","cwd":"/a","procStart":"55","entrypoint":"sdk-cli","name":"a-1f","nameSource":"derived","status":"busy"}"#;
        std::fs::write(place.path().join("sessions/7.json"), content).unwrap();
        let found = registry_entry(
            place.path(),
            ProcessKey {
                pid: 7,
                started: 55,
            },
        )
        .unwrap();
        assert_eq!(
            (found.status.as_deref(), found.headless, found.given_name),
            (Some("busy"), true, None)
        );
        assert_eq!(
            registry_entry(
                place.path(),
                ProcessKey {
                    pid: 7,
                    started: 56
                }
            ),
            None
        );
    }
}
