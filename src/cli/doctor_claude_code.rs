//! Checks for `doctor` which version of Claude Code is on `PATH`, and what of claude-mesh works with it.
use std::path::Path;
use std::process::Command;

use crate::claude_code;
use crate::cli::context::shown;
use crate::cli::finding::{note, ok};
use crate::cli::versions;
use crate::platform::Settings;
use crate::platform::fork_setting::ForkMode;
use crate::platform::settings::FORK;
use crate::setup::{self, Finding, InstallPaths};

pub(super) fn check(settings: &Settings, paths: &InstallPaths) -> Vec<Finding> {
    let Some(path) = versions::claude(settings) else {
        let text = "Claude Code is not on PATH, so its version is unknown";
        return vec![note(text, "")];
    };
    let place = shown(&path, &settings.home);
    let Some(version) = program_version(&path, settings) else {
        let text = format!("{place} does not print its version");
        return vec![note(text, "claude doctor")];
    };
    let mut findings = vec![check_wake(paths, &version, &place)];
    if setup::has_mod(paths) && !claude_code::has_mods(&version) {
        let text = format!("Claude Code {version} ({place}) does not run the mod");
        findings.push(note(text, "claude update"));
    }
    findings
}

/// Says whether forks of the sessions answer, and what is missing for it; nothing if they are neither wanted nor possible.
pub(super) fn check_forks(settings: &Settings, paths: &InstallPaths) -> Option<Finding> {
    let fork = settings.fork;
    let mode = match fork.mode {
        ForkMode::Off => {
            let text = format!("forks answer for no session ({FORK}=off)");
            return setup::has_mod(paths).then(|| ok(text));
        }
        ForkMode::Busy => "busy",
        ForkMode::Always => "always",
    };
    let budget = fork.budget;
    Some(if setup::has_mod(paths) {
        ok(format!(
            "forks answer for sessions ({FORK}={mode}), at most {budget} an hour for each"
        ))
    } else {
        note(
            format!("{FORK}={mode} has no effect without the mod"),
            "claude-mesh install --mod",
        )
    })
}

fn check_wake(paths: &InstallPaths, version: &str, place: &str) -> Finding {
    if setup::has_waiting_hook(paths) {
        ok(format!("Claude Code {version} ({place})"))
    } else if claude_code::has_inbox(version) {
        ok(format!(
            "Claude Code {version} ({place}): its inbox wakes idle sessions"
        ))
    } else {
        note(
            format!(
                "Claude Code {version} ({place}) has no inbox: an idle session sees a question only at its next prompt, unless a hook wakes it (`claude-mesh install --wake rewake`)"
            ),
            "claude update",
        )
    }
}

/// Returns the version that a program prints.
pub(super) fn program_version(path: &Path, settings: &Settings) -> Option<String> {
    let mut command = Command::new(path);
    command.current_dir(&settings.working_directory);
    versions::version(&mut command)
}
