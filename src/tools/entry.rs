//! Defines the entry of a tool: everything that a program needs to offer the tool and to run it.
use serde_json::{Map, Value};

use crate::model::Result;
use crate::tools::call::Operation;

/// A JSON object: the arguments of a call, or a schema.
pub type JsonObject = Map<String, Value>;

/// What a tool changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that another session sees.
    Reads,
    /// The same call twice has the effect of one.
    Idempotent,
    /// Each call has an effect.
    Writes,
}

/// One tool.
pub struct ToolEntry {
    /// The group by which the setting `CLAUDE_MESH_TOOLS` selects it.
    pub set: &'static str,
    pub name: &'static str,
    /// Read by models.
    pub description: &'static str,
    /// Returns the JSON schema of the arguments.
    pub schema: fn() -> JsonObject,
    /// Reads the arguments.
    pub handler: fn(JsonObject) -> Result<Operation>,
    pub effect: Effect,
    /// Every session needs it.
    pub always_load: bool,
    /// The result may have more characters than a client accepts by default.
    pub large_result: bool,
}
