//! The tool `mesh_status`: the mesh in figures, for a model that is asked about its state.
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::model::Result;
use crate::tools::call::{Operation, single_step};
use crate::tools::entry::{Effect, JsonObject, ToolEntry};
use crate::tools::{arguments, output, results, schema};

pub(super) const TOOLS: [ToolEntry; 1] = [ToolEntry {
    set: "ask",
    name: "mesh_status",
    description: "This mesh in figures: peers, questions, size, how sessions are woken.",
    schema: schema::schema_of::<MeshStatusParams>,
    handler: mesh_status,
    effect: Effect::Reads,
    always_load: false,
    large_result: false,
}];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MeshStatusParams {}

fn mesh_status(arguments: JsonObject) -> Result<Operation> {
    let MeshStatusParams {} = arguments::read(arguments)?;
    Ok(single_step(move |call| {
        let status = call.mesh.status()?;
        let mut body = json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "schema": status.schema,
            "path": call.mesh.place(),
            "mesh": call.location.name,
            "bytes": status.bytes,
            "wal_bytes": status.wal_bytes,
            "uptime_seconds": call.uptime_seconds,
            "pid": std::process::id(),
            "wake": call.wake,
        });
        results::add(&mut body, output::status(&status));
        Ok(body)
    }))
}
