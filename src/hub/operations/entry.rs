//! Makes the entries of the operations of the hub.
use crate::model::Result;
use crate::tools::{Effect, JsonObject, Operation, ToolEntry};

/// Returns an entry that no list of tools has.
pub(super) const fn entry(
    name: &'static str,
    schema: fn() -> JsonObject,
    handler: fn(JsonObject) -> Result<Operation>,
) -> ToolEntry {
    ToolEntry {
        set: "hub",
        name,
        description: "",
        schema,
        handler,
        effect: Effect::Writes,
        always_load: false,
        large_result: false,
    }
}
