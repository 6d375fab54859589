//! Checks the installation for `doctor`: it changes nothing and starts no program.
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::entries::{PROJECT_PATH_VAR, WAITING_HOOK_PROGRAM, own_server_program};
use super::error::InstallError;
use super::finding::{Finding, Severity, install_command, note, ok, problem};
use super::hooks_check::HooksCheck;
use super::install_paths::{InstallPaths, InstallScope};
use super::mod_check;
use super::permission_rules::{CONFIRM_RULE, covers_server, matches_own_tools};
use super::plugin_check::{EnabledPlugin, check_plugin, enabled_plugin_in};
use super::program_path::find_program;
use super::wired_state::{self, SettingsFile, WiredServer};
use crate::claude_code::{INBOX_POLICY_KEY, INBOX_POLICY_REFUSE};
use crate::platform::settings::HUB_URL;

/// Returns the findings about the installation for this user and, if there is one, this project.
pub fn inspect(paths: &InstallPaths) -> Vec<Finding> {
    let mut findings = Vec::new();
    let servers = server_entries(paths, &mut findings);
    let settings = settings_files(paths, &mut findings);
    if let Some(plugin) = enabled_plugin_in(&settings) {
        let is_installed = settings.iter().any(|file| !file.hooks.is_empty());
        findings.extend(check_plugin(paths, &plugin, is_installed));
        if !is_installed {
            for file in &settings {
                findings.extend(check_disabling_settings(paths, file));
            }
            return findings;
        }
    }
    // What seems to be missing may be in a file that does not parse.
    let readable = findings
        .iter()
        .all(|finding| finding.severity != Severity::Problem);
    if servers.is_empty() && readable {
        findings.push(problem("no server entry is wired").fix(install_command(InstallScope::User)));
    }
    let mut folder = None;
    for server in &servers {
        folder = check_server(paths, server, &mut findings).or(folder);
    }
    let wired: Vec<&SettingsFile> = settings
        .iter()
        .filter(|file| !file.hooks.is_empty())
        .collect();
    if wired.is_empty() && readable {
        findings.push(problem("no hook is wired").fix(install_command(InstallScope::User)));
    }
    for file in &wired {
        let check = HooksCheck {
            paths,
            file,
            server_folder: folder.as_deref(),
        };
        findings.extend(check.run());
    }
    findings.extend(check_duplicate_wiring(paths, &wired));
    findings.extend(check_permission_rules(paths, &settings));
    findings.extend(check_wake(paths, &settings));
    findings.extend(mod_check::check_mod(paths, &settings));
    for file in &settings {
        findings.extend(check_disabling_settings(paths, file));
    }
    findings
}

/// Returns the plugin `mesh`, if it is enabled for this user or this project.
pub fn enabled_plugin(paths: &InstallPaths) -> Option<EnabledPlugin> {
    enabled_plugin_in(&settings_files(paths, &mut Vec::new()))
}

fn server_entries(paths: &InstallPaths, findings: &mut Vec<Finding>) -> Vec<WiredServer> {
    let mut entries = Vec::new();
    for scope in [InstallScope::User, InstallScope::Project] {
        if let Ok(path) = paths.servers_file(scope) {
            entries.extend(report_error(wired_state::server(scope, &path), findings));
        }
    }
    let local_entry = paths
        .project
        .as_deref()
        .map(|project| wired_state::read_project_server(&paths.claude_json, project));
    if let Some(Ok(Some(local_entry))) = local_entry {
        findings.push(
            note(format!(
                "{} has another entry \"claude-mesh\", for this project only, which takes precedence",
                paths.display_path(&local_entry.path)
            ))
            .fix("claude mcp remove --scope local claude-mesh"),
        );
    }
    entries
}

fn settings_files(paths: &InstallPaths, findings: &mut Vec<Finding>) -> Vec<SettingsFile> {
    let mut files: Vec<SettingsFile> = Vec::new();
    for scope in [
        InstallScope::User,
        InstallScope::Project,
        InstallScope::Local,
    ] {
        let Ok(path) = paths.settings_file(scope) else {
            continue;
        };
        // In the home folder the settings of the project are those of the user.
        if files.iter().all(|file| file.path != path) {
            files.extend(report_error(wired_state::settings(scope, &path), findings));
        }
    }
    files
}

/// Checks a server entry and returns the folder of its program, if that can be started.
fn check_server(
    paths: &InstallPaths,
    server: &WiredServer,
    findings: &mut Vec<Finding>,
) -> Option<PathBuf> {
    let file = paths.display_path(&server.path);
    let fix = || install_command(server.scope);
    let env = |name: &str| server.entry.get("env").and_then(|env| env.get(name));
    if env("MESH_DB_PATH").is_some() {
        findings.push(problem(format!(
            "MESH_DB_PATH is set in the server entry of {file}, where hooks do not see it; \
                 move it to ~/.claude-mesh/.env"
        )));
    }
    if server.scope == InstallScope::User && env(PROJECT_PATH_VAR).is_some() {
        findings.push(
            problem(format!(
                "{PROJECT_PATH_VAR} in {file} assigns every session to one project"
            ))
            .fix(fix()),
        );
    }
    let command = server.entry.get("command").and_then(Value::as_str);
    let own = own_server_program(&server.entry).as_deref() == Some("claude-mesh-server");
    let Some(command) = command.filter(|_| own) else {
        findings.push(
            note(format!(
                "the server entry of {file} does not start claude-mesh-server itself: {}",
                command.unwrap_or("no command")
            ))
            .fix(fix()),
        );
        return None;
    };
    match find_program(paths, command) {
        Ok(program) => {
            findings.push(ok(format!("server: {command} ({file})")));
            findings.extend(check_other_copy(paths, &program, server.scope));
            program.parent().map(Path::to_owned)
        }
        Err(reason) => {
            findings.push(problem(format!("server of {file}: {reason}")).fix(fix()));
            None
        }
    }
}

/// Notes another copy than the one beside this program: an update of this one would not change it.
fn check_other_copy(paths: &InstallPaths, program: &Path, scope: InstallScope) -> Option<Finding> {
    let here = fs::canonicalize(paths.programs.join(program.file_name()?)).ok()?;
    (here != program).then(|| {
        note(format!(
            "{} is wired, not {}",
            paths.display_path(program),
            paths.display_path(&here)
        ))
        .fix(install_command(scope))
    })
}

/// Notes how idle sessions are woken, unless it is the usual way.
fn check_wake(paths: &InstallPaths, settings: &[SettingsFile]) -> Option<Finding> {
    let (waiting_hook_file, refusing_file) = (
        settings
            .iter()
            .find(|file| file.runs_program(WAITING_HOOK_PROGRAM)),
        settings.iter().find(|file| file.inbound_refused),
    );
    if let Some(file) = waiting_hook_file {
        let display_path = paths.display_path(&file.path);
        return Some(ok(format!(
            "wake: a hook waits beside each session ({display_path})"
        )));
    }
    let display_path = paths.display_path(&refusing_file?.path);
    Some(
        note(format!(
            "{INBOX_POLICY_KEY} is \"{INBOX_POLICY_REFUSE}\" in {display_path}: \
             an idle session is not woken by its inbox"
        ))
        .fix("claude-mesh install --wake rewake"),
    )
}

/// Returns whether a hook waits beside the sessions of this user.
pub fn has_waiting_hook(paths: &InstallPaths) -> bool {
    let settings = settings_files(paths, &mut Vec::new());
    settings
        .iter()
        .any(|file| file.runs_program(WAITING_HOOK_PROGRAM))
}

/// Returns whether the mod is installed for this user, or the plugin works, which has it too.
pub fn has_mod(paths: &InstallPaths) -> bool {
    let settings = settings_files(paths, &mut Vec::new());
    let is_wired = || settings.iter().any(|file| !file.hooks.is_empty());
    mod_check::is_installed(&settings) || (enabled_plugin_in(&settings).is_some() && !is_wired())
}

/// Returns the folders of the programs that Claude Code starts for this user and this project.
pub fn wired_folders(paths: &InstallPaths) -> Vec<PathBuf> {
    let servers = server_entries(paths, &mut Vec::new());
    let settings = settings_files(paths, &mut Vec::new());
    let hooks = settings.iter().flat_map(|file| &file.hooks);
    let entries = servers.iter().map(|server| &server.entry);
    let commands = entries
        .chain(hooks.map(|hook| &hook.entry))
        .filter_map(|entry| entry.get("command").and_then(Value::as_str));
    let programs = commands.filter_map(|command| find_program(paths, command).ok());
    programs
        .filter_map(|program| program.parent().map(Path::to_owned))
        .collect()
}

fn check_duplicate_wiring(paths: &InstallPaths, wired: &[&SettingsFile]) -> Option<Finding> {
    let [first, second, ..] = wired else {
        return None;
    };
    Some(
        problem(format!(
            "each hook runs more than once: wired in {} and in {}",
            paths.display_path(&first.path),
            paths.display_path(&second.path)
        ))
        .fix(format!("claude-mesh uninstall{}", second.scope.flag())),
    )
}

fn check_permission_rules(paths: &InstallPaths, settings: &[SettingsFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    match settings
        .iter()
        .find(|file| file.allow.iter().any(covers_server))
    {
        Some(file) => findings.push(ok(format!(
            "tools: allowed ({})",
            paths.display_path(&file.path)
        ))),
        None => findings.push(
            note("no permission rule allows the tools: each call asks you, and `claude -p` refuses it")
                .fix(install_command(InstallScope::User)),
        ),
    }
    for file in settings {
        let display_path = paths.display_path(&file.path);
        for rule in file
            .deny
            .iter()
            .filter_map(Value::as_str)
            .filter(|rule| matches_own_tools(rule))
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
            .filter(|rule| matches_own_tools(rule))
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

fn check_disabling_settings(paths: &InstallPaths, file: &SettingsFile) -> Vec<Finding> {
    let display_path = paths.display_path(&file.path);
    let mut findings = Vec::new();
    if file.hooks_disabled {
        findings.push(problem(format!(
            "disableAllHooks is true in {display_path}: no hook runs, so no session sees its questions or is woken by a hook"
        )));
    }
    if file.server_rejected {
        findings.push(problem(format!(
            "disabledMcpjsonServers in {display_path} turns the project's server off"
        )));
    }
    if file.hub_url.is_some() {
        findings.push(
            note(format!(
                "{HUB_URL} in {display_path} has no effect: no file of a repository chooses a hub"
            ))
            .fix("claude-mesh join URL"),
        );
    }
    if let Some(db_path) = &file.db_path {
        findings.push(note(format!(
            "MESH_DB_PATH is {db_path} for sessions under {display_path}"
        )));
    }
    findings
}

fn report_error<T>(
    file: Result<Option<T>, InstallError>,
    findings: &mut Vec<Finding>,
) -> Option<T> {
    file.unwrap_or_else(|error| {
        findings.push(problem(error.to_string()));
        None
    })
}
