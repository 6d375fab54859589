//! Notifies the person of a question by running a program: the command of the user, or `claude-mesh` for the desktop.
//!
//! The program is run without a shell. Text of peers reaches it on stdin only. A program that fails or hangs fails no
//! operation: the fault goes to the fault log.
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::platform::{Settings, fault_log};

/// A program that has not ended after this time is killed.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(10);
/// What `CLAUDE_MESH_REASON` says about a question.
const REASON: &str = "a session asks you";
/// The name of this part in the fault log.
const FAULT_SOURCE: &str = "person-notifier";

/// A program that notifies the person of questions.
#[derive(Debug, Clone)]
pub struct PersonNotifier {
    program: PathBuf,
    /// Whether it is `claude-mesh`, which shows a notification of the desktop.
    is_desktop: bool,
    /// The folder of the fault log.
    mesh_home: PathBuf,
}

/// A question to the person, as the program gets it.
#[derive(Debug, Clone)]
pub struct PersonQuestion {
    /// The name of the peer that asks.
    pub from: String,
    /// The id of the question.
    pub id: String,
    /// Its text.
    pub text: String,
}

impl PersonNotifier {
    /// Returns the notifier that the settings name; a command of the user has precedence over the desktop.
    pub fn from_settings(settings: &Settings) -> Option<Self> {
        let command = settings
            .notify_command
            .clone()
            .map(|program| (program, false));
        let desktop = settings
            .desktop_notifier
            .clone()
            .map(|program| (program, true));
        let (program, is_desktop) = command.or(desktop)?;
        Some(Self {
            program,
            is_desktop,
            mesh_home: settings.mesh_home.clone(),
        })
    }

    /// Starts the program for one question and returns at once.
    pub fn notify(&self, question: PersonQuestion) {
        let running = match self.start(&question) {
            Ok(child) => RunningProgram {
                child,
                text: question.text,
                program: self.program.clone(),
                mesh_home: self.mesh_home.clone(),
            },
            Err(error) => return log(&self.mesh_home, &self.program, &error.to_string()),
        };
        let spawned = std::thread::Builder::new().spawn(move || running.finish(PROGRAM_TIMEOUT));
        if let Err(error) = spawned {
            log(&self.mesh_home, &self.program, &error.to_string());
        }
    }

    /// Starts the program in a process group of its own, so that its own children can be killed with it.
    fn start(&self, question: &PersonQuestion) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        if self.is_desktop {
            command.args(["notify", "--from", &question.from]);
            command.args(["--question", &question.id]);
        }
        command
            .env("CLAUDE_MESH_REASON", REASON)
            .env("CLAUDE_MESH_PEER", &question.from)
            .env("CLAUDE_MESH_QUESTION", &question.id)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
    }
}

/// A program that was started.
struct RunningProgram {
    child: Child,
    text: String,
    program: PathBuf,
    mesh_home: PathBuf,
}

impl RunningProgram {
    /// Gives the program its text and waits for its end; kills it after `timeout`.
    fn finish(mut self, timeout: Duration) {
        let group = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let (ended, has_ended) = mpsc::channel::<()>();
        // The text may be longer than what a program that does not read it lets this thread write.
        let killer = std::thread::Builder::new().spawn(move || {
            let timed_out = has_ended.recv_timeout(timeout) == Err(mpsc::RecvTimeoutError::Timeout);
            if let Some(group) = group.filter(|_| timed_out) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            timed_out
        });
        let Ok(killer) = killer else {
            let _ = self.child.kill();
            let _ = self.child.wait();
            return log(&self.mesh_home, &self.program, "no thread to watch it");
        };
        if let Some(mut stdin) = self.child.stdin.take() {
            // A program that needs no text may end without reading it.
            let _ = stdin.write_all(self.text.as_bytes());
        }
        let status = self.child.wait();
        drop(ended);
        let timed_out = killer.join().unwrap_or(false);
        if let Some(problem) = problem(status, timed_out, timeout) {
            log(&self.mesh_home, &self.program, &problem);
        }
    }
}

/// Returns what is wrong with the end of a program; `None` if it succeeded.
fn problem(status: io::Result<ExitStatus>, timed_out: bool, timeout: Duration) -> Option<String> {
    match status {
        _ if timed_out => Some(format!(
            "killed: it had not ended after {} s",
            timeout.as_secs()
        )),
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("ended with {status}")),
        Err(error) => Some(error.to_string()),
    }
}

fn log(mesh_home: &Path, program: &Path, problem: &str) {
    let message = format!(
        "the program that notifies the person, {}: {problem}",
        program.display()
    );
    fault_log::append(mesh_home, FAULT_SOURCE, &message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Runs a shell script as the program. Returns the fault log.
    fn run(script: &str, text: &str, timeout: Duration) -> Vec<String> {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("program");
        std::fs::write(
            &program,
            format!("#!/bin/sh\ncd {}\n{script}\n", place.path().display()),
        )
        .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let notifier = PersonNotifier {
            program: program.clone(),
            is_desktop: false,
            mesh_home: place.path().into(),
        };
        let question = PersonQuestion {
            from: "bo".into(),
            id: "01K".into(),
            text: text.into(),
        };
        let running = RunningProgram {
            child: notifier.start(&question).unwrap(),
            text: question.text,
            program,
            mesh_home: place.path().into(),
        };
        running.finish(timeout);
        let mut lines = fault_log::last_lines(place.path(), 5);
        lines.extend(std::fs::read_to_string(place.path().join("out")).ok());
        lines
    }

    #[test]
    fn program_reads_text_on_stdin_and_names_in_environment() {
        let script = "{ echo \"$CLAUDE_MESH_PEER $CLAUDE_MESH_QUESTION $#\"; cat; } >out";
        let timeout = Duration::from_secs(600);
        assert_eq!(
            run(script, "$(which) port?", timeout),
            ["bo 01K 0\n$(which) port?"]
        );
        let failed = run("exit 7", &"x".repeat(200_000), timeout);
        assert!(
            failed[0].ends_with("ended with exit status: 7"),
            "{failed:?}"
        );
    }

    #[test]
    fn program_that_hangs_without_reading_is_killed() {
        let lines = run(
            "sleep 600",
            &"x".repeat(200_000),
            Duration::from_millis(100),
        );
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains("killed: it had not ended"), "{lines:?}");
    }
}
