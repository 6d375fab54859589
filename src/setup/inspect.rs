//! Looks at the wiring and says what it finds; nothing is changed, no program is started.
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::entries::{
    GUARD_PROGRAM, HookSets, PROJECT_PATH_VAR, REWAKE_PROGRAM, WantedHook, our_server_program,
};
use super::error::Error;
use super::hook_wiring::WiredHook;
use super::permission_rules::{CONFIRM_RULE, covers_server, matches_our_tools};
use super::places::{InstallPaths, InstallScope};
use super::wired_state::{self, SettingsFile, WiredServer};
use crate::claude_code::{ASYNC_REWAKE, INBOUND, INBOUND_REFUSED};

/// One thing worth knowing about the wiring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is so, in one line.
    pub text: String,
    /// The command that mends it, where one does.
    pub mend: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Works, but someone may wonder.
    Note,
    /// Does not work.
    Problem,
}

/// Everything worth knowing about how claude-mesh is wired for this person and, if there is one, this project.
pub fn inspect(places: &InstallPaths) -> Vec<Finding> {
    let mut findings = Vec::new();
    let servers = server_entries(places, &mut findings);
    let settings = settings_files(places, &mut findings);
    // A file that does not parse may well hold what seems to be missing.
    let readable = findings
        .iter()
        .all(|finding| finding.severity != Severity::Problem);
    if servers.is_empty() && readable {
        findings
            .push(problem("no server entry is wired").mend(install_command(InstallScope::User)));
    }
    let mut folder = None;
    for server in &servers {
        folder = check_server(places, server, &mut findings).or(folder);
    }
    let wired: Vec<&SettingsFile> = settings
        .iter()
        .filter(|file| !file.hooks.is_empty())
        .collect();
    if wired.is_empty() && readable {
        findings.push(problem("no hook is wired").mend(install_command(InstallScope::User)));
    }
    for file in &wired {
        findings.extend(check_hooks(places, file, folder.as_deref()));
    }
    findings.extend(check_duplicate_wiring(places, &wired));
    findings.extend(check_permission_rules(places, &settings));
    findings.extend(check_wake(places, &settings));
    for file in &settings {
        findings.extend(check_disabling_settings(places, file));
    }
    findings
}

fn server_entries(places: &InstallPaths, findings: &mut Vec<Finding>) -> Vec<WiredServer> {
    let mut entries = Vec::new();
    for scope in [InstallScope::User, InstallScope::Project] {
        if let Ok(path) = places.servers_file(scope) {
            entries.extend(report_error(wired_state::server(scope, &path), findings));
        }
    }
    let local_entry = places
        .project
        .as_deref()
        .map(|project| wired_state::read_project_server(&places.claude_json, project));
    if let Some(Ok(Some(local_entry))) = local_entry {
        findings.push(
            note(format!(
                "{} has another entry \"claude-mesh\", for this project only, which goes first",
                places.display_path(&local_entry.path)
            ))
            .mend("claude mcp remove --scope local claude-mesh"),
        );
    }
    entries
}

fn settings_files(places: &InstallPaths, findings: &mut Vec<Finding>) -> Vec<SettingsFile> {
    let mut files: Vec<SettingsFile> = Vec::new();
    for scope in [
        InstallScope::User,
        InstallScope::Project,
        InstallScope::Local,
    ] {
        let Ok(path) = places.settings_file(scope) else {
            continue;
        };
        // Seen from the home folder, the project's settings are the person's own.
        if files.iter().all(|file| file.path != path) {
            files.extend(report_error(wired_state::settings(scope, &path), findings));
        }
    }
    files
}

/// Judges a server entry and returns the folder of its program, if that is in order.
fn check_server(
    places: &InstallPaths,
    server: &WiredServer,
    findings: &mut Vec<Finding>,
) -> Option<PathBuf> {
    let file = places.display_path(&server.path);
    let mend = || install_command(server.scope);
    let env = |name: &str| server.entry.get("env").and_then(|env| env.get(name));
    if env("MESH_DB_PATH").is_some() {
        findings.push(problem(format!(
            "MESH_DB_PATH stands in the server entry of {file}, where hooks do not see it; \
                 move it to ~/.claude-mesh/.env"
        )));
    }
    if server.scope == InstallScope::User && env(PROJECT_PATH_VAR).is_some() {
        findings.push(
            problem(format!(
                "{PROJECT_PATH_VAR} in {file} takes every session for one project"
            ))
            .mend(mend()),
        );
    }
    let command = server.entry.get("command").and_then(Value::as_str);
    let ours = our_server_program(&server.entry).as_deref() == Some("claude-mesh-server");
    let Some(command) = command.filter(|_| ours) else {
        findings.push(
            note(format!(
                "the server entry of {file} does not start claude-mesh-server itself: {}",
                command.unwrap_or("no command")
            ))
            .mend(mend()),
        );
        return None;
    };
    match program(places, command) {
        Ok(program) => {
            findings.push(ok(format!("server: {command} ({file})")));
            findings.extend(check_other_copy(places, &program, server.scope));
            program.parent().map(Path::to_owned)
        }
        Err(reason) => {
            findings.push(problem(format!("server of {file}: {reason}")).mend(mend()));
            None
        }
    }
}

/// Another copy than the one beside this program is worth a word: updates would pass it by.
fn check_other_copy(places: &InstallPaths, program: &Path, scope: InstallScope) -> Option<Finding> {
    let here = fs::canonicalize(places.programs.join(program.file_name()?)).ok()?;
    (here != program).then(|| {
        note(format!(
            "{} is wired, not {}",
            places.display_path(program),
            places.display_path(&here)
        ))
        .mend(install_command(scope))
    })
}

fn check_hooks(
    places: &InstallPaths,
    file: &SettingsFile,
    server_folder: Option<&Path>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let display_path = places.display_path(&file.path);
    let mend = || install_command(file.scope);
    let hooks = HookSets::load(None).expect("bare names are never refused");
    let mut wanted = hooks.always;
    if runs_program(file, REWAKE_PROGRAM) {
        wanted.extend(hooks.rewake_hooks);
    }
    let guarded = runs_program(file, GUARD_PROGRAM);
    if guarded {
        wanted.extend(hooks.guard);
    }
    for wanted in &wanted {
        let (event, program) = (wanted.event, &wanted.program);
        let here: Vec<&WiredHook> = file
            .hooks
            .iter()
            .filter(|hook| hook.event == event && hook.program == *program)
            .collect();
        match here
            .iter()
            .filter(|hook| wanted.is_run_by_group(&hook.group))
            .count()
        {
            0 => findings
                .push(problem(format!("{event} is not wired in {display_path}")).mend(mend())),
            1 if here.len() == 1 => {
                findings.extend(check_hook(places, file, wanted, here[0], server_folder));
            }
            _ => findings.push(
                problem(format!(
                    "{event} runs {program} {} times in {display_path}",
                    here.len()
                ))
                .mend(mend()),
            ),
        }
    }
    for hook in &file.hooks {
        if !wanted
            .iter()
            .any(|w| w.event == hook.event && w.program == hook.program)
        {
            findings.push(note(format!(
                "{} also runs {} ({display_path})",
                hook.event, hook.program
            )));
        }
    }
    if findings.is_empty() {
        let with = if guarded {
            ", one of them the guard of claimed files"
        } else {
            ""
        };
        findings.push(ok(format!(
            "hooks: {} wired{with} ({display_path})",
            wanted.len()
        )));
    }
    findings
}

/// By which way idle sessions are woken.
fn check_wake(places: &InstallPaths, settings: &[SettingsFile]) -> Option<Finding> {
    let (rewake_file, refusing_file) = (
        settings
            .iter()
            .find(|file| runs_program(file, REWAKE_PROGRAM)),
        settings.iter().find(|file| file.inbound_refused),
    );
    if let Some(file) = rewake_file {
        let display_path = places.display_path(&file.path);
        return Some(ok(format!(
            "wake: a hook waits beside each session ({display_path})"
        )));
    }
    let display_path = places.display_path(&refusing_file?.path);
    Some(
        note(format!(
            "{INBOUND} is \"{INBOUND_REFUSED}\" in {display_path}: \
             an idle session is not woken by its inbox"
        ))
        .mend("claude-mesh install --wake rewake"),
    )
}

/// Returns whether a hook waits beside this person's sessions.
pub fn has_rewake_hook(places: &InstallPaths) -> bool {
    let settings = settings_files(places, &mut Vec::new());
    settings
        .iter()
        .any(|file| runs_program(file, REWAKE_PROGRAM))
}

fn runs_program(file: &SettingsFile, program: &str) -> bool {
    file.hooks.iter().any(|hook| hook.program == program)
}

fn check_hook(
    places: &InstallPaths,
    file: &SettingsFile,
    wanted: &WantedHook,
    wired: &WiredHook,
    server_folder: Option<&Path>,
) -> Option<Finding> {
    let event = &wired.event;
    let display_path = places.display_path(&file.path);
    let mend = install_command(file.scope);
    if wired.entry.get("args").and_then(Value::as_array).is_none() {
        return Some(note(format!("{event} runs through a shell ({display_path})")).mend(mend));
    }
    if wired.entry.get("timeout").and_then(Value::as_f64).is_none() {
        return Some(note(format!("{event} has no timeout ({display_path})")).mend(mend));
    }
    let async_rewake = wired.entry.get(ASYNC_REWAKE).and_then(Value::as_bool) == Some(true);
    if wanted.hook.async_rewake && !async_rewake {
        return Some(
            problem(format!(
                "{event} waits for {REWAKE_PROGRAM} ({display_path}): the entry lacks {ASYNC_REWAKE}"
            ))
            .mend(mend),
        );
    }
    let command = wired.entry.get("command").and_then(Value::as_str)?;
    match program(places, command) {
        Err(reason) => Some(problem(format!("{event} of {display_path}: {reason}")).mend(mend)),
        Ok(program) if server_folder.is_some_and(|folder| program.parent() != Some(folder)) => {
            Some(
                problem(format!(
                    "{event} starts {}, but the server comes from {}",
                    places.display_path(&program),
                    server_folder
                        .map(|folder| places.display_path(folder))
                        .unwrap_or_default()
                ))
                .mend(mend),
            )
        }
        Ok(_) => None,
    }
}

fn check_duplicate_wiring(places: &InstallPaths, wired: &[&SettingsFile]) -> Option<Finding> {
    let [first, second, ..] = wired else {
        return None;
    };
    Some(
        problem(format!(
            "each hook runs more than once: wired in {} and in {}",
            places.display_path(&first.path),
            places.display_path(&second.path)
        ))
        .mend(format!("claude-mesh uninstall{}", second.scope.flag())),
    )
}

fn check_permission_rules(places: &InstallPaths, settings: &[SettingsFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    match settings
        .iter()
        .find(|file| file.allow.iter().any(covers_server))
    {
        Some(file) => findings.push(ok(format!(
            "tools: allowed ({})",
            places.display_path(&file.path)
        ))),
        None => findings.push(
            note("no permission rule allows the tools: each call asks, `claude -p` refuses")
                .mend(install_command(InstallScope::User)),
        ),
    }
    for file in settings {
        let display_path = places.display_path(&file.path);
        for rule in file
            .deny
            .iter()
            .filter_map(Value::as_str)
            .filter(|rule| matches_our_tools(rule))
        {
            let text = format!("{display_path} denies {rule}");
            findings.push(
                if rule.starts_with("mcp__claude-mesh__") && !rule.ends_with('*') {
                    note(text)
                } else {
                    problem(text)
                },
            );
        }
        for rule in file
            .ask
            .iter()
            .filter_map(Value::as_str)
            .filter(|rule| matches_our_tools(rule))
        {
            findings.push(if rule == CONFIRM_RULE {
                note(format!(
                    "each answer to a peer asks you first ({display_path})"
                ))
            } else {
                note(format!("{rule} asks you before each call ({display_path})"))
            });
        }
    }
    findings
}

fn check_disabling_settings(places: &InstallPaths, file: &SettingsFile) -> Vec<Finding> {
    let display_path = places.display_path(&file.path);
    let mut findings = Vec::new();
    if file.hooks_disabled {
        findings.push(problem(format!(
            "disableAllHooks is true in {display_path}: no hook runs, nobody is woken or told"
        )));
    }
    if file.server_rejected {
        findings.push(problem(format!(
            "disabledMcpjsonServers in {display_path} turns the project's server off"
        )));
    }
    if let Some(db_path) = &file.db_path {
        findings.push(note(format!(
            "MESH_DB_PATH is {db_path} for sessions under {display_path}"
        )));
    }
    findings
}

/// The program behind a command, links followed; a bare name is looked up as Claude Code would.
fn program(places: &InstallPaths, command: &str) -> Result<PathBuf, String> {
    let named = Path::new(command);
    let found = if named.is_absolute() {
        named.to_owned()
    } else if command.contains('/') {
        return Err(format!("{command} depends on the folder it is started in"));
    } else {
        let mut candidates = places.search_path.iter().map(|folder| folder.join(named));
        candidates
            .find(|candidate| is_executable(candidate))
            .ok_or_else(|| format!("{command} is not in PATH"))?
    };
    if !found.exists() {
        return Err(format!("{} does not exist", places.display_path(&found)));
    }
    if !is_executable(&found) {
        return Err(format!(
            "{} cannot be executed",
            places.display_path(&found)
        ));
    }
    Ok(fs::canonicalize(&found).unwrap_or(found))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn report_error<T>(file: Result<Option<T>, Error>, findings: &mut Vec<Finding>) -> Option<T> {
    file.unwrap_or_else(|error| {
        findings.push(problem(error.to_string()));
        None
    })
}

fn install_command(scope: InstallScope) -> String {
    format!("claude-mesh install{}", scope.flag())
}

fn ok(text: impl Into<String>) -> Finding {
    finding(Severity::Ok, text)
}

fn note(text: impl Into<String>) -> Finding {
    finding(Severity::Note, text)
}

fn problem(text: impl Into<String>) -> Finding {
    finding(Severity::Problem, text)
}

fn finding(severity: Severity, text: impl Into<String>) -> Finding {
    Finding {
        severity,
        text: text.into(),
        mend: None,
    }
}

impl Finding {
    fn mend(self, command: impl Into<String>) -> Self {
        Self {
            mend: Some(command.into()),
            ..self
        }
    }
}
