//! `claude-mesh uninstall`: removes from Claude Code's files the entries of `install`, and nothing else.
use clap::Args;

use super::install::{FilesArgs, PlanRunner, install_paths};
use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::platform::Settings;
use crate::setup;

/// Remove claude-mesh from Claude Code; run it before you remove the programs
///
/// The mesh itself stays in ~/.claude-mesh: questions, answers, names. To remove it too, delete that folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh uninstall --dry-run
  claude-mesh uninstall
  claude-mesh uninstall --project")]
pub(super) struct UninstallArgs {
    #[command(flatten)]
    files: FilesArgs,
}

pub(super) fn uninstall(args: &UninstallArgs, json: bool) -> CommandResult {
    let settings = Settings::of_this_process()?;
    args.files.check(&settings)?;
    let plan = setup::uninstall(&install_paths(&settings)?, args.files.scope())?;
    let change = PlanRunner {
        settings: &settings,
        files: &args.files,
        json,
        no_change_message: "nothing to do: claude-mesh is not installed there",
    };
    if change.run_plan(plan)? && !json {
        print::line("open sessions stay in the mesh until they end")?;
    }
    Ok(CommandStatus::Done)
}
