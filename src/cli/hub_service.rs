//! `claude-mesh serve --install` and `--uninstall`: the hub as a service of the user that systemd starts and restarts.
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::shown;
use crate::cli::error::{CliError, Failure};
use crate::hub;
use crate::platform::{Fault, Settings, permissions};

const UNIT: &str = "claude-mesh-hub.service";
/// The shipped unit. Its program is replaced by the path of this one.
const TEMPLATE: &str = include_str!("../../config/claude-mesh-hub.service");
const TEMPLATE_START: &str = "ExecStart=claude-mesh serve";

/// Writes the unit of a hub with these arguments, and starts it, also at each login.
pub(super) fn install(settings: &Settings, arguments: &[String], json: bool) -> CommandResult {
    check_systemd()?;
    check_other_hub(settings)?;
    let program = std::env::current_exe()
        .map_err(|error| Fault::io("find", Path::new("claude-mesh"), error))?;
    let path = unit_path(settings);
    let unit = unit_text(settings, &program, arguments);
    permissions::replace_file_durably(&path, unit.as_bytes())?;
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", UNIT])?;
    systemctl(&["restart", UNIT])?;
    report(settings, &path, "installed", json)?;
    Ok(CommandStatus::Done)
}

/// Stops the service and removes its unit.
pub(super) fn uninstall(settings: &Settings, json: bool) -> CommandResult {
    let path = unit_path(settings);
    if !path.exists() {
        report(settings, &path, "not_installed", json)?;
        return Ok(CommandStatus::Done);
    }
    check_systemd()?;
    systemctl(&["disable", "--now", UNIT])?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Fault::io("remove", &path, error).into());
        }
        _ => {}
    }
    systemctl(&["daemon-reload"])?;
    report(settings, &path, "uninstalled", json)?;
    Ok(CommandStatus::Done)
}

fn report(settings: &Settings, path: &Path, status: &str, json: bool) -> Result<(), Failure> {
    if json {
        print::json(&json!({ "status": status, "unit": path }))?;
        return Ok(());
    }
    let shown = shown(path, &settings.home);
    match status {
        "installed" => {
            print::line(&format!("the hub runs as a service: {shown}"))?;
            print::line(&format!(
                "`journalctl --user -u {UNIT}` shows its log, `claude-mesh board` opens its page"
            ))?;
        }
        "uninstalled" => print::line(&format!("the service is stopped, {shown} is removed"))?,
        _ => print::line(&format!("nothing to do: there is no {shown}"))?,
    }
    Ok(())
}

fn unit_path(settings: &Settings) -> PathBuf {
    settings.home.join(".config/systemd/user").join(UNIT)
}

/// Returns the shipped unit with this program, these arguments, and the settings that the service would not inherit.
fn unit_text(settings: &Settings, program: &Path, arguments: &[String]) -> String {
    let program = program.to_string_lossy();
    let mut words = vec![program.as_ref(), "serve"];
    words.extend(arguments.iter().map(String::as_str));
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    let mut lines = vec![format!("ExecStart={}", words.join(" "))];
    let mut add = |name: &str, value: &Path| {
        let assignment = format!("{name}={}", value.to_string_lossy());
        lines.push(format!("Environment={}", quoted(&assignment)));
    };
    if settings.mesh_home != settings.home.join(".claude-mesh") {
        add("CLAUDE_MESH_HOME", &settings.mesh_home);
    }
    if let Some((database, from)) = &settings.database
        && from == "the environment"
    {
        add("MESH_DB_PATH", database);
    }
    TEMPLATE.replace(TEMPLATE_START, &lines.join("\n"))
}

/// Quotes a word for a unit file, in which `%` and `$` have a meaning too.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=,[]@+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    let escaped = word
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    format!("\"{escaped}\"")
}

/// A hub that was started otherwise would keep the service from starting.
fn check_other_hub(settings: &Settings) -> Result<(), Failure> {
    let Some(hub) = hub::find_running_hub(&settings.mesh_home) else {
        return Ok(());
    };
    let is_the_service = run(&["is-active", "--quiet", UNIT]).is_ok_and(|it| it.status.success());
    if is_the_service {
        return Ok(());
    }
    let message = format!("a hub runs already at {} (process {})", hub.url, hub.pid);
    let hint = format!("`kill {}` ends it; then install the service", hub.pid);
    Err(CliError::new("conflict", message, hint).into())
}

/// Refuses where systemd does not manage services of this user.
fn check_systemd() -> Result<(), Failure> {
    let problem = match run(&["show", "--property=Version"]) {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => "there is no systemctl".into(),
        Err(error) => error.to_string(),
    };
    let message = format!("systemd does not manage services of this user: {problem}");
    let hint = "let the supervisor of this system run `claude-mesh serve` and restart it when it fails; \
        nothing was changed";
    Err(CliError::new("unsupported", message, hint).into())
}

fn systemctl(arguments: &[&str]) -> Result<(), Failure> {
    let output = run(arguments).map_err(|error| Fault::io("run", Path::new("systemctl"), error))?;
    if output.status.success() {
        return Ok(());
    }
    let problem = String::from_utf8_lossy(&output.stderr);
    let command = format!("systemctl --user {}", arguments.join(" "));
    let message = format!("`{command}` has failed: {}", problem.trim());
    let hint = format!("`systemctl --user status {UNIT}` shows more");
    Err(CliError::new("storage", message, hint).into())
}

fn run(arguments: &[&str]) -> std::io::Result<Output> {
    Command::new("systemctl")
        .arg("--user")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_unit_are_quoted() {
        assert_eq!(quoted("/usr/bin/claude-mesh"), "/usr/bin/claude-mesh");
        assert_eq!(quoted("[::1]:3456"), "[::1]:3456");
        assert_eq!(quoted("/a b/100%\"$x\\"), r#""/a b/100%%\"$$x\\""#);
        assert_eq!(quoted(""), "\"\"");
    }

    #[test]
    fn shipped_unit_has_the_line_that_is_replaced() {
        assert_eq!(TEMPLATE.matches(TEMPLATE_START).count(), 1);
        assert!(TEMPLATE.contains("\nRestart=on-failure\n"));
    }
}
