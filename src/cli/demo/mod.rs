//! `claude-mesh demo`: plays the main scenarios with real servers and real hooks, in seconds; with `--real` with Claude Code.
//!
//! It runs in a temporary folder with a mesh of its own, which is removed when the demo ends, also after an error or Ctrl-C.

mod bench;
mod claude;
mod fake_session;
mod real;
mod reporter;
mod sandbox;
mod scenarios;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::install::{PROGRAMS, install_paths};
use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::error::{CliError, Failure};
use crate::platform::Settings;

use crate::cli::demo::reporter::Reporter;
use crate::cli::demo::sandbox::Sandbox;
use crate::cli::duration::format_elapsed_ms;
use claude::ClaudeProgram;

pub(super) use bench::{BenchArgs, bench};

/// What to do when a demo or a measurement has failed.
const FAILURE_HINT: &str = "`claude-mesh doctor` shows what is wrong here";

/// Play the main scenarios with real programs, with or without Claude Code
///
/// Two sessions, each with a real server and real hooks, in a temporary folder. Takes a few seconds, needs no account,
/// changes nothing of yours and removes its folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh demo          plain processes act as the sessions
  claude-mesh demo --real   the Claude Code on your PATH runs them; its model is a script
  claude-mesh demo --json")]
pub(super) struct DemoArgs {
    /// Run the installed Claude Code in two hidden terminals. Its model is a script on this machine: it needs no account and
    /// no token, and sends nothing to the network.
    #[arg(long)]
    real: bool,
    /// The Claude Code to run, if not the one on PATH.
    #[arg(long, value_name = "PATH", requires = "real")]
    claude: Option<PathBuf>,
    /// Keep the folder: what the terminals showed, the requests to the models, the mesh.
    #[arg(long, requires = "real")]
    keep: bool,
}

/// Act as Claude Code in the demo: a process whose child is the server
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  claude-mesh demo   starts it")]
pub(super) struct DemoClientArgs {}

/// Runs the demo and prints its result.
pub(super) fn demo(args: &DemoArgs, json: bool) -> CommandResult {
    let settings = Settings::of_this_process()?;
    let programs = program_folder()?;
    let mut reporter = Reporter::new(json);
    if !args.real {
        let sandbox = Sandbox::set_up(programs, Duration::from_secs(20))?;
        let started_monotonic_ms = sandbox::now_monotonic_ms();
        let demo_result = DemoResult {
            claude_code: None,
            played: scenarios::run(&sandbox, &mut reporter),
            took_ms: sandbox::now_monotonic_ms() - started_monotonic_ms,
            leftover_note: "its folder was removed".into(),
            failure_hint: FAILURE_HINT,
        };
        drop(sandbox);
        return demo_result.report(&reporter);
    }
    let claude = ClaudeProgram::find(args.claude.as_deref(), &settings)?;
    let mut sandbox = Sandbox::set_up(programs, Duration::from_secs(60))?;
    let claude = claude.check_version(&sandbox)?;
    let mut leftover_note = "its folder was removed".to_owned();
    if args.keep {
        sandbox.keep();
        leftover_note = format!("its folder is {}", sandbox.home().display());
    }
    let started_monotonic_ms = sandbox::now_monotonic_ms();
    let demo_result = DemoResult {
        played: real::run(&sandbox, &claude, &mut reporter),
        claude_code: Some(claude.version),
        took_ms: sandbox::now_monotonic_ms() - started_monotonic_ms,
        leftover_note,
        failure_hint: if args.keep {
            "`*.screen` is what a terminal showed, `*.jsonl` the requests to a model"
        } else {
            "`claude-mesh demo --real --keep` keeps the folder for inspection"
        },
    };
    drop(sandbox);
    demo_result.report(&reporter)
}

/// Returns the folder with all programs.
fn program_folder() -> Result<PathBuf, Failure> {
    let programs = install_paths(&Settings::of_this_process()?)?.programs;
    if let Some(missing) = PROGRAMS.iter().find(|name| !programs.join(name).is_file()) {
        let message = format!("{missing} is not in the folder of claude-mesh");
        let hint = "install all programs into one folder (`cargo install` does)";
        return Err(CliError::new("unsupported", message, hint).into());
    }
    Ok(programs)
}

/// The result of the demo.
struct DemoResult {
    /// The version of Claude Code, if it ran.
    claude_code: Option<String>,
    played: anyhow::Result<()>,
    took_ms: i64,
    leftover_note: String,
    /// Printed if the demo failed.
    failure_hint: &'static str,
}

impl DemoResult {
    fn report(self, reporter: &Reporter) -> CommandResult {
        if reporter.json {
            print::json(&json!({
                "ok": self.played.is_ok(),
                "claude_code": self.claude_code,
                "stories": reporter.scenarios,
                "took_ms": self.took_ms,
                "problem": self.played.as_ref().err().map(|problem| format!("{problem:#}")),
            }))?;
            return Ok(if self.played.is_ok() {
                CommandStatus::Done
            } else {
                CommandStatus::Refused
            });
        }
        if let Err(problem) = self.played {
            let message = format!("the demo failed: {problem:#}");
            let hint = format!("{}; {}", self.leftover_note, self.failure_hint);
            return Err(CliError::new("storage", message, hint).into());
        }
        let took = format_elapsed_ms(self.took_ms);
        reporter.say(&format!("\nThe demo took {took}; {}.", self.leftover_note))?;
        reporter.say("Next: `claude-mesh install`, then open Claude Code in two projects and let one ask the other.")?;
        Ok(CommandStatus::Done)
    }
}

/// Runs the server as a child and waits for its end, as Claude Code does.
pub(super) fn client() -> CommandResult {
    let settings = Settings::of_this_process()?;
    let server = install_paths(&settings)?.programs.join(PROGRAMS[0]);
    let ended = std::process::Command::new(&server)
        .status()
        .map_err(|error| {
            CliError::new(
                "unsupported",
                format!("cannot start {}: {error}", server.display()),
                "",
            )
        })?;
    Ok(if ended.success() {
        CommandStatus::Done
    } else {
        CommandStatus::Refused
    })
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        CliError::new("storage", format!("{error:#}"), "").into()
    }
}
