//! Checks for `doctor` what a folder needs whose mesh is at a hub: key, certificate, no program from before hubs. It connects
//! to nothing.
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::cli::context::shown;
use crate::cli::finding::{finding_from_fault, note, ok, problem};
use crate::cli::{hub_credentials, versions};
use crate::platform::hub_location::HubLocation;
use crate::platform::settings::FORK;
use crate::platform::{Settings, permissions};
use crate::setup::{self, Finding, InstallPaths};

/// The program that connects to a hub.
const REMOTE_PROGRAM: &str = "claude-mesh-remote";
/// The program for people, which says which mesh a build of claude-mesh would use.
const COMMAND_LINE: &str = "claude-mesh";
/// The program that each session starts.
const SERVER: &str = "claude-mesh-server";

/// Checks the access to the hub of this folder.
pub(super) fn check(settings: &Settings, paths: &InstallPaths, hub: &HubLocation) -> Vec<Finding> {
    let mut findings = vec![ok(format!(
        "the mesh here is at {}, decided by {}",
        hub.url, hub.decided_by
    ))];
    findings.push(check_key(settings, hub));
    if hub.certificate_file.exists() {
        let place = shown(&hub.certificate_file, &settings.home);
        findings.push(ok(format!("certificate of the hub: pinned ({place})")));
    }
    findings.extend(check_other_builds(settings, paths, hub));
    findings
}

/// Notes the settings of a hub that do not count where they are set.
pub(super) fn check_untrusted_settings(settings: &Settings) -> Vec<Finding> {
    let to_finding = |(name, from): &(&str, String)| {
        let from = shown(Path::new(from), &settings.home);
        note(
            format!("{name} in {from} has no effect: a repository could have set it"),
            if name.starts_with(FORK) {
                "set it in ~/.claude-mesh/.env"
            } else {
                "set it in ~/.claude-mesh/.env, or use `claude-mesh join URL`"
            },
        )
    };
    settings.untrusted.iter().map(to_finding).collect()
}

fn check_key(settings: &Settings, hub: &HubLocation) -> Finding {
    let path = &hub.key_file;
    let place = shown(path, &settings.home);
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return problem(
                format!("there is no key for the hub: {place} does not exist"),
                "claude-mesh wall FOLDER URL, or claude-mesh join URL",
            );
        }
        Err(error) => return problem(format!("{place} cannot be read: {error}"), ""),
    };
    if let Err(fault) = permissions::check_owner_and_mode(path, &metadata) {
        return finding_from_fault(&fault);
    }
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o777;
        return problem(
            format!("others can read the key for the hub: {place} has the mode {mode:o}"),
            &format!(
                "chmod 600 {place}; who has read it can use it until it is rotated at the hub"
            ),
        );
    }
    match hub_credentials::read_key_file(path) {
        Ok(_) => ok(format!("key for the hub: {place}")),
        Err(_) => problem(
            format!("{place} holds no access key of claude-mesh"),
            "claude-mesh join URL --key-file FILE",
        ),
    }
}

/// Finds other builds of claude-mesh, on `PATH` or wired, that know no hubs.
fn check_other_builds(
    settings: &Settings,
    paths: &InstallPaths,
    hub: &HubLocation,
) -> Vec<Finding> {
    let canonical = |folder: PathBuf| folder.canonicalize().unwrap_or(folder);
    let own = canonical(paths.programs.clone());
    let wired = setup::wired_folders(paths);
    let mut folders: Vec<PathBuf> = wired
        .into_iter()
        .chain(settings.search_path.iter().cloned())
        .map(canonical)
        .filter(|folder| *folder != own)
        .collect();
    folders.sort();
    folders.dedup();
    let found = folders.iter().filter_map(|folder| {
        let (program, problem_text) = find_problem(settings, folder, hub)?;
        let place = shown(&program, &settings.home);
        let fix = "update all programs of claude-mesh there, or remove them";
        Some(problem(format!("{place} {problem_text}"), fix))
    });
    found.collect()
}

/// Returns a program in the folder that does not use the mesh at the hub, and what it does instead.
fn find_problem(
    settings: &Settings,
    folder: &Path,
    hub: &HubLocation,
) -> Option<(PathBuf, &'static str)> {
    let program = folder.join(COMMAND_LINE);
    if !program.is_file() {
        let server = folder.join(SERVER);
        let is_older = server.is_file() && !folder.join(REMOTE_PROGRAM).is_file();
        return is_older.then_some((
            server,
            "is older than hubs, or its claude-mesh-remote is missing",
        ));
    }
    let mut command = Command::new(&program);
    command
        .args(["wall", "--json"])
        .current_dir(&settings.working_directory);
    let output = versions::output(&mut command)?;
    if !output.status.success() {
        return Some((
            program,
            "refuses the map of walls: it is older than hubs and opens no mesh",
        ));
    }
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (printed["here"]["url"] != hub.url.as_str()).then_some((
        program,
        "uses another mesh here: it is older than hubs, or has other settings",
    ))
}
