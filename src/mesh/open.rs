//! Opens a mesh: its file, its doorbells, and the step that ends each write operation.
use std::path::Path;
#[cfg(feature = "postgres")]
use std::path::PathBuf;
use std::sync::Arc;

use crate::mesh::calm::remove_calm_markers;
use crate::mesh::claim::queue::settle_changed_queues;
use crate::mesh::connection::Mesh;
use crate::mesh::context::WriteContext;
use crate::mesh::liveness::HostView;
use crate::mesh::options::MeshOptions;
use crate::model::Result;
#[cfg(feature = "postgres")]
use crate::platform::SystemClock;
#[cfg(feature = "postgres")]
use crate::platform::id::SessionId;
use crate::platform::{Clock, Fault, fail_point};
use crate::store::Store;
#[cfg(feature = "postgres")]
use crate::store::{ChangeCounter, DatabaseClock, PostgresListener, PostgresLocation};
use crate::wake::Doorbells;

impl Mesh {
    /// Opens the mesh at `path`. Creates the file and its folder if they do not exist.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> std::result::Result<Self, Fault> {
        Self::open_with(path, clock, &MeshOptions::default())
    }

    /// Opens the mesh at `path` with options.
    pub fn open_with(
        path: &Path,
        clock: Arc<dyn Clock>,
        options: &MeshOptions,
    ) -> std::result::Result<Self, Fault> {
        let store = Store::open(path, options.store.clone())?;
        let doorbells = Doorbells::of(path);
        #[cfg(feature = "hub")]
        let doorbells = doorbells.with_own_sessions(options.own_sessions.clone());
        let host = HostView::new(doorbells, &clock.now(), options);
        Ok(Self::of(store, host, clock, options))
    }

    /// Connects to a mesh on a PostgreSQL server; creates it if there is none. Its time is that of the server, and a commit
    /// wakes sessions by a notification: a [`PostgresListener`] receives those of all programs.
    ///
    /// A connection waits for answers on the thread of its caller. Several can be open to the same mesh.
    #[cfg(feature = "postgres")]
    pub fn connect(
        place: &PostgresPlace,
        options: &MeshOptions,
    ) -> std::result::Result<Self, Fault> {
        Self::connect_with_clock(place, Arc::new(place.clock.clone()), options)
    }

    /// Does the same with a clock that is not that of the server, if the options say that the time is the caller's; for tests.
    #[cfg(feature = "postgres")]
    pub fn connect_with_clock(
        place: &PostgresPlace,
        clock: Arc<dyn Clock>,
        options: &MeshOptions,
    ) -> std::result::Result<Self, Fault> {
        let shared = (place.clock.clone(), place.changes.clone());
        let store = Store::connect_postgres(
            place.location.clone(),
            &place.path,
            shared,
            options.store.clone(),
        )?;
        // Processes are looked up on this machine, by its own boot.
        let here = SystemClock::new().now();
        let host = HostView::new(Doorbells::of(&place.path), &here, options);
        Ok(Self::of(store, host, clock, options))
    }

    fn of(store: Store, host: HostView, clock: Arc<dyn Clock>, options: &MeshOptions) -> Self {
        Self {
            store,
            clock,
            host,
            keep_ms: options.keep_ms,
            faults: options.faults.clone(),
            #[cfg(feature = "hub")]
            once: None,
            #[cfg(feature = "postgres")]
            known_targets: std::collections::BTreeMap::new(),
            before_commit,
        }
    }
}

/// What every write operation does before its commit.
fn before_commit(write: &mut WriteContext) -> Result<()> {
    settle_changed_queues(write)?;
    fail_point::reach("before-markers");
    remove_calm_markers(write.read())?;
    fail_point::reach("before-commit");
    Ok(())
}

/// A mesh on a PostgreSQL server as one process uses it. Its connections and its listener share clock and counter.
#[cfg(feature = "postgres")]
#[derive(Debug, Clone)]
pub struct PostgresPlace {
    /// The server, the database and the schema.
    pub location: PostgresLocation,
    /// The path whose neighbours are doorbells and locks of the sessions that this process serves.
    pub path: PathBuf,
    /// The clock of the server.
    pub clock: DatabaseClock,
    /// The commits that this process has made or heard of.
    pub changes: ChangeCounter,
}

#[cfg(feature = "postgres")]
impl PostgresPlace {
    /// Returns the place of a mesh whose sessions of this process have their files beside `path`.
    pub fn new(location: PostgresLocation, path: PathBuf) -> Self {
        Self {
            location,
            path,
            clock: DatabaseClock::default(),
            changes: ChangeCounter::default(),
        }
    }

    /// Returns the place of a mesh for the programs of a user: the files of their sessions are in the claude-mesh folder.
    pub fn of_home(location: PostgresLocation, mesh_home: &Path) -> Self {
        Self::new(location, mesh_home.join("hub-store").join("mesh.db"))
    }

    /// Starts to listen to the mesh, which exists since the first connection. See [`PostgresListener::start`].
    pub fn listen(
        &self,
        on_wake: impl Fn(Option<SessionId>) + Send + Sync + 'static,
    ) -> std::result::Result<PostgresListener, Fault> {
        PostgresListener::start(&self.location, &self.changes, on_wake)
    }
}
