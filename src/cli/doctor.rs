//! `claude-mesh doctor`: checks the installation and the mesh, and names a fix for each problem.
//!
//! It changes nothing and creates no database. `setup::inspect` checks the entries in Claude Code's files.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use owo_colors::OwoColorize;
use serde_json::json;

use super::install::{PROGRAMS, install_paths};
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CliContext, CommandFolder, shown};
#[cfg(feature = "remote")]
use crate::cli::doctor_spool;
#[cfg(feature = "postgres")]
use crate::cli::doctor_store;
use crate::cli::error::Failure;
use crate::cli::finding::{finding_from_fault, note, ok, problem};
#[cfg(feature = "postgres")]
use crate::cli::store_args::StoreArgs;
use crate::cli::{doctor_claude_code, doctor_hub, doctor_salvage, print};
use crate::mesh::{Mesh, PeerScope};
use crate::model::{Activity, Error, Topic};
use crate::platform::clock::{parse_rfc3339, rfc3339};
use crate::platform::isolation::{self, MeshAddress};
use crate::platform::project::{PROJECT_FILE_NAME, Project};
use crate::platform::settings::{DATABASE, HUB_URL};
use crate::platform::{Clock, Fault, FaultKind, Settings, SystemClock, fault_log, text};
use crate::setup::{self, Finding, InstallPaths, Severity};
use crate::store::{self, MovedMark};
use crate::wake::{Doorbells, ListenerKind, WakeSignal};

/// Check what is wrong, and print how to fix it
///
/// Checks the programs, Claude Code's files, the database, the mesh of this folder, and recent faults of hooks. Changes
/// nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 nothing is wrong; 1 a problem was found, or rows were lost with --salvage.

Examples:
  claude-mesh doctor
  claude-mesh doctor --json
  claude-mesh doctor --salvage saved.db     saves what can be read of a damaged mesh file into a new one
  claude-mesh doctor --store 'postgres://mesh@db.example/mesh?schema=team'   only the mesh on a server"
)]
pub(super) struct DoctorArgs {
    /// Save what can be read of a damaged mesh file of this folder into this new file; the damaged one is not changed.
    #[arg(long, value_name = "FILE")]
    #[cfg_attr(feature = "postgres", arg(conflicts_with = "store"))]
    salvage: Option<PathBuf>,
    #[cfg(feature = "postgres")]
    #[command(flatten)]
    store: StoreArgs,
}

/// Older faults are not reported.
const FAULT_MAX_AGE_MS: i64 = 3 * 24 * 3600 * 1000;

/// Runs all checks and prints the findings.
pub(super) fn doctor(args: &DoctorArgs, json: bool) -> CommandResult {
    #[cfg(feature = "postgres")]
    if let Some(location) = args.store.location()? {
        return print_findings(&doctor_store::check(&location), json);
    }
    if let Some(file) = &args.salvage {
        return doctor_salvage::salvage(file, json);
    }
    let settings = Settings::of_this_process()?;
    print_findings(&examine(&settings)?, json)
}

fn print_findings(findings: &[Finding], json: bool) -> CommandResult {
    let problems = count(findings, Severity::Problem);
    if json {
        print::json(&json!({ "ok": problems == 0, "findings": findings }))?;
    } else {
        for finding in findings {
            print::line(&format_finding(finding))?;
        }
        let notes = count(findings, Severity::Note);
        print::line(&match (problems, notes) {
            (0, 0) => "no problem".to_owned(),
            (0, _) => format!("no problem, {}", format_count(notes, "note")),
            _ => format!(
                "{}, {}",
                format_count(problems, "problem"),
                format_count(notes, "note")
            ),
        })?;
    }
    Ok(if problems == 0 {
        CommandStatus::Done
    } else {
        CommandStatus::Refused
    })
}

fn examine(settings: &Settings) -> Result<Vec<Finding>, Failure> {
    let paths = install_paths(settings)?;
    let mut findings = check_programs(settings, &paths.programs);
    findings.extend(setup::inspect(&paths));
    findings.extend(check_disabled(settings));
    findings.extend(check_misplaced_settings(settings));
    findings.extend(doctor_hub::check_untrusted_settings(settings));
    findings.extend(doctor_claude_code::check(settings, &paths));
    findings.extend(doctor_claude_code::check_forks(settings, &paths));
    findings.extend(check_project(settings));
    findings.extend(check_mesh(settings, &paths));
    #[cfg(feature = "remote")]
    findings.extend(doctor_spool::check(settings));
    findings.push(check_doorbell(settings));
    #[cfg(feature = "hub")]
    findings.push(check_hub(settings));
    findings.extend(read_recent_faults(settings));
    Ok(findings)
}

fn format_finding(finding: &Finding) -> String {
    let finding_text = text::strip_terminal_controls(&finding.text);
    let mark = match finding.severity {
        Severity::Ok => "ok     ".green().to_string(),
        Severity::Note => "note   ".yellow().to_string(),
        Severity::Problem => "problem".red().to_string(),
    };
    match &finding.fix {
        Some(fix) => format!("{mark}  {finding_text}\n         {} {fix}", "fix:".cyan()),
        None => format!("{mark}  {finding_text}"),
    }
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings
        .iter()
        .filter(|finding| finding.severity == severity)
        .count()
}

fn format_count(count: usize, noun: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{end}")
}

fn finding_from_error(error: &Error) -> Finding {
    match error {
        Error::Fault(fault) => finding_from_fault(fault),
        Error::Refused(refusal) => problem(refusal.to_string(), ""),
    }
}

/// Returns the finding of a fault of the file of the mesh.
fn finding_from_mesh_fault(fault: &Fault, context: &CliContext) -> Finding {
    let finding = finding_from_fault(fault);
    match fault.kind {
        FaultKind::DatabaseCorrupted | FaultKind::ForeignFile => {
            doctor_salvage::with_damaged_parts(finding, &context.location.database)
        }
        _ => finding,
    }
}

/// Checks that all programs are there and have the same version.
fn check_programs(settings: &Settings, folder: &Path) -> Vec<Finding> {
    let version = env!("CARGO_PKG_VERSION");
    let mut findings = vec![ok(format!(
        "claude-mesh {version} ({})",
        shown(&folder.join("claude-mesh"), &settings.home)
    ))];
    for name in PROGRAMS {
        let path = folder.join(name);
        let place = shown(&path, &settings.home);
        if !path.is_file() {
            let fix = "install all programs into one folder, as `cargo install` does";
            findings.push(problem(format!("{place} is missing"), fix));
            continue;
        }
        let reported_version = doctor_claude_code::program_version(&path, settings);
        findings.push(match reported_version.as_deref() {
            Some(reported_version) if reported_version == version => {
                ok(format!("{name} {version} ({place})"))
            }
            Some(reported_version) => problem(
                format!("{place} is version {reported_version}, claude-mesh is {version}"),
                "reinstall all programs",
            ),
            None => problem(
                format!("{place} does not print its version, so it is of another build"),
                "reinstall all programs",
            ),
        });
    }
    findings
}

fn check_disabled(settings: &Settings) -> Option<Finding> {
    settings.disabled.then(|| {
        note(
            "CLAUDE_MESH=off: hooks and server do nothing in sessions with this setting",
            "remove it from the environment or from ~/.claude-mesh/.env",
        )
    })
}

fn check_misplaced_settings(settings: &Settings) -> Vec<Finding> {
    let to_finding = |(name, path): &(&str, PathBuf)| {
        let file = shown(path, &settings.home);
        note(
            format!("{name} in {file} has no effect: it is read only from the environment"),
            &format!("remove it from {file}, and set it in the environment of the session"),
        )
    };
    settings.misplaced.iter().map(to_finding).collect()
}

fn check_project(settings: &Settings) -> Vec<Finding> {
    let project = match Project::of(&settings.working_directory, settings) {
        Err(fault) => return vec![finding_from_fault(&fault)],
        Ok(project) => project,
    };
    let file = shown(&project.path.join(PROJECT_FILE_NAME), &settings.home);
    if !project.is_enabled() {
        let text = format!(
            "\"enabled\": false in {file}: sessions of this project do not take part in the mesh"
        );
        return vec![note(text, "")];
    }
    let topics = project.file.topics.iter();
    topics
        .filter_map(|topic| Topic::parse(topic).err())
        .map(|refusal| note(format!("a topic in {file} is ignored: {refusal}"), ""))
        .collect()
}

/// Checks which mesh this folder has, whether all programs use the same one, and its file or the access to its hub.
fn check_mesh(settings: &Settings, paths: &InstallPaths) -> Vec<Finding> {
    let Ok(folder) = CommandFolder::resolve() else {
        // `check_project` has reported the problem with the project.
        let address = isolation::mesh_address(settings, &settings.working_directory);
        return address.err().iter().map(finding_from_fault).collect();
    };
    let mismatch = check_location_mismatch(settings, &paths.programs, &folder);
    let location = match &folder.address {
        MeshAddress::File(location) => location.clone(),
        MeshAddress::Hub(hub) => {
            let mut findings = doctor_hub::check(settings, paths, hub);
            findings.extend(mismatch);
            return findings;
        }
    };
    let context = folder.into_context_of(location, false);
    let mut findings = vec![ok(format!(
        "mesh {} here ({}), decided by {}",
        context.location.name,
        context.shown(&context.location.database),
        context.location.decided_by
    ))];
    findings.extend(mismatch);
    match context.open_existing() {
        Ok(None) => findings.push(
            match store::check_database_path(&context.location.database) {
                Ok(()) => note("no database yet: the first session creates it", ""),
                Err(fault) => finding_from_fault(&fault),
            },
        ),
        Err(fault) => findings.push(finding_from_mesh_fault(&fault, &context)),
        Ok(Some(mut mesh)) => findings.extend(check_database(&context, &mut mesh)),
    }
    findings
}

/// Checks whether sessions that do not have the environment of this shell use another mesh, with their hooks and server.
fn check_location_mismatch(
    settings: &Settings,
    programs: &Path,
    folder: &CommandFolder,
) -> Option<Finding> {
    let server = programs.join(PROGRAMS[0]);
    let default_settings = Settings::read(
        &|_| None,
        settings.home.clone(),
        Some(&server),
        settings.working_directory.clone(),
    );
    let other = match default_settings.and_then(|settings| folder.project.mesh_address(&settings)) {
        Ok(other) => other,
        Err(fault) => return Some(finding_from_fault(&fault)),
    };
    let shown = |address: &MeshAddress| match address {
        MeshAddress::File(location) => shown(&location.database, &settings.home),
        MeshAddress::Hub(hub) => hub.url.clone(),
    };
    let setting = match settings.database {
        Some(_) => DATABASE,
        None => HUB_URL,
    };
    (!other.is_same_mesh(&folder.address)).then(|| {
        note(
            format!(
                "this shell uses {} ({}), \
                 but a session started without this environment uses {}",
                shown(&folder.address),
                folder.address.decided_by(),
                shown(&other)
            ),
            &format!("set {setting} in ~/.claude-mesh/.env instead, which all programs read"),
        )
    })
}

fn check_database(context: &CliContext, mesh: &mut Mesh) -> Vec<Finding> {
    let mut findings = Vec::new();
    let place = context.shown(&context.location.database);
    match mesh.find_damage() {
        Ok(None) => match mesh.status() {
            Ok(status) => findings.push(ok(format!(
                "database: schema {}, {} bytes, no damage found, {} questions open",
                status.schema, status.bytes, status.questions[0]
            ))),
            Err(error) => findings.push(finding_from_error(&error)),
        },
        Ok(Some(damage)) => findings.push(doctor_salvage::with_damaged_parts(
            problem(
                format!("{place} is damaged: {}", text::one_line(&damage)),
                &store::recovery_hint(&context.location.database),
            ),
            &context.location.database,
        )),
        Err(Error::Fault(fault)) => findings.push(finding_from_mesh_fault(&fault, context)),
        Err(error) => findings.push(finding_from_error(&error)),
    }
    if let Ok(Some(moved)) = mesh.moved_mark() {
        findings.push(moved_note(context, &moved));
    }
    let Ok(views) = mesh.peers(None, PeerScope::Mesh, false) else {
        return findings;
    };
    let restart: Vec<String> = views
        .iter()
        .filter(|view| view.activity == Activity::NeedsRestart)
        .map(|view| view.peer.name.to_string())
        .collect();
    if !restart.is_empty() {
        findings.push(note(
            format!("cannot be asked before a restart: {}", restart.join(", ")),
            "restart these sessions (`claude --continue`)",
        ));
    }
    findings
}

fn moved_note(context: &CliContext, moved: &MovedMark) -> Finding {
    let name = &context.location.name;
    note(
        format!(
            "the mesh {name} was moved to {} at {}; what is written to its file since is not there",
            text::one_line(&moved.to),
            rfc3339(moved.at_ms)
        ),
        "`claude-mesh join URL` with the URL of its hub, or `claude-mesh wall FOLDER URL` for one folder; then restart the \
         sessions",
    )
}

/// Says whether a hub runs, which sessions do not need.
#[cfg(feature = "hub")]
fn check_hub(settings: &Settings) -> Finding {
    match crate::hub::find_running_hub(&settings.mesh_home) {
        Some(hub) => ok(format!("hub: {} (process {})", hub.url, hub.pid)),
        None => ok("hub: none runs (`claude-mesh serve`, `claude-mesh board`)"),
    }
}

/// Writes a test doorbell in a temporary folder and checks that it wakes a listener.
fn check_doorbell(settings: &Settings) -> Finding {
    if settings.polling {
        return note(
            "CLAUDE_MESH_WAKE=polling: waits poll every 50 ms",
            "remove it to be woken by file notification",
        );
    }
    match test_doorbell() {
        Ok((ListenerKind::Watcher, true)) => ok("wake: watcher, a test doorbell was noticed"),
        Ok((ListenerKind::Watcher, false)) => problem(
            "wake: watcher, but a test doorbell was not noticed",
            "set CLAUDE_MESH_WAKE=polling in ~/.claude-mesh/.env",
        ),
        Ok((ListenerKind::Polling, _)) => note(
            "wake: the system grants no watcher, so waits poll every 50 ms",
            "sudo sysctl fs.inotify.max_user_instances=512",
        ),
        Err(fault) => finding_from_fault(&fault),
    }
}

/// Returns the kind of the listener, and whether the doorbell woke it.
fn test_doorbell() -> Result<(ListenerKind, bool), Fault> {
    let folder =
        tempfile::tempdir().map_err(|error| Fault::io("use", &std::env::temp_dir(), error))?;
    let doorbells = Doorbells::of(&folder.path().join("mesh.db"));
    let session = "0".repeat(26).parse().expect("a ULID of zeros");
    let signal = Arc::new(WakeSignal::default());
    let waker = Arc::clone(&signal);
    let listener = doorbells.listen(session, false, move || waker.raise())?;
    let seen = signal.count();
    doorbells.write_doorbell(session);
    signal.wait_until_raised(seen, Duration::from_secs(2));
    Ok((listener.kind(), signal.count() > seen))
}

/// Lists the newest faults of the fault log. Hooks report them nowhere else.
fn read_recent_faults(settings: &Settings) -> Vec<Finding> {
    let since_ms = SystemClock::new().now().wall_ms - FAULT_MAX_AGE_MS;
    let path: PathBuf = fault_log::path(&settings.mesh_home);
    let recent = |line: &String| {
        let time = line.split(' ').next().unwrap_or_default();
        parse_rfc3339(time).is_some_and(|at_ms| at_ms >= since_ms)
    };
    fault_log::last_lines(&settings.mesh_home, 5)
        .into_iter()
        .filter(recent)
        .map(|line| {
            note(
                format!("fault: {}", text::one_line(&line)),
                &format!("rm {}, when it is fixed", shown(&path, &settings.home)),
            )
        })
        .collect()
}
