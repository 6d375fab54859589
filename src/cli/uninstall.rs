//! `claude-mesh uninstall`: removes from Claude Code's files the entries of `install`, and nothing else.
use clap::Args;

use super::install::{FilesArgs, PlanRunner, client_file_parser, install_paths};
use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::platform::Settings;
use crate::setup::{self, ClientConfig};

/// Remove claude-mesh from Claude Code; run it before you remove the programs
///
/// The mesh itself stays in ~/.claude-mesh: questions, answers, names. To remove it too, delete that folder.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh uninstall --dry-run
  claude-mesh uninstall
  claude-mesh uninstall --project
  claude-mesh uninstall --client codex")]
pub(super) struct UninstallArgs {
    #[command(flatten)]
    files: FilesArgs,
    /// Remove it from the file of another MCP client, in your home.
    #[arg(long, value_name = "CLIENT", value_parser = client_file_parser(), conflicts_with_all = ["project", "local"])]
    client: Option<String>,
}

pub(super) fn uninstall(args: &UninstallArgs, json: bool) -> CommandResult {
    let settings = Settings::of_this_process()?;
    args.files.check(&settings)?;
    let paths = install_paths(&settings)?;
    let client = args.client.as_deref().and_then(ClientConfig::find_by_name);
    let plan = match client {
        Some(client) => setup::uninstall_client(&paths, client)?,
        None => setup::uninstall(&paths, args.files.scope())?,
    };
    let change = PlanRunner {
        settings: &settings,
        files: &args.files,
        json,
        no_change_message: "nothing to do: claude-mesh is not installed there",
    };
    if change.run_plan(plan)? && !json && client.is_none() {
        print::line("open sessions stay in the mesh until they end")?;
    }
    Ok(CommandStatus::Done)
}
