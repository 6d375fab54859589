//! `claude-mesh install`: prints the changes to Claude Code's files and applies them. `uninstall` uses the same plan runner.
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use owo_colors::OwoColorize;
use serde_json::json;
use similar::{ChangeTag, TextDiff};

use super::print;
use crate::claude_code;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::shown;
use crate::cli::error::{CliError, Failure};
use crate::cli::print_config::print_client_config;
#[cfg(feature = "hub")]
use crate::cli::print_http;
use crate::platform::process::ProcessKey;
use crate::platform::{Clock, Settings, SystemClock, process};
use crate::setup::{
    self, AppliedChanges, CLIENTS, ClientConfig, FileChange, InstallOptions, InstallPaths,
    InstallScope, Plan, WakeMethod,
};

/// Add claude-mesh to Claude Code: server, hooks and the permission for its tools
///
/// Changes ~/.claude.json and ~/.claude/settings.json (or those below `CLAUDE_CONFIG_DIR`), only its own keys, keeps a backup
/// beside each file, prints the changes and asks nothing. Running it again changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh install --dry-run            show the change, write nothing
  claude-mesh install                      for you, in every project
  claude-mesh install --confirm-answers    you see each answer to a peer before it is sent
  claude-mesh install --guard              no session edits a file that another has claimed, or runs git there
  claude-mesh install --mod                also the mod: /mesh in Claude Code; 58 MB of memory for each session
  claude-mesh install --wake rewake        where Claude Code has no inbox (before 2.1.224, or turned off)
  claude-mesh install --project            for everyone with this repository: .mcp.json and .claude/settings.json
  claude-mesh install --client codex       for the Codex CLI: its own file; also gemini
  claude-mesh install --print cursor       for another MCP client: prints its entry, writes nothing
  claude-mesh install --print http         for a client over HTTP: prints an entry with a key of its own
  claude-mesh install --local              for this checkout: .claude/settings.local.json")]
pub(super) struct InstallArgs {
    #[command(flatten)]
    files: FilesArgs,
    /// Ask before each answer to a peer is sent.
    #[arg(long)]
    confirm_answers: bool,
    /// Deny edits of a file that another session has claimed. Installing again without this option keeps it.
    #[arg(long)]
    guard: bool,
    /// Install the mod, which runs inside Claude Code. Installing again without this option keeps it.
    #[arg(long = "mod", conflicts_with_all = ["project", "local"])]
    install_mod: bool,
    /// What wakes an idle session; without this option it stays unchanged.
    #[arg(long, value_name = "WAY")]
    wake: Option<WakeArg>,
    /// Add the server to the file of another MCP client, in your home.
    #[arg(long, value_name = "CLIENT", value_parser = client_file_parser(),
          conflicts_with_all = ["project", "local", "confirm_answers", "guard", "wake", "print"])]
    client: Option<String>,
    /// Print the entry for another MCP client and the place of its file; write nothing. For `http` a key is created.
    #[arg(long, value_name = "CLIENT", value_parser = client_name_parser(),
          conflicts_with_all = ["project", "local", "dry_run", "confirm_answers", "guard", "install_mod", "wake"])]
    print: Option<String>,
    #[cfg(feature = "hub")]
    #[command(flatten)]
    http: print_http::HttpEntryArgs,
}

/// Returns the parser of the names of the clients whose files are changed.
pub(super) fn client_file_parser() -> PossibleValuesParser {
    let has_file = |client: &&ClientConfig| client.file(Path::new("")).is_some();
    PossibleValuesParser::new(CLIENTS.iter().filter(has_file).map(|client| client.name))
}

fn client_name_parser() -> PossibleValuesParser {
    let names = CLIENTS.iter().map(|client| client.name);
    #[cfg(feature = "hub")]
    let names = names.chain([print_http::CLIENT]);
    PossibleValuesParser::new(names)
}

/// What wakes an idle session.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum WakeArg {
    /// A line in its inbox, the default; removes `rewake`.
    Inbox,
    /// A hook that waits beside each session, from its start and from the end of each turn.
    Rewake,
}

/// Which files, and whether to write them.
#[derive(Debug, Args)]
pub(super) struct FilesArgs {
    /// The files of this folder that are shared through its repository; programs without a folder.
    #[arg(long, conflicts_with = "local")]
    project: bool,
    /// This checkout only; the server entry still goes into .mcp.json.
    #[arg(long)]
    local: bool,
    /// Print the changes and write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// The programs that Claude Code starts.
pub(super) const PROGRAMS: &[&str] = &[
    "claude-mesh-server",
    #[cfg(feature = "remote")]
    "claude-mesh-remote",
    "claude-mesh-session-start",
    "claude-mesh-session-end",
    "claude-mesh-inbox-poll",
    "claude-mesh-claim-guard",
    "claude-mesh-inbox-wait",
];

pub(super) fn install(args: &InstallArgs, json: bool) -> CommandResult {
    #[cfg(feature = "hub")]
    if let Some(result) = args.http.print_if_wanted(args.print.as_deref(), json) {
        return result;
    }
    let settings = Settings::of_this_process()?;
    let paths = install_paths(&settings)?;
    check_programs(&paths, &settings)?;
    if let Some(client) = args.print.as_deref().and_then(ClientConfig::find_by_name) {
        return print_client_config(client, &paths, json);
    }
    if let Some(client) = args.client.as_deref().and_then(ClientConfig::find_by_name) {
        return install_client(client, &paths, &args.files, json);
    }
    let options = InstallOptions {
        confirm_answers: args.confirm_answers,
        guard: args.guard,
        install_mod: args.install_mod,
        wake: args.wake.map(|method| match method {
            WakeArg::Inbox => WakeMethod::Inbox,
            WakeArg::Rewake => WakeMethod::Rewake,
        }),
    };
    refuse_beside_plugin(&paths)?;
    let plan = setup::install(&paths, args.files.scope(), options)?;
    args.files.check(&settings)?;
    let change = PlanRunner {
        settings: &settings,
        files: &args.files,
        json,
        no_change_message: "nothing to do: claude-mesh is installed already",
    };
    if !change.run_plan(plan)? {
        return Ok(CommandStatus::Done);
    }
    if !json {
        if args.files.scope() != InstallScope::User {
            warn_if_not_on_path(&paths)?;
        }
        let sessions = open_sessions(&settings);
        print::line(&match sessions {
            0 => "no session is open now: each session that starts from now on joins the mesh"
                .to_owned(),
            1 => "1 session is open now: it joins after a restart (`claude --continue`)".to_owned(),
            many => format!(
                "{many} sessions are open now: they join after a restart (`claude --continue`)"
            ),
        })?;
    }
    Ok(CommandStatus::Done)
}

/// Refuses an install beside the plugin: each hook would run twice, and each tool would be there twice.
fn refuse_beside_plugin(paths: &InstallPaths) -> Result<(), Failure> {
    let Some(plugin) = setup::enabled_plugin(paths) else {
        return Ok(());
    };
    let file = shown(&plugin.file, &paths.home);
    let message = format!(
        "the plugin {} is enabled in {file}, and adds the same",
        plugin.name
    );
    let hint = format!(
        "`claude plugin disable {}` first; nothing was changed",
        plugin.name
    );
    Err(CliError::new("conflict", message, hint).into())
}

/// Adds the server to the file of another client.
fn install_client(
    client: ClientConfig,
    paths: &InstallPaths,
    files: &FilesArgs,
    json: bool,
) -> CommandResult {
    let settings = Settings::of_this_process()?;
    let change = PlanRunner {
        settings: &settings,
        files,
        json,
        no_change_message: "nothing to do: claude-mesh is installed there already",
    };
    if change.run_plan(setup::install_client(paths, client)?)? && !json {
        print::line(client.note)?;
    }
    Ok(CommandStatus::Done)
}

impl FilesArgs {
    pub(super) fn scope(&self) -> InstallScope {
        match (self.project, self.local) {
            (true, _) => InstallScope::Project,
            (_, true) => InstallScope::Local,
            _ => InstallScope::User,
        }
    }

    /// Refuses `--project` and `--local` in the home folder, whose files are those of the user.
    pub(super) fn check(&self, settings: &Settings) -> Result<(), Failure> {
        if self.scope() == InstallScope::User
            || !is_same_path(&settings.working_directory, &settings.home)
        {
            return Ok(());
        }
        let hint = "go to the folder of the project, or omit the option; nothing was changed";
        Err(Failure::argument("the home folder is not a project", hint))
    }
}

/// Prints a plan and applies it.
pub(super) struct PlanRunner<'a> {
    pub(super) settings: &'a Settings,
    pub(super) files: &'a FilesArgs,
    pub(super) json: bool,
    /// Printed for a plan without changes.
    pub(super) no_change_message: &'a str,
}

impl PlanRunner<'_> {
    /// Prints the changes and applies them, unless it is a dry run. Returns whether anything was written.
    pub(super) fn run_plan(&self, plan: Plan) -> Result<bool, Failure> {
        let changes: Vec<_> = plan
            .changes()
            .iter()
            .map(|change| (change.path.clone(), diff(change, &self.shown(&change.path))))
            .collect();
        let has_changes = !changes.is_empty();
        if !self.json {
            for (_, diff) in &changes {
                print::raw(diff.as_bytes())?;
            }
        }
        let applied = if self.files.dry_run {
            AppliedChanges::default()
        } else {
            let now = Timestamp::from_millisecond(SystemClock::new().now().wall_ms);
            plan.apply(now.unwrap_or(Timestamp::UNIX_EPOCH))
                .map_err(|halted| self.halted(&halted))?
        };
        if self.json {
            self.report_json(&changes, &applied)?;
        } else {
            self.report(has_changes, &applied)?;
        }
        Ok(!applied.written.is_empty())
    }

    fn report(&self, has_changes: bool, applied: &AppliedChanges) -> Result<(), Failure> {
        if !has_changes {
            print::line(self.no_change_message)?;
        } else if self.files.dry_run {
            print::line("nothing was written (--dry-run)")?;
        }
        for line in self.written(applied) {
            print::line(&line)?;
        }
        Ok(())
    }

    fn report_json(
        &self,
        changes: &[(PathBuf, String)],
        applied: &AppliedChanges,
    ) -> Result<(), Failure> {
        let changes: Vec<_> = changes
            .iter()
            .map(|(path, diff)| {
                let diff = anstream::adapter::strip_str(diff).to_string();
                json!({ "path": path, "diff": diff })
            })
            .collect();
        let written: Vec<_> = applied
            .written
            .iter()
            .map(
                |file| json!({ "path": file.path, "backup": file.backup, "removed": file.removed }),
            )
            .collect();
        print::json(&json!({
            "scope": self.files.scope(),
            "dry_run": self.files.dry_run,
            "changes": changes,
            "written": written,
            "open_sessions": open_sessions(self.settings),
        }))?;
        Ok(())
    }

    fn written(&self, applied: &AppliedChanges) -> Vec<String> {
        applied
            .written
            .iter()
            .map(|file| {
                let verb = if file.removed { "removed" } else { "wrote" };
                let backup = match &file.backup {
                    Some(backup) => format!(" (before: {})", self.shown(backup)),
                    None => String::new(),
                };
                format!("{verb} {}{backup}", self.shown(&file.path))
            })
            .collect()
    }

    fn halted(&self, halted: &setup::ApplyError) -> Failure {
        let done = self.written(&halted.applied);
        let hint = if done.is_empty() {
            halted.error.hint().to_owned()
        } else {
            format!("{}; before that: {}", halted.error.hint(), done.join(", "))
        };
        CliError::new("storage", halted.to_string(), hint).into()
    }

    fn shown(&self, path: &Path) -> String {
        shown(path, &self.settings.home)
    }
}

impl From<setup::InstallError> for Failure {
    fn from(error: setup::InstallError) -> Self {
        CliError::new("storage", error.to_string(), error.hint()).into()
    }
}

/// Returns the paths of Claude Code's files and of the programs.
pub(super) fn install_paths(settings: &Settings) -> Result<InstallPaths, Failure> {
    let program = std::env::current_exe().and_then(|path| path.canonicalize());
    let folder = program
        .ok()
        .and_then(|path| path.parent().map(Path::to_path_buf));
    let folder = folder.ok_or_else(|| {
        CliError::new(
            "unsupported",
            "cannot determine this executable's path",
            "run it by its full path",
        )
    })?;
    let claude = &settings.claude;
    let custom_config_dir = claude
        .config_dir_moved
        .then_some(claude.config_dir.as_path());
    let mut paths = InstallPaths::new(&settings.home, custom_config_dir, &folder)
        .in_project(&settings.working_directory);
    paths.search_path.clone_from(&settings.search_path);
    paths.mesh_home.clone_from(&settings.mesh_home);
    Ok(paths)
}

/// Returns how many interactive Claude Code sessions run now.
pub(super) fn open_sessions(settings: &Settings) -> usize {
    live_sessions(settings)
        .iter()
        .filter(|(_, registry_entry)| !registry_entry.headless)
        .count()
}

/// Returns the sessions in Claude Code's registry whose process runs.
pub(super) fn live_sessions(settings: &Settings) -> Vec<(ProcessKey, claude_code::RegistryEntry)> {
    let folder = &settings.claude.config_dir;
    let Ok(entries) = std::fs::read_dir(folder.join("sessions")) else {
        return Vec::new();
    };
    let process_of = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let pid: i32 = name.to_str()?.strip_suffix(".json")?.parse().ok()?;
        let stat = process::stat(pid).filter(|stat| stat.running)?;
        Some((stat.key, claude_code::registry_entry(folder, stat.key)?))
    };
    entries.flatten().filter_map(process_of).collect()
}

fn check_programs(paths: &InstallPaths, settings: &Settings) -> Result<(), Failure> {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|name| !paths.programs.join(name).is_file())
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} {} not in the folder of claude-mesh, {}",
        missing.join(", "),
        if missing.len() == 1 { "is" } else { "are" },
        shown(&paths.programs, &settings.home)
    );
    let hint = "install all programs into one folder (`cargo install` does); nothing was changed";
    Err(CliError::new("unsupported", message, hint).into())
}

/// Warns if the programs are not on PATH: the files of a project name them without a folder.
fn warn_if_not_on_path(paths: &InstallPaths) -> Result<(), Failure> {
    let found = paths
        .search_path
        .iter()
        .any(|folder| folder.join(PROGRAMS[0]).is_file());
    if !found {
        print::line(&format!(
            "but {} is not on your PATH, and these files name programs without a folder",
            paths.programs.display()
        ))?;
    }
    Ok(())
}

fn is_same_path(one: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    canonical(one) == canonical(other)
}

/// Returns a change as a unified diff with two lines of context.
fn diff(change: &FileChange, path: &str) -> String {
    let (before, after) = change.shown();
    let diff = TextDiff::from_lines(&before, &after);
    let heads = [format!("--- {path}"), format!("+++ {path}")];
    let mut lines: Vec<String> = heads.iter().map(|head| head.bold().to_string()).collect();
    if change.is_own_file() {
        // A file of this program, which its user need not read to know what is changed.
        let kept = if change.after.is_some() { 1..2 } else { 0..1 };
        return lines[kept].join("\n") + "\n";
    }
    for hunk in diff.unified_diff().context_radius(2).iter_hunks() {
        lines.push(hunk.header().cyan().to_string());
        for line in hunk.iter_changes() {
            let words = crate::platform::text::strip_terminal_controls(line.value());
            let words = words.trim_end_matches('\n');
            lines.push(match line.tag() {
                ChangeTag::Insert => format!("+{words}").green().to_string(),
                ChangeTag::Delete => format!("-{words}").red().to_string(),
                ChangeTag::Equal => format!(" {words}"),
            });
        }
    }
    lines.push(String::new());
    lines.join("\n")
}
