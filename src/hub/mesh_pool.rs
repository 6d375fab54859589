//! The open connections to one mesh: one to a file, several to a database server. Requests get them in the order in which
//! they ask.
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::hub::mesh_listener::MeshListener;
#[cfg(feature = "postgres")]
use crate::mesh::PostgresPlace;
use crate::mesh::{Mesh, MeshOptions};
use crate::model::Result;
use crate::platform::id::SessionId;
use crate::platform::{Clock, Settings, SystemClock};
use crate::tools::BUSY_TIMEOUT;
use crate::wake::{OwnSessions, SharedListener};

/// How many connections to a database server a hub has open at once.
#[cfg(feature = "postgres")]
const CONNECTIONS_MAX: usize = 8;
/// How long a write waits for the lock of a mesh on a server. Giving up and asking again would lose the place in the queue.
#[cfg(feature = "postgres")]
const SERVER_LOCK_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);

/// Where a mesh of the hub is stored.
#[derive(Clone)]
pub(super) enum MeshSource {
    /// In a file of this machine.
    File(PathBuf, Arc<SystemClock>),
    /// On a PostgreSQL server.
    #[cfg(feature = "postgres")]
    Server(Box<PostgresPlace>),
}

/// The connections to one mesh.
pub(super) struct MeshPool {
    source: MeshSource,
    options: MeshOptions,
    idle: Mutex<Vec<Mesh>>,
    permits: Semaphore,
}

impl MeshPool {
    /// Opens the mesh, which is created if there is none. A commit to a file wakes those of `own_sessions` directly.
    pub(super) fn open(
        source: MeshSource,
        settings: &Settings,
        own_sessions: OwnSessions,
    ) -> Result<Self> {
        let mut options = MeshOptions::from_settings(settings);
        options.own_sessions = Some(own_sessions);
        let (options, connections) = match &source {
            MeshSource::File(..) => {
                let options = options.lock_timeout(BUSY_TIMEOUT);
                (options.checkpoint_in_background(), 1)
            }
            #[cfg(feature = "postgres")]
            MeshSource::Server(_) => {
                let options = options.lock_timeout(SERVER_LOCK_TIMEOUT).by_leases();
                (options, CONNECTIONS_MAX)
            }
        };
        let pool = Self {
            source,
            options,
            idle: Mutex::default(),
            permits: Semaphore::new(connections),
        };
        let first = pool.connect()?;
        pool.idle().push(first);
        Ok(pool)
    }

    /// Returns the clock that the times in the mesh are of.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        match &self.source {
            MeshSource::File(_, clock) => Arc::clone(clock) as Arc<dyn Clock>,
            #[cfg(feature = "postgres")]
            MeshSource::Server(place) => Arc::new(place.clock.clone()),
        }
    }

    /// Returns whether the mesh is on a server, so that several hubs may serve it.
    pub(super) fn is_on_server(&self) -> bool {
        match &self.source {
            MeshSource::File(..) => false,
            #[cfg(feature = "postgres")]
            MeshSource::Server(_) => true,
        }
    }

    /// Starts to listen to the wake-ups of the mesh.
    pub(super) fn listen(
        &self,
        polling: bool,
        on_wake: impl Fn(Option<SessionId>) + Send + Sync + 'static,
    ) -> Result<MeshListener> {
        match &self.source {
            MeshSource::File(..) => {
                let doorbells = self.with_idle(|mesh| mesh.doorbells().clone())?;
                let listener = SharedListener::new(doorbells, polling, on_wake);
                Ok(MeshListener::File(listener))
            }
            #[cfg(feature = "postgres")]
            MeshSource::Server(place) => Ok(MeshListener::Server {
                _listener: place.listen(on_wake)?,
            }),
        }
    }

    /// Runs an operation on a connection, after the requests that asked before.
    pub(super) async fn run<T>(&self, operation: impl FnOnce(&mut Mesh) -> Result<T>) -> Result<T> {
        let _permit = self.permits.acquire().await;
        match self.source {
            MeshSource::File(..) => self.with_idle(operation)?,
            // It waits for the server several times: the other requests go on beside it.
            #[cfg(feature = "postgres")]
            MeshSource::Server(_) => tokio::task::block_in_place(|| self.with_idle(operation))?,
        }
    }

    /// Runs an operation at once, because the hub ends.
    pub(super) fn run_now<T>(&self, operation: impl FnOnce(&mut Mesh) -> Result<T>) -> Result<T> {
        self.with_idle(operation)?
    }

    /// Calls `use_mesh` with a connection that nobody uses; opens one if there is none.
    fn with_idle<T>(&self, use_mesh: impl FnOnce(&mut Mesh) -> T) -> Result<T> {
        let idle = self.idle().pop();
        let mut mesh = match idle {
            Some(mesh) => mesh,
            None => self.connect()?,
        };
        let outcome = use_mesh(&mut mesh);
        self.idle().push(mesh);
        Ok(outcome)
    }

    fn connect(&self) -> Result<Mesh> {
        Ok(match &self.source {
            MeshSource::File(path, clock) => {
                Mesh::open_with(path, Arc::clone(clock) as Arc<dyn Clock>, &self.options)?
            }
            #[cfg(feature = "postgres")]
            MeshSource::Server(place) => Mesh::connect(place, &self.options)?,
        })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Mesh>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
