//! The entries of claude-mesh, read from the shipped files in `config/`, and how they are recognized in a file.
use std::path::Path;

use serde_json::Value;

use super::error::InstallError;
use crate::claude_code::{HookEntry, HookGroup, HooksFile, ServerEntry};

/// The name of the server in Claude Code.
pub(crate) const SERVER_NAME: &str = "claude-mesh";
/// Says to a server that is started by the file of a project which project that is.
pub(crate) const PROJECT_PATH_VAR: &str = "CLAUDE_MESH_PROJECT_PATH";
/// Its value in a committed file; Claude Code expands it.
pub(crate) const PROJECT_PATH_VALUE: &str = "${CLAUDE_PROJECT_DIR:-.}";

/// The program that denies edits of files that another session has claimed.
pub(crate) const GUARD_PROGRAM: &str = "claude-mesh-claim-guard";
/// The program that waits beside an idle session.
pub(crate) const WAITING_HOOK_PROGRAM: &str = "claude-mesh-inbox-wait";

const HOOKS_JSON: &str = include_str!("../../config/hooks.json");
const HOOKS_GUARD_JSON: &str = include_str!("../../config/hooks-guard.json");
const HOOKS_REWAKE_JSON: &str = include_str!("../../config/hooks-rewake.json");
const MCP_JSON: &str = include_str!("../../config/mcp.json");

/// The hooks to install.
#[derive(Clone, Debug)]
pub(crate) struct HookSets {
    /// Always installed.
    pub(crate) always: Vec<WantedHook>,
    /// Wait beside an idle session; installed on request.
    pub(crate) waiting_hooks: Vec<WantedHook>,
    /// Runs before each edit; installed on request.
    pub(crate) guard: Vec<WantedHook>,
}

impl HookSets {
    /// Returns all of them, with absolute paths in `programs`, or with bare names.
    pub(crate) fn load(programs: Option<&Path>) -> Result<Self, InstallError> {
        Ok(Self {
            always: wanted(HOOKS_JSON, programs)?,
            waiting_hooks: wanted(HOOKS_REWAKE_JSON, programs)?,
            guard: wanted(HOOKS_GUARD_JSON, programs)?,
        })
    }
}

/// A hook and its event.
#[derive(Clone, Debug)]
pub(crate) struct WantedHook {
    pub(crate) event: &'static str,
    /// The occurrences of the event; `None` is all.
    pub(crate) matcher: Option<String>,
    pub(crate) program: String,
    pub(crate) hook: HookEntry,
}

impl WantedHook {
    /// Returns whether this group runs wherever the hook is wanted.
    pub(crate) fn is_run_by_group(&self, group: &Value) -> bool {
        HookGroup::covers(group, self.matcher.as_deref())
    }
}

/// Returns the server entry for the files of a user, or without `programs` the one for the files of a project.
pub(crate) fn server(programs: Option<&Path>) -> Result<ServerEntry, InstallError> {
    let mut server: ServerEntry =
        serde_json::from_str(MCP_JSON).expect("config/mcp.json is checked by a test");
    server.command = command(programs, &server.command)?;
    if programs.is_none() {
        server
            .env
            .insert(PROJECT_PATH_VAR.to_owned(), PROJECT_PATH_VALUE.to_owned());
    }
    Ok(server)
}

fn wanted(file: &str, programs: Option<&Path>) -> Result<Vec<WantedHook>, InstallError> {
    let file: HooksFile =
        serde_json::from_str(file).expect("the files in config are checked by a test");
    let mut wanted = Vec::new();
    for (event, groups) in file.hooks.into_groups() {
        for group in groups {
            for mut hook in group.hooks {
                let program = hook.command;
                hook.command = command(programs, &program)?;
                wanted.push(WantedHook {
                    event,
                    matcher: group.matcher.clone(),
                    program,
                    hook,
                });
            }
        }
    }
    Ok(wanted)
}

/// Returns the program of claude-mesh that a hook entry starts, like `claude-mesh-inbox-poll`, in any folder and with any
/// quotes and arguments.
///
/// Only the first command counts: a hook that merely mentions a program of claude-mesh is not recognized.
pub(crate) fn own_hook_program(hook: &Value) -> Option<String> {
    let command = hook.get("command")?.as_str()?;
    let words: Vec<String> = match hook.get("args").and_then(Value::as_array) {
        Some(arguments) => std::iter::once(command)
            .chain(arguments.iter().filter_map(Value::as_str))
            .map(str::to_owned)
            .collect(),
        None => split_shell_words(command),
    };
    first_program(&unwrap_shell_command(words)).and_then(own_program_name)
}

/// Returns the program of claude-mesh that a server entry starts.
pub(crate) fn own_server_program(entry: &Value) -> Option<String> {
    own_program_name(entry.get("command")?.as_str()?)
}

fn own_program_name(program: &str) -> Option<String> {
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
    let name = name.trim_end_matches([';', '&', '|', ')']);
    let name = name.strip_suffix(".exe").unwrap_or(name);
    let own = name
        .strip_prefix("claude-mesh-")
        .is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace));
    own.then(|| name.to_owned())
}

/// Returns the first word that is a program, and neither a shell or `env` that starts it nor an assignment.
fn first_program(words: &[String]) -> Option<&str> {
    let is_launcher = |word: &str| {
        is_shell(word)
            || word.starts_with('-')
            || matches!(word, "env" | "/usr/bin/env" | "/bin/env" | "exec")
    };
    let is_assignment = |word: &str| {
        word.split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && !name.contains(['/', ' ']))
    };
    words
        .iter()
        .map(String::as_str)
        .find(|word| !is_launcher(word) && !is_assignment(word))
}

/// Returns the words of the script if the words are `sh -c <script>`.
fn unwrap_shell_command(words: Vec<String>) -> Vec<String> {
    let script = words.windows(3).find_map(|next| {
        let is_command_flag = next[1].starts_with('-') && next[1].ends_with('c');
        (is_shell(&next[0]) && is_command_flag).then(|| split_shell_words(&next[2]))
    });
    script.unwrap_or(words)
}

fn is_shell(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    matches!(name, "sh" | "bash" | "dash" | "zsh")
}

fn split_shell_words(command: &str) -> Vec<String> {
    shlex::split(command).unwrap_or_else(|| command.split_whitespace().map(str::to_owned).collect())
}

fn command(programs: Option<&Path>, program: &str) -> Result<String, InstallError> {
    let Some(folder) = programs else {
        return Ok(program.to_owned());
    };
    if !folder.is_absolute() {
        return Err(InstallError::unusable(folder, "not an absolute path"));
    }
    match folder.join(program).to_str() {
        Some(path) => Ok(path.to_owned()),
        None => Err(InstallError::unusable(
            folder,
            "not UTF-8, which JSON must be",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(hook: &str) -> Option<String> {
        own_hook_program(&serde_json::from_str(hook).unwrap())
    }

    #[test]
    fn shipped_files_define_seven_hooks_and_one_server() {
        let hooks = HookSets::load(None).unwrap();
        let events: Vec<_> = hooks
            .always
            .into_iter()
            .map(|wanted| (wanted.event, wanted.program, wanted.hook.timeout))
            .collect();
        let poll = || "claude-mesh-inbox-poll".to_owned();
        assert_eq!(
            events,
            [
                ("SessionStart", "claude-mesh-session-start".to_owned(), 10),
                ("UserPromptSubmit", poll(), 10),
                ("Stop", poll(), 10),
                ("SessionEnd", "claude-mesh-session-end".to_owned(), 5),
            ]
        );
        let waiting_hooks: Vec<_> = hooks
            .waiting_hooks
            .into_iter()
            .map(|wanted| (wanted.event, wanted.program, wanted.hook.async_rewake))
            .collect();
        let waiter = |event| (event, WAITING_HOOK_PROGRAM.to_owned(), true);
        assert_eq!(waiting_hooks, [waiter("SessionStart"), waiter("Stop")]);
        let [guard] = &hooks.guard[..] else {
            panic!("one guard: {:?}", hooks.guard)
        };
        assert_eq!(
            (guard.event, guard.program.as_str()),
            ("PreToolUse", GUARD_PROGRAM)
        );
        assert_eq!(
            guard.matcher.as_deref(),
            Some("Edit|Write|MultiEdit|NotebookEdit|Bash")
        );
        let server = server(Some(Path::new("/opt/mesh"))).unwrap();
        assert_eq!(server.command, "/opt/mesh/claude-mesh-server");
    }

    #[test]
    fn own_hook_is_recognized_in_every_historic_form() {
        for hook in [
            r#"{"command":"claude-mesh-inbox-poll","args":[]}"#,
            r#"{"command":"/opt/my programs/claude-mesh-inbox-poll","args":[]}"#,
            r#"{"command":"/usr/bin/env","args":["claude-mesh-inbox-poll"]}"#,
            r#"{"command":"claude-mesh-inbox-poll"}"#,
            r#"{"command":"\"/opt/my programs/claude-mesh-inbox-poll\" --quiet"}"#,
            r#"{"command":"'/opt/my programs/claude-mesh-inbox-poll' || true"}"#,
            r#"{"command":"/bin/sh -c '/opt/claude-mesh-inbox-poll 2>/dev/null'"}"#,
            r#"{"command":"bash -lc '/opt/claude-mesh-inbox-poll --quiet'"}"#,
            r#"{"command":"/bin/sh","args":["-c","/opt/claude-mesh-inbox-poll; true"]}"#,
            r#"{"command":"MESH_DB_PATH=/x/mesh.db exec /opt/claude-mesh-inbox-poll"}"#,
            r#"{"command":"C:/mesh/claude-mesh-inbox-poll.exe","args":[]}"#,
        ] {
            assert_eq!(
                own(hook).as_deref(),
                Some("claude-mesh-inbox-poll"),
                "{hook}"
            );
        }
    }

    #[test]
    fn hook_that_only_mentions_our_program_is_foreign() {
        for hook in [
            r#"{"command":"echo claude-mesh-inbox-poll"}"#,
            r#"{"command":"grep -c claude-mesh-inbox-poll log"}"#,
            r#"{"command":"claude-mesh peers --json"}"#,
            r#"{"command":"/opt/claude-mesh-inbox-poll/run.sh","args":[]}"#,
            r#"{"type":"prompt","prompt":"claude-mesh-inbox-poll"}"#,
            r#"{"command":7}"#,
            r#""claude-mesh-inbox-poll""#,
        ] {
            assert_eq!(own(hook), None, "{hook}");
        }
    }

    #[test]
    fn relative_program_folder_is_refused() {
        assert!(matches!(
            server(Some(Path::new("target/release"))),
            Err(InstallError::Unusable { .. })
        ));
    }
}
