//! `claude-mesh serve`: runs the hub in the foreground.
use std::net::SocketAddr;

use clap::Args;
use serde_json::json;

use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::error::{CliError, Failure};
use crate::hub::{self, ServeError, ServeOptions};
use crate::platform::Settings;

/// Serve the mesh over HTTP: a board for browsers, routes for scripts, MCP for other clients
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh serve
  claude-mesh serve --addr 127.0.0.1:0 --json   a free port, the address as JSON")]
pub(super) struct ServeArgs {
    /// Where to listen.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:3456")]
    addr: SocketAddr,
}

pub(super) fn serve(args: &ServeArgs, json: bool) -> CommandResult {
    let settings = Settings::of_this_process()?;
    let options = ServeOptions { address: args.addr };
    let announce = |address: SocketAddr| {
        let url = format!("http://{address}");
        // Nobody may read the line.
        let _ = if json {
            print::json(&json!({ "url": url }))
        } else {
            print::line(&format!("claude-mesh serves {url}"))
        };
    };
    hub::serve(settings, &options, announce)?;
    Ok(CommandStatus::Done)
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Mesh(error) => error.into(),
            error => {
                let hint = "choose another address with --addr, or end the program that uses it";
                CliError::new("unsupported", error.to_string(), hint).into()
            }
        }
    }
}
