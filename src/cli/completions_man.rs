//! `claude-mesh completions` and `claude-mesh man`: generates both from the definition of the command line.
use clap::{Args, Command};
use clap_complete::Shell;

use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::error::Failure;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh completions bash > ~/.local/share/bash-completion/completions/claude-mesh
  claude-mesh completions zsh > ~/.zfunc/_claude-mesh
  claude-mesh completions fish > ~/.config/fish/completions/claude-mesh.fish")]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Print the manual page, of the whole program or of one command
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh man | man -l -
  claude-mesh man ask > claude-mesh-ask.1")]
pub(super) struct ManArgs {
    /// The command; the whole program if there is none.
    command: Option<String>,
}

pub(super) fn completions(args: &CompletionsArgs, mut program: Command) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "claude-mesh", &mut script);
    print::bytes(&script)?;
    Ok(CommandStatus::Done)
}

pub(super) fn man(args: &ManArgs, mut program: Command) -> CommandResult {
    program.build();
    let page = match &args.command {
        None => program,
        Some(name) => {
            let command = program.find_subcommand(name).cloned().ok_or_else(|| {
                Failure::argument(
                    format!("no command called {name:?}"),
                    "`claude-mesh --help` lists them",
                )
            })?;
            command.name(format!("claude-mesh-{name}").leak() as &str)
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    print::bytes(&text)?;
    Ok(CommandStatus::Done)
}
