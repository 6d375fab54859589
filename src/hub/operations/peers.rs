//! Operations on peers: read one, quiet it, remove it; and the pause of the mesh.
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::hub::operations::entry::entry;
use crate::mesh::{PeerScope, PeerView};
use crate::model::throttle::{FOREVER_MS, end_text};
use crate::model::{PeerKind, Refusal, Result};
use crate::platform::Moment;
use crate::tools::{self, CallContext, JsonObject, Operation, ToolEntry, output};

pub(super) const OPERATIONS: [ToolEntry; 7] = [
    entry("peer", tools::schema_of::<PeerParams>, peer),
    entry("quiet", tools::schema_of::<QuietParams>, quiet),
    entry("end_quiet", tools::schema_of::<PeerParams>, end_quiet),
    entry("pause", tools::schema_of::<PauseParams>, pause),
    entry("end_pause", tools::schema_of::<NoParams>, end_pause),
    entry("forget_peer", tools::schema_of::<PeerParams>, forget_peer),
    entry("meshes", tools::schema_of::<NoParams>, no_operation),
];

/// The longest quiet or pause with an end: a year.
const DURATION_SECONDS_MAX: u32 = 31_536_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PeerParams {
    name: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QuietParams {
    name: String,
    /// without it until a person ends it
    #[schemars(range(min = 1, max = 31_536_000))]
    duration_seconds: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PauseParams {
    /// without it until a person ends it
    #[schemars(range(min = 1, max = 31_536_000))]
    duration_seconds: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoParams {}

/// Returns the name in a path, where `me` is the caller.
fn resolve_name(call: &CallContext<'_>, name: &str) -> String {
    match name.trim().to_lowercase().as_str() {
        "me" => call.me.name.to_string(),
        name => name.to_owned(),
    }
}

/// Returns the end of a throttle in wall milliseconds.
fn end_ms(now: &Moment, duration_seconds: Option<u32>) -> Result<i64> {
    match duration_seconds {
        None => Ok(FOREVER_MS),
        Some(seconds @ 1..=DURATION_SECONDS_MAX) => Ok(now.wall_ms + i64::from(seconds) * 1000),
        Some(seconds) => Err(Refusal::argument(format!(
            "\"duration_seconds\" must be from 1 to {DURATION_SECONDS_MAX}, got {seconds}"
        ))
        .into()),
    }
}

fn peer(arguments: JsonObject) -> Result<Operation> {
    let PeerParams { name } = tools::read_arguments(arguments)?;
    Ok(tools::single_step(move |call| {
        let name = resolve_name(call, &name);
        let views = call.mesh.peers(Some(&call.me), PeerScope::Mesh, true)?;
        let is_meant = |view: &&PeerView| {
            view.peer.name.as_str() == name
                || view.peer.id.to_string().eq_ignore_ascii_case(&name)
                || view.aliases.contains(&name)
        };
        let by_name = views.iter().find(|view| view.peer.name.as_str() == name);
        match by_name.or_else(|| views.iter().find(is_meant)) {
            Some(view) => Ok(output::peer(view, call.mesh.now().wall_ms)),
            None => Err(call.mesh.unknown_peer(&call.me, &name)?.into()),
        }
    }))
}

fn quiet(arguments: JsonObject) -> Result<Operation> {
    let QuietParams {
        name,
        duration_seconds,
    } = tools::read_arguments(arguments)?;
    Ok(tools::single_step(move |call| {
        let name = resolve_name(call, &name);
        if name != call.me.name.as_str() && call.me.kind != PeerKind::Person {
            let problem = format!("only a person may make the peer \"{name}\" quiet");
            return Err(Refusal::NotYours { problem }.into());
        }
        let until_ms = end_ms(&call.mesh.now(), duration_seconds)?;
        let name = call.mesh.set_quiet(&call.me, &name, Some(until_ms))?;
        Ok(json!({ "peer": name, "quiet": true, "until": end_text(until_ms) }))
    }))
}

fn end_quiet(arguments: JsonObject) -> Result<Operation> {
    let PeerParams { name } = tools::read_arguments(arguments)?;
    Ok(tools::single_step(move |call| {
        let name = resolve_name(call, &name);
        let name = call.mesh.set_quiet(&call.me, &name, None)?;
        Ok(json!({ "peer": name, "quiet": false, "until": null }))
    }))
}

fn pause(arguments: JsonObject) -> Result<Operation> {
    let PauseParams { duration_seconds } = tools::read_arguments(arguments)?;
    Ok(tools::single_step(move |call| {
        let until_ms = end_ms(&call.mesh.now(), duration_seconds)?;
        call.mesh.set_mesh_paused(&call.me, Some(until_ms))?;
        Ok(json!({ "paused": true, "until": end_text(until_ms) }))
    }))
}

fn end_pause(arguments: JsonObject) -> Result<Operation> {
    let NoParams {} = tools::read_arguments(arguments)?;
    Ok(tools::single_step(|call| {
        call.mesh.set_mesh_paused(&call.me, None)?;
        Ok(json!({ "paused": false, "until": null }))
    }))
}

fn forget_peer(arguments: JsonObject) -> Result<Operation> {
    let PeerParams { name } = tools::read_arguments(arguments)?;
    Ok(tools::single_step(move |call| {
        let name = resolve_name(call, &name);
        if !call.mesh.forget_peer(&call.me, &name)? {
            return Err(call.mesh.unknown_peer(&call.me, &name)?.into());
        }
        Ok(json!({ "forgotten": true, "peer": name }))
    }))
}

/// The route lists the meshes itself.
fn no_operation(arguments: JsonObject) -> Result<Operation> {
    let NoParams {} = tools::read_arguments(arguments)?;
    Ok(tools::single_step(|_| Ok(json!({}))))
}
