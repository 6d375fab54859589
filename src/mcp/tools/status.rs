//! `mesh_status`.
use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::super::{arguments, results};
use super::{Call, Effect, Entry};
use crate::model::Result;
use crate::tools::output;

pub(super) const TOOLS: [Entry; 1] = [Entry {
    set: "ask",
    name: "mesh_status",
    description: "This mesh in figures: peers, questions, size, how sessions are woken.",
    schema: arguments::schema::<NoParams>,
    effect: Effect::Reads,
    always_load: false,
    large_result: false,
}];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoParams {}

pub(super) async fn mesh_status(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let NoParams {} = arguments::read(arguments)?;
    call.verb(|at| {
        let status = at.mesh.status()?;
        let mut body = json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "schema": status.schema,
            "path": at.mesh.path().display().to_string(),
            "mesh": at.place.name,
            "bytes": status.bytes,
            "wal_bytes": status.wal_bytes,
            "uptime_seconds": call.shared.uptime_seconds(),
            "pid": std::process::id(),
            "wake": at.wake,
        });
        results::add(&mut body, output::status(&status));
        Ok(results::ok(&body))
    })
    .await
}
