//! `claude-mesh install --print`: prints the configuration of another MCP client, and the place of its file. Writes nothing.
use serde_json::json;

use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::error::Failure;
use crate::setup::{ClientConfig, InstallPaths};

/// Prints the configuration to stdout, so that it can be redirected, and the place of the file to stderr.
pub(super) fn print_client_config(
    client: ClientConfig,
    paths: &InstallPaths,
    json: bool,
) -> CommandResult {
    let project = paths.project.as_deref().unwrap_or(&paths.home);
    let text = client
        .configuration(&paths.programs, project)
        .map_err(Failure::from)?;
    if json {
        print::json(&json!({
            "client": client.name,
            "place": client.config_location,
            "note": client.note,
            "configuration": text,
        }))?;
        return Ok(CommandStatus::Done);
    }
    print::raw(text.as_bytes())?;
    print::err(&format!(
        "goes into {}\n{}\nnothing was written\n",
        client.config_location, client.note
    ))?;
    Ok(CommandStatus::Done)
}
