//! Operations that the hub offers beside the tools: for a person at a board, and for programs that read one thing by its id.
//! They have the shape of tools, but no model sees them.
mod board;
mod entry;
mod peers;
mod questions;
mod tasks;

use crate::tools::ToolEntry;

/// Returns the operation of this name.
pub(super) fn find(name: &str) -> Option<&'static ToolEntry> {
    const OPERATIONS: [&[ToolEntry]; 4] = [
        &board::OPERATIONS,
        &peers::OPERATIONS,
        &questions::OPERATIONS,
        &tasks::OPERATIONS,
    ];
    OPERATIONS
        .into_iter()
        .flatten()
        .find(|entry| entry.name == name)
}
