//! `claude-mesh move`: copies the mesh of a file to a PostgreSQL server. Only a person may.
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CliContext, CommandFolder};
use crate::cli::error::{CliError, Failure};
use crate::cli::{print, store_args};
use crate::model::access_key::KeyHolder;
use crate::platform::clock::rfc3339;
use crate::platform::{Clock, SystemClock};
use crate::store::{MeshCopy, MovedMark, Options, Store};

/// Copy the mesh of this folder from its file to a PostgreSQL server
///
/// The target is a new, empty schema. Everything is copied in one transaction and compared before it is committed, and nobody
/// writes to the file meanwhile. The file stays as it is, with a mark of where the mesh is. Registered sessions and their
/// claims are not copied.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh move --to 'postgres://mesh@db.example/mesh?schema=team' --host desk
  claude-mesh serve --store 'postgres://mesh@db.example/mesh?schema=team'         serves it then
  claude-mesh key create --host desk --store 'postgres://mesh@db.example/mesh?schema=team'
  claude-mesh join https://mesh.example:3456                                      uses it from here")]
pub(super) struct MoveArgs {
    /// The server and the new schema: `postgres://user@host/database?schema=name`.
    #[arg(long, value_name = "URL")]
    to: String,
    /// A file with the password of the user at the server; by default that of PGPASSFILE or ~/.pgpass.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The mesh; that of this folder by default.
    #[arg(long, value_name = "NAME")]
    mesh: Option<String>,
    /// The host of the key by which this machine will join, so that its sessions find their mailboxes, memories and tasks.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Move it once more, although it was moved before.
    #[arg(long)]
    again: bool,
}

/// Runs `claude-mesh move`.
pub(super) fn move_mesh(args: &MoveArgs, json: bool) -> CommandResult {
    let folder = CommandFolder::resolve()?;
    let context = folder.into_context_of_mesh(args.mesh.as_deref(), json)?;
    context.require_person("moving a mesh")?;
    if let Some(host) = &args.host {
        KeyHolder::parse_host(host)?;
    }
    let location = store_args::location(&args.to, args.password_file.as_ref())?;
    let mut source = open_source(&context, args.again)?;
    let mark = MovedMark {
        to: location.to_string(),
        at_ms: SystemClock::new().now().wall_ms,
    };
    let mut target = store_args::connect(location, &context.settings)?;
    let copy = source.move_to(&mut target, &mark, args.host.as_deref())?;
    report(&context, args, &mark, &copy)
}

/// Opens the file, which must exist.
fn open_source(context: &CliContext, again: bool) -> Result<Store, Failure> {
    let Some(mut mesh) = context.open_existing()? else {
        let place = context.shown(&context.location.database);
        let message = format!("there is no mesh to move: {place} does not exist");
        let hint = "`claude-mesh wall` lists the meshes, `--mesh NAME` moves another one";
        return Err(CliError::new("not_found", message, hint).into());
    };
    if let Some(moved) = mesh.moved_mark()?
        && !again
    {
        let message = format!(
            "the mesh was moved to {} at {} already",
            moved.to,
            rfc3339(moved.at_ms)
        );
        let hint = "`--again` copies this file once more, without what was changed there since; nothing was changed";
        return Err(CliError::new("conflict", message, hint).into());
    }
    let options = Options {
        sync_full: true,
        ..Options::default()
    };
    Ok(Store::open(&context.location.database, options)?)
}

fn report(
    context: &CliContext,
    args: &MoveArgs,
    mark: &MovedMark,
    copy: &MeshCopy,
) -> CommandResult {
    let rows: u64 = copy.tables.iter().map(|table| table.rows).sum();
    if context.json {
        let tables = copy
            .tables
            .iter()
            .map(|table| json!({ "name": table.name, "rows": table.rows, "digest": table.digest }));
        print::json(&json!({
            "status": "moved",
            "from": context.location.database,
            "to": mark.to,
            "moved_at": rfc3339(mark.at_ms),
            "rows": rows,
            "tables": tables.collect::<Vec<Value>>(),
            "sessions_left": copy.sessions_left,
            "claims_left": copy.claims_left,
            "replaced_nuls": copy.replaced_nuls,
        }))?;
        return Ok(CommandStatus::Done);
    }
    print::line(&format!(
        "moved {} to {}: {rows} rows in {} tables, counts and digests agree",
        context.shown(&context.location.database),
        mark.to,
        copy.tables.len()
    ))?;
    print::line("the file stays as it is and is marked as moved")?;
    if copy.sessions_left > 0 {
        print::line(&format!(
            "sessions registered in the file: {}, with {} claims; they use the file until they join the hub and are restarted",
            copy.sessions_left, copy.claims_left
        ))?;
    }
    if copy.replaced_nuls > 0 {
        print::line(&format!(
            "{} texts had the character U+0000, which the server cannot store; U+FFFD is in its place there",
            copy.replaced_nuls
        ))?;
    }
    if args.host.is_none() {
        print::notice(
            "paths in the mesh have no host, so sessions that join from here will not find their mailboxes, memories and tasks",
            "`--again --host NAME` into another schema names the host of the key by which this machine will join",
        )?;
    }
    Ok(CommandStatus::Done)
}
