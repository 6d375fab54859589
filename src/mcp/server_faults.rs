//! Writes faults of the server to the fault log, because stdout carries the protocol and nothing else.
use std::path::Path;

use crate::platform::fault_log;

/// Adds a line to the fault log of `mesh_home`.
pub(super) fn log(mesh_home: &Path, message: &str) {
    fault_log::append(mesh_home, "claude-mesh-server", message);
}
