//! `claude-mesh demo`: the main job played with real servers and real hooks, in seconds; with `--real` by Claude Code itself.
//!
//! Everything happens in a temporary folder with a mesh of its own; it goes when the demo ends, however it ends.

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

use super::install::{PROGRAMS, places};
use super::print;
use crate::cli::error::{CliError, Failure};
use crate::cli::outcome::{CommandResult, CommandStatus};
use crate::platform::Settings;

use crate::cli::demo::reporter::Reporter;
use crate::cli::demo::sandbox::Sandbox;
use crate::cli::duration::format_elapsed_ms;
use claude::ClaudeProgram;

/// Play the main job with real programs, without Claude Code or with it
///
/// Two sessions, each with a real server and real hooks, in a temporary folder. Takes a few seconds, needs no account,
/// touches nothing of yours and removes what it made.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh demo          plain processes play the sessions
  claude-mesh demo --real   the Claude Code on your PATH plays them, its model is a script
  claude-mesh demo --json")]
pub(super) struct DemoArgs {
    /// Play with the installed Claude Code, in two terminals nobody sees. Its model is a script on this machine: no account,
    /// no token, nothing leaves it.
    #[arg(long)]
    real: bool,
    /// The Claude Code to play with, if not the one on PATH.
    #[arg(long, value_name = "PATH", requires = "real")]
    claude: Option<PathBuf>,
    /// Leave the folder: what the terminals showed, what the models were sent, the mesh.
    #[arg(long, requires = "real")]
    keep: bool,
}

/// Stands for Claude Code in the demo: a process of its own whose child is the server
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  claude-mesh demo   starts it")]
pub(super) struct DemoClientArgs {}

/// Plays the stories.
pub(super) fn demo(args: &DemoArgs, json: bool) -> CommandResult {
    let settings = Settings::of_this_process()?;
    let programs = places(&settings)?.programs;
    if let Some(missing) = PROGRAMS.iter().find(|name| !programs.join(name).is_file()) {
        let message = format!("{missing} is not beside claude-mesh");
        let hint = "install all programs into one folder (`cargo install` does)";
        return Err(CliError::new("unsupported", message, hint).into());
    }
    let mut reporter = Reporter::new(json);
    if !args.real {
        let sandbox = Sandbox::set_up(programs, Duration::from_secs(20))?;
        let started_monotonic_ms = sandbox::now_monotonic_ms();
        let demo_result = DemoResult {
            claude_code: None,
            played: scenarios::run(&sandbox, &mut reporter),
            took_ms: sandbox::now_monotonic_ms() - started_monotonic_ms,
            leftover_note: "nothing is left of it".into(),
            failure_hint: "`claude-mesh doctor` tells what is wrong here",
        };
        drop(sandbox);
        return demo_result.report(&reporter);
    }
    let claude = ClaudeProgram::find(args.claude.as_deref(), &settings)?;
    let mut sandbox = Sandbox::set_up(programs, Duration::from_secs(60))?;
    let claude = claude.check_version(&sandbox)?;
    let mut leftover_note = "nothing is left of it".to_owned();
    if args.keep {
        sandbox.keep();
        leftover_note = format!("what there was to see is in {}", sandbox.home().display());
    }
    let started_monotonic_ms = sandbox::now_monotonic_ms();
    let demo_result = DemoResult {
        played: real::run(&sandbox, &claude, &mut reporter),
        claude_code: Some(claude.version),
        took_ms: sandbox::now_monotonic_ms() - started_monotonic_ms,
        leftover_note,
        failure_hint: if args.keep {
            "`*.screen` is what a terminal showed, `*.jsonl` what a model was sent"
        } else {
            "`claude-mesh demo --real --keep` leaves what there was to see"
        },
    };
    drop(sandbox);
    demo_result.report(&reporter)
}

/// How the demo ended.
struct DemoResult {
    /// The version of the Claude Code that played, if one did.
    claude_code: Option<String>,
    played: anyhow::Result<()>,
    took_ms: i64,
    leftover_note: String,
    /// What to do when it failed.
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
            let message = format!("the demo stopped: {problem:#}");
            let hint = format!("{}; {}", self.leftover_note, self.failure_hint);
            return Err(CliError::new("storage", message, hint).into());
        }
        let took = format_elapsed_ms(self.took_ms);
        reporter.say(&format!("\nAll of it took {took}; {}.", self.leftover_note))?;
        reporter.say("Next: `claude-mesh install`, then open Claude Code in two projects and let one ask the other.")?;
        Ok(CommandStatus::Done)
    }
}

/// Starts the server as a child and waits for it, as Claude Code does.
pub(super) fn client() -> CommandResult {
    let settings = Settings::of_this_process()?;
    let server = places(&settings)?.programs.join(PROGRAMS[0]);
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
