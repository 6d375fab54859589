//! Opens a mesh: its file, its doorbells, and the step that ends each write operation.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::mesh::claim::queue::settle_changed_queues;
use crate::mesh::connection::Mesh;
use crate::mesh::host::HostView;
use crate::platform::{Clock, Fault};
use crate::store::{Options, Store};
use crate::wake::Doorbells;

/// How a mesh is opened.
#[derive(Debug, Clone)]
pub struct MeshOptions {
    /// How its file is opened.
    pub store: Options,
    /// The configuration folder of Claude Code, for its session registry; `None` does without.
    pub registry: Option<PathBuf>,
    /// How many turns peers may start in a session before its person types again.
    pub wake_budget: u32,
    /// How long closed questions and events are kept, in milliseconds.
    pub keep_ms: i64,
    /// The folder of the fault log, for faults that do not fail an operation.
    pub faults: Option<PathBuf>,
}

impl Default for MeshOptions {
    fn default() -> Self {
        Self {
            store: Options::default(),
            registry: None,
            wake_budget: 20,
            keep_ms: 30 * 24 * 3600 * 1000,
            faults: None,
        }
    }
}

impl Mesh {
    /// Opens the mesh at `path`. Creates the file and its folder if they do not exist.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        Self::open_with(path, clock, &MeshOptions::default())
    }

    /// Opens the mesh at `path` with options.
    pub fn open_with(
        path: &Path,
        clock: Arc<dyn Clock>,
        options: &MeshOptions,
    ) -> Result<Self, Fault> {
        let store = Store::open(path, options.store.clone())?;
        let host = HostView::new(
            Doorbells::of(path),
            &clock.now(),
            options.registry.clone(),
            options.wake_budget,
        );
        Ok(Self {
            store,
            clock,
            host,
            keep_ms: options.keep_ms,
            faults: options.faults.clone(),
            before_commit: settle_changed_queues,
        })
    }
}
