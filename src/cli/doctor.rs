//! `claude-mesh doctor`: looks at everything that can be wrong, and names the command that mends each finding.
//!
//! It changes nothing and makes no database. The wiring in Claude Code's files is the work of `setup::inspect`.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use owo_colors::OwoColorize;
use serde_json::json;

use super::install::{PROGRAMS, places};
use crate::claude_code::client;
use crate::cli::context::{CliContext, shown};
use crate::cli::error::Failure;
use crate::cli::{CommandResult, CommandStatus, print, versions};
use crate::mesh::{Mesh, PeerScope};
use crate::model::{Activity, Error, Topic};
use crate::platform::clock::parse_rfc3339;
use crate::platform::isolation;
use crate::platform::project::{PROJECT_FILE_NAME, Project};
use crate::platform::{Clock, Fault, Settings, SystemClock, fault_log, text};
use crate::setup::{self, Finding, InstallPaths, Severity};
use crate::store;
use crate::wake::{Doorbells, WakeSignal};

/// Say what is wrong, and which command mends it
///
/// Looks at the programs, at Claude Code's files, at the database, the mesh of this folder, and at what went wrong in hooks
/// lately. Changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 nothing is wrong; 1 a problem was found.

Examples:
  claude-mesh doctor
  claude-mesh doctor --json")]
pub(super) struct Doctor {}

/// Faults older than this are history.
const FAULT_MAX_AGE_MS: i64 = 3 * 24 * 3600 * 1000;

/// Examines everything and prints the findings.
pub(super) fn doctor(json: bool) -> CommandResult {
    let settings = Settings::of_this_process()?;
    let findings = examine(&settings)?;
    let problems = count(&findings, Severity::Problem);
    if json {
        print::json(&json!({ "ok": problems == 0, "findings": findings }))?;
    } else {
        for finding in &findings {
            print::line(&line(finding))?;
        }
        let notes = count(&findings, Severity::Note);
        print::line(&match (problems, notes) {
            (0, 0) => "all is well".to_owned(),
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
    let places = places(settings)?;
    let mut findings = programs(settings, &places.programs);
    findings.extend(setup::inspect(&places));
    findings.extend(check_disabled(settings));
    findings.extend(misplaced(settings));
    findings.push(claude_code(settings, &places));
    findings.extend(project(settings));
    findings.extend(mesh(settings, &places.programs));
    findings.push(wake(settings));
    findings.extend(faults(settings));
    Ok(findings)
}

fn line(finding: &Finding) -> String {
    let words = text::strip_terminal_controls(&finding.text);
    let mark = match finding.severity {
        Severity::Ok => "ok     ".green().to_string(),
        Severity::Note => "note   ".yellow().to_string(),
        Severity::Problem => "problem".red().to_string(),
    };
    match &finding.mend {
        Some(mend) => format!("{mark}  {words}\n         {} {mend}", "mend:".cyan()),
        None => format!("{mark}  {words}"),
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

fn finding(severity: Severity, text: impl Into<String>) -> Finding {
    Finding {
        severity,
        text: text.into(),
        mend: None,
    }
}

fn ok(text: impl Into<String>) -> Finding {
    finding(Severity::Ok, text)
}

fn note(text: impl Into<String>, mend: &str) -> Finding {
    Finding {
        mend: Some(mend.to_owned()).filter(|mend| !mend.is_empty()),
        ..finding(Severity::Note, text)
    }
}

fn problem(text: impl Into<String>, mend: &str) -> Finding {
    Finding {
        mend: Some(mend.to_owned()).filter(|mend| !mend.is_empty()),
        ..finding(Severity::Problem, text)
    }
}

fn finding_from_error(error: &Error) -> Finding {
    match error {
        Error::Fault(fault) => finding_from_fault(fault),
        Error::Refused(refusal) => problem(refusal.to_string(), ""),
    }
}

fn finding_from_fault(fault: &Fault) -> Finding {
    problem(&fault.message, &fault.hint)
}

/// All programs, each asked for its version.
fn programs(settings: &Settings, folder: &Path) -> Vec<Finding> {
    let version = env!("CARGO_PKG_VERSION");
    let mut findings = vec![ok(format!(
        "claude-mesh {version} ({})",
        shown(&folder.join("claude-mesh"), &settings.home)
    ))];
    for name in PROGRAMS {
        let path = folder.join(name);
        let place = shown(&path, &settings.home);
        if !path.is_file() {
            let mend = "install all programs into one folder, as `cargo install` does";
            findings.push(problem(format!("{place} is missing"), mend));
            continue;
        }
        let reported_version = program_version(&path, settings);
        findings.push(match reported_version.as_deref() {
            Some(reported_version) if reported_version == version => {
                ok(format!("{name} {version} ({place})"))
            }
            Some(reported_version) => problem(
                format!("{place} is version {reported_version}, claude-mesh is {version}"),
                "install all programs anew",
            ),
            None => problem(
                format!("{place} does not say its version, so it is of another build"),
                "install all programs anew",
            ),
        });
    }
    findings
}

fn program_version(path: &Path, settings: &Settings) -> Option<String> {
    let mut command = Command::new(path);
    command.current_dir(&settings.working_directory);
    versions::version(&mut command)
}

fn check_disabled(settings: &Settings) -> Option<Finding> {
    settings.disabled.then(|| {
        note(
            "CLAUDE_MESH=off: hooks and server of sessions with this setting are inert",
            "take it out of the environment or of ~/.claude-mesh/.env",
        )
    })
}

fn misplaced(settings: &Settings) -> Vec<Finding> {
    let one = |(name, path): &(&str, PathBuf)| {
        let file = shown(path, &settings.home);
        note(
            format!(
                "{name} stands in {file}, where it does nothing: only the environment can give it"
            ),
            &format!("take it out of {file}, and set it in the environment of the session"),
        )
    };
    settings.misplaced.iter().map(one).collect()
}

fn claude_code(settings: &Settings, places: &InstallPaths) -> Finding {
    let Some(path) = versions::claude(settings) else {
        return note(
            "Claude Code is not on PATH, so its version cannot be told",
            "",
        );
    };
    let place = shown(&path, &settings.home);
    let Some(version) = program_version(&path, settings) else {
        return note(format!("{place} does not say its version"), "claude doctor");
    };
    if setup::has_rewake_hook(places) {
        ok(format!("Claude Code {version} ({place})"))
    } else if client::has_inbox(&version) {
        ok(format!(
            "Claude Code {version} ({place}): idle sessions are woken by its inbox"
        ))
    } else {
        note(
            format!(
                "Claude Code {version} ({place}) has no inbox yet: an idle session sees a question only at its next prompt, unless a hook waits beside it (`claude-mesh install --wake rewake`)"
            ),
            "claude update",
        )
    }
}

fn project(settings: &Settings) -> Vec<Finding> {
    let project = match Project::of(&settings.working_directory, settings) {
        Err(fault) => return vec![finding_from_fault(&fault)],
        Ok(project) => project,
    };
    let file = shown(&project.path.join(PROJECT_FILE_NAME), &settings.home);
    if !project.is_enabled() {
        let text =
            format!("\"enabled\": false in {file}: sessions of this project stay out of the mesh");
        return vec![note(text, "")];
    }
    let topics = project.file.topics.iter();
    topics
        .filter_map(|topic| Topic::parse(topic).err())
        .map(|refusal| note(format!("a topic in {file} is passed over: {refusal}"), ""))
        .collect()
}

/// Which mesh this folder is in, whether all programs agree, and how its file is.
fn mesh(settings: &Settings, programs: &Path) -> Vec<Finding> {
    let Ok(context) = CliContext::resolve(false) else {
        // What is wrong with the project was said already.
        let place = isolation::mesh_location(settings, &settings.working_directory);
        return place.err().iter().map(finding_from_fault).collect();
    };
    let mut findings = vec![ok(format!(
        "mesh {} here ({}), decided by {}",
        context.place.name,
        context.shown(&context.place.database),
        context.place.decided_by
    ))];
    findings.extend(find_location_mismatch(settings, programs, &context));
    match context.open_existing() {
        Ok(None) => findings.push(match store::check_database_path(&context.place.database) {
            Ok(()) => note("no database yet: the first session makes it", ""),
            Err(fault) => finding_from_fault(&fault),
        }),
        Err(fault) => findings.push(finding_from_fault(&fault)),
        Ok(Some(mut mesh)) => findings.extend(check_database(&context, &mut mesh)),
    }
    findings
}

/// A session that was not started from this shell has another environment, and so have its hooks and its server.
fn find_location_mismatch(
    settings: &Settings,
    programs: &Path,
    context: &CliContext,
) -> Option<Finding> {
    let server = programs.join(PROGRAMS[0]);
    let default_settings = Settings::read(
        &|_| None,
        settings.home.clone(),
        Some(&server),
        settings.working_directory.clone(),
    );
    let other_location =
        match default_settings.and_then(|settings| context.project.mesh_location(&settings)) {
            Ok(place) => place,
            Err(fault) => return Some(finding_from_fault(&fault)),
        };
    (other_location.database != context.place.database).then(|| {
        note(
            format!(
                "this shell speaks of {} ({}), \
                 but a session started without this environment of {}",
                context.shown(&context.place.database),
                context.place.decided_by,
                context.shown(&other_location.database)
            ),
            "set MESH_DB_PATH in ~/.claude-mesh/.env instead, where all programs see it",
        )
    })
}

fn check_database(context: &CliContext, mesh: &mut Mesh) -> Vec<Finding> {
    let mut findings = Vec::new();
    let place = context.shown(&context.place.database);
    match mesh.find_damage() {
        Ok(None) => match mesh.status() {
            Ok(status) => findings.push(ok(format!(
                "database: schema {}, {} bytes, no damage found, {} questions open",
                status.schema, status.bytes, status.questions[0]
            ))),
            Err(error) => findings.push(finding_from_error(&error)),
        },
        Ok(Some(damage)) => findings.push(problem(
            format!("{place} is damaged: {}", text::one_line(&damage)),
            &store::recovery_hint(&context.place.database),
        )),
        Err(error) => findings.push(finding_from_error(&error)),
    }
    let Ok(views) = mesh.peers(None, PeerScope::Machine, false) else {
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

/// Rings a bell in a place of the same kind and listens whether it is heard.
fn wake(settings: &Settings) -> Finding {
    if settings.polling {
        return note(
            "CLAUDE_MESH_WAKE=polling: waits look every 50 ms",
            "take it out to be woken by file notification",
        );
    }
    match test_doorbell() {
        Ok(("watcher", true)) => ok("wake: watcher, a test bell was heard"),
        Ok(("watcher", false)) => problem(
            "wake: a watcher was had, but a test bell was not heard",
            "set CLAUDE_MESH_WAKE=polling in ~/.claude-mesh/.env",
        ),
        Ok(_) => note(
            "wake: the system gives no watcher, so waits look every 50 ms",
            "sudo sysctl fs.inotify.max_user_instances=512",
        ),
        Err(fault) => finding_from_fault(&fault),
    }
}

fn test_doorbell() -> Result<(&'static str, bool), Fault> {
    let folder =
        tempfile::tempdir().map_err(|error| Fault::io("use", &std::env::temp_dir(), error))?;
    let doorbells = Doorbells::of(&folder.path().join("mesh.db"));
    let session = "0".repeat(26).parse().expect("a ULID of zeros");
    let signal = Arc::new(WakeSignal::default());
    let ring = Arc::clone(&signal);
    let listener = doorbells.listen(session, false, move || ring.raise())?;
    let seen = signal.count();
    doorbells.ring(session);
    signal.wait_until_raised(seen, Duration::from_secs(2));
    Ok((listener.kind(), signal.count() > seen))
}

/// What hooks could not say anywhere else.
fn faults(settings: &Settings) -> Vec<Finding> {
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
                &format!("rm {}, once it is mended", shown(&path, &settings.home)),
            )
        })
        .collect()
}
