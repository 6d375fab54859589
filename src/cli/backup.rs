//! `claude-mesh backup`: copies a mesh into a new file. Only a person may: the file has everything that was ever said.
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CliContext, CommandFolder, shown};
use crate::cli::error::{CliError, Failure};
use crate::cli::print;
#[cfg(feature = "postgres")]
use crate::cli::store_args::{self, StoreArgs};
#[cfg(feature = "postgres")]
use crate::platform::Settings;
use crate::platform::{Clock, SystemClock};
use crate::store::{BackupCopy, Options, Store};
#[cfg(feature = "postgres")]
use crate::store::{PostgresLocation, SchemaReport, ServerReport};

/// Copy the mesh of this folder into a new file
///
/// The copy is a normal mesh file of one moment, which only you can read; sessions work on meanwhile. A copy of a mesh on a
/// server has no registered sessions and no claims.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh backup mesh-monday.db
  claude-mesh backup team.db --store 'postgres://mesh@db.example/mesh?schema=team'
  claude-mesh restore mesh-monday.db                    puts it back")]
pub(super) struct BackupArgs {
    /// The new file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The mesh; that of this folder by default.
    #[arg(long, value_name = "NAME")]
    #[cfg_attr(feature = "postgres", arg(conflicts_with = "store"))]
    mesh: Option<String>,
    #[cfg(feature = "postgres")]
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs `claude-mesh backup`.
pub(super) fn back_up(args: &BackupArgs, json: bool) -> CommandResult {
    let folder = CommandFolder::resolve()?;
    let file = folder.settings.working_directory.join(&args.file);
    let now = SystemClock::new().now();
    #[cfg(feature = "postgres")]
    if let Some(location) = args.store.location()? {
        folder.require_person("backing up a mesh")?;
        let copy = open_served(location, &folder.settings)?.back_up(&file, &now)?;
        return report(&file, &folder.settings.home, (&copy, json));
    }
    let context = folder.into_context_of_mesh(args.mesh.as_deref(), json)?;
    context.require_person("backing up a mesh")?;
    let copy = open_file(&context)?.back_up(&file, &now)?;
    report(&file, &context.settings.home, (&copy, json))
}

fn open_file(context: &CliContext) -> Result<Store, Failure> {
    let database = &context.location.database;
    if context.open_existing()?.is_none() {
        let place = context.shown(database);
        let message = format!("there is no mesh to copy: {place} does not exist");
        let hint = "`claude-mesh wall` lists the meshes, `--mesh NAME` copies another one";
        return Err(CliError::new("not_found", message, hint).into());
    }
    Ok(Store::open(database, Options::default())?)
}

/// Opens a mesh on a server, which must exist.
#[cfg(feature = "postgres")]
fn open_served(location: PostgresLocation, settings: &Settings) -> Result<Store, Failure> {
    if let SchemaReport::Missing = ServerReport::of(&location)?.schema {
        let message = format!("there is no mesh at {location}");
        let hint = "correct the schema in the URL; nothing was changed";
        return Err(CliError::new("not_found", message, hint).into());
    }
    store_args::connect(location, settings)
}

fn report(file: &Path, home: &Path, (copy, json): (&BackupCopy, bool)) -> CommandResult {
    if json {
        print::json(&json!({
            "status": "done",
            "file": file,
            "bytes": copy.bytes,
            "schema": copy.schema,
            "sessions_left": copy.sessions_left,
        }))?;
        return Ok(CommandStatus::Done);
    }
    print::line(&format!(
        "copied the mesh to {} ({} bytes, schema {}); only you can read it",
        shown(file, home),
        copy.bytes,
        copy.schema
    ))?;
    if copy.sessions_left > 0 {
        print::line(&format!(
            "sessions that are registered and their claims are not in it: {}",
            copy.sessions_left
        ))?;
    }
    Ok(CommandStatus::Done)
}
