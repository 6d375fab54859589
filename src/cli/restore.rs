//! `claude-mesh restore`: puts a backup in the place of the file of a mesh. Only a person may.
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CliContext, CommandFolder};
use crate::cli::error::{CliError, Failure};
use crate::cli::print;
use crate::mesh::PeerScope;
use crate::model::{Liveness, PeerKind};
use crate::platform::{Clock, SystemClock};
use crate::store::{self, ExclusiveUseError, FileUser, Restored};

/// Put a backup in the place of the mesh file of this folder
///
/// All sessions of the mesh and its hub must be closed. The backup is checked first and stays where it is. The file that it
/// replaces is kept beside it with the time in its name, and fencing tokens continue from it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh restore mesh-monday.db
  claude-mesh restore team.db --mesh team")]
pub(super) struct RestoreArgs {
    /// A file that `claude-mesh backup` has made, or another mesh file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The mesh; that of this folder by default.
    #[arg(long, value_name = "NAME")]
    mesh: Option<String>,
}

/// Runs `claude-mesh restore`.
pub(super) fn restore(args: &RestoreArgs, json: bool) -> CommandResult {
    let folder = CommandFolder::resolve()?;
    let file = folder.settings.working_directory.join(&args.file);
    let context = folder.into_context_of_mesh(args.mesh.as_deref(), json)?;
    context.require_person("restoring a mesh")?;
    refuse_live_sessions(&context)?;
    let wall_ms = SystemClock::new().now().wall_ms;
    let restored = store::restore(&file, &context.location.database, wall_ms);
    report(&context, &restored.map_err(describe)?)
}

/// Refuses while sessions are registered that run. A file that cannot be opened has none that work.
fn refuse_live_sessions(context: &CliContext) -> Result<(), Failure> {
    let Ok(Some(mut mesh)) = context.open_existing() else {
        return Ok(());
    };
    let Ok(views) = mesh.peers(None, PeerScope::Mesh, false) else {
        return Ok(());
    };
    let live: Vec<String> = views
        .iter()
        .filter(|view| view.peer.kind != PeerKind::Person && view.liveness != Liveness::Dead)
        .map(|view| view.peer.name.to_string())
        .collect();
    if live.is_empty() {
        return Ok(());
    }
    let message = format!("sessions of this mesh run: {}", live.join(", "));
    let hint = "close them, and try again; nothing was changed";
    Err(CliError::new("conflict", message, hint).into())
}

/// Returns the failure of a command that must have the file alone.
pub(super) fn describe(error: ExclusiveUseError) -> Failure {
    let user = match error {
        ExclusiveUseError::Fault(fault) => return fault.into(),
        ExclusiveUseError::InUse(user) => user,
    };
    let who = match user {
        FileUser {
            pid: Some(pid),
            name: Some(name),
        } => format!("{name}, process {pid},"),
        FileUser {
            pid: Some(pid),
            name: None,
        } => format!("process {pid}"),
        FileUser { pid: None, .. } => "another program".into(),
    };
    let message = format!("{who} has the file of the mesh open");
    let hint = "close all sessions, and end the hub (`claude-mesh serve`); nothing was changed";
    CliError::new("conflict", message, hint).into()
}

fn report(context: &CliContext, restored: &Restored) -> CommandResult {
    let database = &context.location.database;
    if context.json {
        print::json(&json!({
            "status": "done",
            "path": database,
            "schema": restored.schema,
            "replaced": restored.replaced,
            "continued_fences": restored.continued_fences,
        }))?;
        return Ok(CommandStatus::Done);
    }
    print::line(&format!(
        "the mesh {} is as in the backup (schema {})",
        context.location.name, restored.schema
    ))?;
    if let Some(replaced) = &restored.replaced {
        print::line(&format!(
            "what it was before is in {}",
            context.shown(replaced)
        ))?;
    }
    if !restored.replaced_was_readable {
        print::notice(
            "the replaced file could not be read, so fencing tokens that were given since the backup may be given again",
            "who compares fencing tokens must forget the highest one seen",
        )?;
    }
    Ok(CommandStatus::Done)
}
