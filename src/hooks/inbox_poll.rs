//! The hook at a prompt and at the end of a turn: puts what is pending for the session before its model (`prompt`), and
//! continues a turn that leaves a question unanswered (`stop`).
use std::mem::ManuallyDrop;

use super::call::HookCall;
use super::delivery::Delivery;
use super::hook_mesh::HookMesh;
use super::program::HookAnswer;
use super::server_delivery::ServerDelivery;
use super::{activity, calm, prompt, prompt_text, stop};
use crate::claude_code::{self, HookEvent, HookOutput};
use crate::mesh::{EndingTurn, Mesh, SessionHandle};
use crate::model::{Error, PeerKind};
use crate::platform::process::ProcessKey;
use crate::platform::project::Project;
use crate::store::Session;

/// A younger session may still be starting its server.
const SERVER_STARTUP_GRACE_MS: i64 = 20_000;

/// Returns what the model gets at this event, if anything is pending.
pub fn inbox_poll(call: &HookCall) -> Result<Option<HookAnswer>, Error> {
    if !matches!(
        call.event,
        HookEvent::Prompted { .. } | HookEvent::Stopping { .. }
    ) || !call.is_addressable()
    {
        return Ok(None);
    }
    let Some(project) = call.project()? else {
        return Ok(None);
    };
    let process = call.client()?;
    if calm::settle(call, &project, process)? {
        return Ok(None);
    }
    if let Some(delivery) = ask_server(call, &project, process)? {
        return Ok(Some(HookAnswer::FromServer(delivery)));
    }
    let output = deliver_from_database(call, project, process)?;
    Ok(output.map(HookAnswer::Output))
}

/// Returns what the server of the session delivers. One of another client, or of a session that keeps no activity summary, does
/// not: the hook also records in the database then.
fn ask_server(
    call: &HookCall,
    project: &Project,
    process: ProcessKey,
) -> Result<Option<ServerDelivery>, Error> {
    if call.other_client || !call.settings.keeps_activity {
        return Ok(None);
    }
    let place = project.mesh_location(&call.settings)?;
    let home = &call.settings.mesh_home;
    Ok(ServerDelivery::ask(
        home,
        process,
        &place.database,
        &call.payload,
    ))
}

fn deliver_from_database(
    call: &HookCall,
    project: Project,
    process: ProcessKey,
) -> Result<Option<HookOutput>, Error> {
    // The process ends right after this, which closes the database faster than `drop` does.
    let mut mesh = ManuallyDrop::new(call.open(&project)?);
    let me = call.find_or_register(&mut mesh, process, project)?;
    if me.kind == PeerKind::Run {
        return Ok(None);
    }
    // Another client starts its server with the first call of a tool, if not before.
    if !call.other_client && !mesh.doorbells().is_server_running(me.session) {
        let registry_entry = claude_code::registry_entry(&call.settings.claude.config_dir, process);
        let started_at_ms = registry_entry.and_then(|entry| entry.started_at_ms);
        return restart_notice(&mut mesh, &me, started_at_ms);
    }
    record_busy_or_idle(call, &mut mesh, &me, process);
    activity::record(call, &mut *mesh, &me);
    let Some(delivery) = deliver(call, &mut *mesh, &me)? else {
        // Its server sees whether the next hook may end without the database, and peers see the budget that a prompt resets.
        mesh.doorbells().write_doorbell(me.session);
        return Ok(None);
    };
    call.tolerate_unmarked(delivery.record(&mut *mesh, &me))?;
    Ok(Some(delivery.output))
}

/// Returns what the model gets at the event. The caller records the delivery, and what the event shows of the work.
pub(crate) fn deliver<'a, M: HookMesh>(
    call: &'a HookCall,
    mesh: &mut M,
    me: &SessionHandle,
) -> Result<Option<Delivery<'a>>, Error> {
    match &call.event {
        HookEvent::Prompted { prompt, .. } => prompt::attach_pending(call, mesh, me, prompt),
        HookEvent::Stopping {
            turn,
            already_blocked,
            ..
        } => {
            let turn = EndingTurn {
                id: turn.as_deref().unwrap_or_default(),
                already_blocked: *already_blocked,
            };
            stop::continue_turn(call, mesh, me, turn)
        }
        _ => Ok(None),
    }
}

/// Returns the notice for a session without a server, which cannot answer; each session gets it once.
///
/// `started_at_ms` is the start of its process, if that is known. The start in the database may be that of this very hook.
fn restart_notice(
    mesh: &mut Mesh,
    me: &SessionHandle,
    started_at_ms: Option<i64>,
) -> Result<Option<HookOutput>, Error> {
    let now_ms = mesh.now().wall_ms;
    let starting = |row: &Session| {
        now_ms - started_at_ms.unwrap_or(row.started_at_ms) < SERVER_STARTUP_GRACE_MS
            && !row.has_server
    };
    match mesh.session(me)? {
        Some(row) if !row.restart_notified && !starting(&row) => {
            mesh.mark_restart_notified(me)?;
            Ok(Some(HookOutput::Message(
                prompt_text::RESTART_NOTICE.to_owned(),
            )))
        }
        _ => Ok(None),
    }
}

/// Records whether the session is busy, if neither the registry of Claude Code nor an activity summary does.
fn record_busy_or_idle(call: &HookCall, mesh: &mut Mesh, me: &SessionHandle, process: ProcessKey) {
    if call.settings.keeps_activity {
        return;
    }
    let status_known = claude_code::registry_entry(&call.settings.claude.config_dir, process)
        .is_some_and(|entry| entry.status.is_some());
    if !status_known {
        let activity = if matches!(call.event, HookEvent::Stopping { .. }) {
            "idle"
        } else {
            "busy"
        };
        let _ = mesh.set_activity(me, activity);
    }
}
