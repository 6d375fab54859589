//! Which process is the client: the Claude Code session (or other program) at whose side a hook, server or shell runs.
//!
//! This is the one place below the audiences that reads a format of Claude Code: its session registry, by which hooks, server
//! and command line all bind to a session, and what its settings and its version say of the inbox. None of them may know
//! the others.
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::platform::file;
use crate::platform::process;
use crate::platform::process::{ProcessKey, ProcessStat};

/// The registry's file of one session has a few hundred bytes.
const BYTES_MAX: u64 = 64 * 1024;
/// No settings of people are longer.
const SETTINGS_BYTES_MAX: u64 = 1024 * 1024;
/// Some editors begin a file with it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What Claude Code's registry says of one running session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryEntry {
    /// The current Claude Code session; changes at `/clear`.
    pub session_id: Option<String>,
    /// The folder it was started in.
    pub folder: Option<String>,
    /// A name its person gave it (`--name`, `/rename`).
    pub given_name: Option<String>,
    /// `idle`, `busy` or `waiting`.
    pub status: Option<String>,
    /// Since when, in wall milliseconds.
    pub status_since_ms: Option<i64>,
    /// It is a `claude -p` run.
    pub headless: bool,
    /// Where its inbox socket is.
    pub socket: Option<String>,
    /// The client's version.
    pub version: Option<String>,
    /// When it was started, in wall milliseconds.
    pub started_at_ms: Option<i64>,
}

/// The file as Claude Code writes it; everything may be missing in another version.
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

/// Returns what the registry says of a process, or `None` when it has no file there or the file is of an earlier process.
pub fn registry_entry(config_dir: &Path, process: ProcessKey) -> Option<RegistryEntry> {
    let path = config_dir
        .join("sessions")
        .join(format!("{}.json", process.pid));
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

/// Claude Code has the inbox by which an idle session is woken from this version on.
const INBOX_MIN_VERSION: [u32; 3] = [2, 1, 224];
/// The setting of Claude Code by which its person decides what other sessions may post.
pub const INBOUND: &str = "crossSessionInbound";
/// Its word for nothing.
pub const INBOUND_REFUSED: &str = "refuse";

/// How many lines a session takes from one sender at once; its client drops what is more without a word. It takes 30.
const INBOX_BURST_LINES: i64 = 25;
/// After this time it takes one more.
const INBOX_REFILL_INTERVAL_MS: i64 = 2_000;

/// The lines that an inbox still takes from this process, counted on the safe side of what its client does.
#[derive(Debug, Default)]
pub struct InboxRateLimit {
    /// When all lines that were posted will be made up for, by the monotonic clock.
    replenished_at_monotonic_ms: i64,
}

impl InboxRateLimit {
    /// Returns after how long the inbox takes a line; 0 is now.
    pub fn wait_ms(&self, now_monotonic_ms: i64) -> i64 {
        let missing_ms = self.replenished_at_monotonic_ms - now_monotonic_ms;
        (missing_ms - (INBOX_BURST_LINES - 1) * INBOX_REFILL_INTERVAL_MS).max(0)
    }

    /// Notes that a line was posted.
    pub fn record_post(&mut self, now_monotonic_ms: i64) {
        self.replenished_at_monotonic_ms =
            self.replenished_at_monotonic_ms.max(now_monotonic_ms) + INBOX_REFILL_INTERVAL_MS;
    }
}

/// Returns whether a Claude Code of this version has an inbox.
pub fn has_inbox(version: &str) -> bool {
    parse_version(version) >= Some(INBOX_MIN_VERSION)
}

fn parse_version(version: &str) -> Option<[u32; 3]> {
    let mut parts = version
        .split(['.', '-', '+'])
        .map(|part| part.parse::<u32>().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

/// Returns the settings file by which the sessions of a folder refuse what others post, if one says so.
pub fn find_inbound_refusal(config_dir: &Path, folder: Option<&Path>) -> Option<PathBuf> {
    let own = folder.map(|folder| folder.join(".claude"));
    let own = own
        .iter()
        .flat_map(|claude| ["settings.local.json", "settings.json"].map(|name| claude.join(name)));
    own.chain([config_dir.join("settings.json")]).find(|path| {
        let text = file::read(path, SETTINGS_BYTES_MAX).unwrap_or_default();
        let settings = serde_json::from_slice(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text));
        settings.is_ok_and(|settings: serde_json::Value| settings[INBOUND] == INBOUND_REFUSED)
    })
}

/// Returns the two lines that post a doorbell into a session's inbox socket: the word that opens it, when there is one,
/// and a message that the client shows as coming from `from`. It has no address, so that nobody answers there.
pub fn doorbell_lines(token: Option<&str>, nonce: &str, from: &str, text: &str) -> String {
    let mut lines = String::new();
    if let Some(token) = token {
        lines += &serde_json::json!({ "type": "auth", "token": token }).to_string();
        lines.push('\n');
    }
    let content = format!(
        "<cross-session-message from-name=\"{from}\">\n{DOORBELL} {nonce}: {text}\n</cross-session-message>"
    );
    let message = serde_json::json!({
        "type": "user",
        "message": { "role": "user", "content": content },
        "priority": "next",
    });
    lines += &message.to_string();
    lines.push('\n');
    lines
}

/// Returns the nonce of the doorbell in a prompt, or `None` when the prompt is none.
pub fn doorbell_nonce(prompt: &str) -> Option<&str> {
    let start = prompt.trim_start().strip_prefix("<cross-session-message")?;
    let (_, rest) = start.split_once(DOORBELL)?;
    let nonce = rest.trim_start().split(':').next()?;
    (nonce.len() == 10 && nonce.bytes().all(|b| b.is_ascii_alphanumeric())).then_some(nonce)
}

/// By these words our line in an inbox is known.
const DOORBELL: &str = "claude-mesh doorbell";

/// Returns the client of a process: the nearest ancestor that `is_session`, so that wrappers (`npx`, `sh`) do no harm.
///
/// An ancestor below it that runs the same program without being a session itself, as `claude mcp list` typed in a
/// session's shell does, is a client of its own: the session above it is foreign, and `None` comes back.
pub fn find_session_ancestor(
    pid: i32,
    is_session: impl Fn(&ProcessStat) -> bool,
) -> Option<ProcessKey> {
    let chain: Vec<ProcessStat> = process::ancestors(pid).collect();
    find_nearest_session(&chain, is_session, process::program)
}

fn find_nearest_session<P: PartialEq>(
    chain: &[ProcessStat],
    is_session: impl Fn(&ProcessStat) -> bool,
    program: impl Fn(i32) -> Option<P>,
) -> Option<ProcessKey> {
    let at = chain.iter().position(is_session)?;
    let own = program(chain[at].key.pid);
    let has_foreign_client = chain[..at]
        .iter()
        .any(|between| own.is_some() && program(between.key.pid) == own);
    (!has_foreign_client).then_some(chain[at].key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::file::tests::make_pipe;

    fn chain(pids: &[i32]) -> Vec<ProcessStat> {
        pids.iter()
            .map(|&pid| ProcessStat {
                key: ProcessKey { pid, started: 1 },
                parent: 0,
                running: true,
            })
            .collect()
    }

    #[test]
    fn session_is_found_through_wrapper_processes() {
        let programs = |pid| Some(if pid == 30 { "claude" } else { "sh" });
        let found = find_nearest_session(
            &chain(&[10, 20, 30, 40]),
            |process| process.key.pid == 30,
            programs,
        );
        assert_eq!(found.unwrap().pid, 30);
    }

    #[test]
    fn nested_client_is_not_matched_to_the_outer_session() {
        let programs = |pid| Some(if pid == 20 { "sh" } else { "claude" });
        assert_eq!(
            find_nearest_session(
                &chain(&[10, 20, 30]),
                |process| process.key.pid == 30,
                programs
            ),
            None
        );
    }

    #[test]
    fn doorbell_prompt_is_recognized_by_its_nonce() {
        let lines = doorbell_lines(Some("word"), "0123456789", "ada", "a question waits");
        let posted: Vec<serde_json::Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(posted[0]["token"], "word");
        let prompt = posted[1]["message"]["content"].as_str().unwrap();
        assert_eq!(doorbell_nonce(prompt), Some("0123456789"));
        assert_eq!(
            doorbell_nonce("claude-mesh doorbell 0123456789: typed"),
            None
        );
        assert_eq!(
            doorbell_nonce("<cross-session-message from-name=\"x\">hello"),
            None
        );
    }

    /// The client's own count: 30 lines, and half a line more per second.
    #[test]
    fn inbox_rate_limit_drops_no_line_and_adds_no_extra_delay() {
        let mut rate_limit = InboxRateLimit::default();
        let (mut now_ms, mut taken_at_ms, mut remaining) = (1_000_000, 1_000_000, 30.0_f64);
        for line in 1..=500_i64 {
            now_ms += rate_limit.wait_ms(now_ms) + line % 3;
            rate_limit.record_post(now_ms);
            #[expect(clippy::cast_precision_loss, reason = "some seconds")]
            let refilled = (now_ms - taken_at_ms) as f64 * 0.5 / 1000.0;
            remaining = (remaining + refilled).min(30.0);
            assert!(remaining >= 1.0, "line {line} is dropped");
            (remaining, taken_at_ms) = (remaining - 1.0, now_ms);
        }
        let took_ms = now_ms - 1_000_000;
        assert!((475 * 2_000..476 * 2_000).contains(&took_ms), "{took_ms}");
        assert_eq!(rate_limit.wait_ms(now_ms + 60_000), 0);
    }

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
    fn version_components_are_compared_as_numbers() {
        assert_eq!(parse_version("2.1.329"), Some([2, 1, 329]));
        assert_eq!(parse_version("2.1.224-beta.1"), Some([2, 1, 224]));
        assert_eq!(parse_version("latest"), None);
        assert!(!has_inbox("2.1.99"));
        assert!(has_inbox("2.10.0"));
    }

    #[test]
    fn user_project_and_local_settings_can_refuse_inbound_lines() {
        let place = tempfile::tempdir().unwrap();
        let (config, project) = (place.path().join("config"), place.path().join("project"));
        let refuses = || find_inbound_refusal(&config, Some(&project));
        assert_eq!(refuses(), None);
        std::fs::create_dir_all(project.join(".claude")).unwrap();
        make_pipe(&project.join(".claude/settings.json"));
        assert_eq!(refuses(), None, "what is no file says nothing, and at once");
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
            assert_eq!(refuses(), None, "a broken file says nothing");
        }
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
