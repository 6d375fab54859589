//! `claude-mesh wall`: lists and sets the folders that have a mesh of their own.
use std::path::{Component, Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::shown;
use crate::cli::error::Failure;
use crate::platform::settings::expand_home;
use crate::platform::{Settings, isolation};

/// List the walls, or give a folder a mesh of its own
///
/// Sessions behind different walls cannot see each other. A wall applies to the folder and all below it; the nearest
/// one counts. It is written to ~/.claude-mesh/config.json and applies to sessions that start from then on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh wall                          the current walls
  claude-mesh wall ~/clients/acme acme      sessions below that folder see only each other
  claude-mesh wall ~/clients/acme default   remove the wall")]
pub(super) struct WallArgs {
    /// The folder; it need not exist.
    #[arg(requires = "name")]
    folder: Option<PathBuf>,
    /// The name of its mesh: a-z, 0-9, `.`, `_`, `-`. `default` removes the wall.
    name: Option<String>,
}

/// Lists the walls, or sets one.
pub(super) fn wall(args: &WallArgs, json: bool) -> CommandResult {
    let settings = Settings::of_this_process()?;
    match (&args.folder, &args.name) {
        (Some(folder), Some(name)) => set_mesh(&settings, folder, name, json),
        _ => list(&settings, json),
    }
}

fn list(settings: &Settings, json: bool) -> CommandResult {
    let walls = isolation::mesh_folders(settings)?;
    let here = isolation::mesh_location(settings, &settings.working_directory)?;
    if json {
        let walls: Vec<_> = walls
            .iter()
            .map(|(folder, name)| json!({ "folder": folder, "mesh": name }))
            .collect();
        print::json(&json!({ "walls": walls, "here": here }))?;
        return Ok(CommandStatus::Done);
    }
    for (folder, name) in &walls {
        print::line(&format!("{}/**  {name}", shown(folder, &settings.home)))?;
    }
    if walls.is_empty() {
        print::line("no walls: all folders share one mesh")?;
    }
    print::line(&format!(
        "here: mesh {} ({}), decided by {}",
        here.name,
        shown(&here.database, &settings.home),
        here.decided_by
    ))?;
    Ok(CommandStatus::Done)
}

fn set_mesh(settings: &Settings, folder: &Path, name: &str, json: bool) -> CommandResult {
    let folder = settings
        .working_directory
        .join(expand_home(folder, &settings.home));
    let folder = folder
        .canonicalize()
        .unwrap_or_else(|_| normalized(&folder));
    let unusable = folder
        .to_str()
        .is_none_or(|text| text.contains(['*', '?', '[']));
    if unusable {
        return Err(Failure::argument(
            format!("{:?} cannot have a wall", folder.display().to_string()),
            "its name must be UTF-8 without `*`, `?` and `[`; nothing was changed",
        ));
    }
    let before = isolation::set_mesh(settings, &folder, name)?;
    let place = isolation::mesh_location(settings, &folder)?;
    if json {
        print::json(&json!({ "folder": folder, "before": before, "place": place }))?;
        return Ok(CommandStatus::Done);
    }
    let before = match before {
        Some(before) if before != name => format!(" (it was {before})"),
        _ => String::new(),
    };
    print::line(&format!(
        "{} and all below: mesh {}{before}",
        shown(&folder, &settings.home),
        place.name
    ))?;
    print::line(&format!("file: {}", shown(&place.database, &settings.home)))?;
    if settings.database.is_some() {
        print::line("but MESH_DB_PATH is set and overrides every wall")?;
    }
    print::line("open sessions keep their mesh until they are restarted")?;
    Ok(CommandStatus::Done)
}

/// Removes `.` and `..` from the path of a folder that does not exist yet.
fn normalized(folder: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for part in folder.components() {
        match part {
            Component::ParentDir => {
                normalized.pop();
            }
            Component::CurDir => {}
            part => normalized.push(part),
        }
    }
    normalized
}
