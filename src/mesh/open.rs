//! Opens a mesh: its file, its doorbells, and the step that ends each write operation.
use std::path::Path;
use std::sync::Arc;

use crate::mesh::claim::queue::settle_changed_queues;
use crate::mesh::connection::Mesh;
use crate::mesh::liveness::HostView;
use crate::mesh::options::MeshOptions;
use crate::platform::{Clock, Fault};
use crate::store::Store;
use crate::wake::Doorbells;

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
        let host = HostView::new(Doorbells::of(path), &clock.now(), options);
        Ok(Self {
            store,
            clock,
            host,
            keep_ms: options.keep_ms,
            faults: options.faults.clone(),
            #[cfg(feature = "hub")]
            once: None,
            before_commit: settle_changed_queues,
        })
    }
}
