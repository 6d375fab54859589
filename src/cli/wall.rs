//! `claude-mesh wall`: lists and sets the folders that have a mesh of their own.
use std::path::{Component, Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::shown;
use crate::cli::error::Failure;
use crate::cli::hub_wall::{self, HubArgs};
use crate::platform::Settings;
use crate::platform::hub_location::is_hub_url;
use crate::platform::isolation::{self, MeshAddress};
use crate::platform::settings::expand_home;

/// List the walls, or give a folder a mesh of its own
///
/// Sessions behind different walls cannot see each other. A wall applies to the folder and all below it; the nearest
/// one counts. It is written to ~/.claude-mesh/config.json and applies to sessions that start from then on. The mesh is a
/// file of this machine, or that of a hub on another.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh wall                          the current walls
  claude-mesh wall ~/clients/acme acme      sessions below that folder see only each other
  claude-mesh wall ~/work https://mesh.example:3456 --key-file key.txt
  claude-mesh wall ~/clients/acme default   remove the wall")]
pub(super) struct WallArgs {
    /// The folder; it need not exist.
    #[arg(requires = "name")]
    folder: Option<PathBuf>,
    /// The name of its mesh: a-z, 0-9, `.`, `_`, `-`; or the URL of a hub. `default` removes the wall.
    name: Option<String>,
    #[command(flatten)]
    hub: HubArgs,
}

/// Lists the walls, or sets one.
pub(super) fn wall(args: &WallArgs, json: bool) -> CommandResult {
    let settings = Settings::of_this_process()?;
    let (Some(folder), Some(name)) = (&args.folder, &args.name) else {
        return list(&settings, json);
    };
    let folder = checked_folder(&settings, folder)?;
    let change = if name.contains("://") {
        hub_wall::set_hub(&settings, &folder, name, &args.hub)?
    } else if args.hub.any() {
        return Err(Failure::argument(
            "--key-file, --certificate and --insecure-http are for the URL of a hub",
            "a mesh with a name is a file of this machine; nothing was changed",
        ));
    } else {
        hub_wall::set_mesh(&settings, &folder, name)?
    };
    change.report(&settings, json)
}

fn list(settings: &Settings, json: bool) -> CommandResult {
    let walls = isolation::mesh_folders(settings)?;
    let here = isolation::mesh_address(settings, &settings.working_directory)?;
    if json {
        let walls: Vec<_> = walls
            .iter()
            .map(|(folder, name)| {
                let key = if is_hub_url(name) { "url" } else { "mesh" };
                json!({ "folder": folder, key: name })
            })
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
    let mesh = match &here {
        MeshAddress::File(location) => {
            let database = shown(&location.database, &settings.home);
            format!("mesh {} ({database})", location.name)
        }
        MeshAddress::Hub(hub) => format!("the mesh at {}", hub.url),
    };
    print::line(&format!("here: {mesh}, decided by {}", here.decided_by()))?;
    Ok(CommandStatus::Done)
}

fn checked_folder(settings: &Settings, folder: &Path) -> Result<PathBuf, Failure> {
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
    Ok(folder)
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
