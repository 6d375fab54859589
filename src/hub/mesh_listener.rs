//! How the hub learns that a session of it is to look: by a doorbell beside a file, or by a notification of a server.
use std::time::Duration;

use crate::platform::Fault;
use crate::platform::id::SessionId;
#[cfg(feature = "postgres")]
use crate::store::PostgresListener;
use crate::wake::SharedListener;

/// The longest time between two polls of a waiting call of a mesh on a server: a notification can be lost with its
/// connection.
#[cfg(feature = "postgres")]
const SERVER_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The listener of one mesh.
pub(super) enum MeshListener {
    File(SharedListener),
    /// It hears of all sessions of the mesh.
    #[cfg(feature = "postgres")]
    Server {
        _listener: PostgresListener,
    },
}

impl MeshListener {
    /// Listens to a session from now on.
    pub(super) fn add(&self, session: SessionId) -> Result<(), Fault> {
        match self {
            Self::File(listener) => listener.add(session),
            #[cfg(feature = "postgres")]
            Self::Server { .. } => Ok(()),
        }
    }

    /// Listens to a session no more.
    pub(super) fn remove(&self, session: SessionId) {
        match self {
            Self::File(listener) => listener.remove(session),
            #[cfg(feature = "postgres")]
            Self::Server { .. } => {}
        }
    }

    /// Returns the longest time between two polls of a waiting call.
    pub(super) fn poll_interval(&self) -> Duration {
        match self {
            Self::File(listener) => listener.poll_interval(),
            #[cfg(feature = "postgres")]
            Self::Server { .. } => SERVER_POLL_INTERVAL,
        }
    }

    /// Returns the word for how sessions are woken.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::File(listener) => listener.kind().as_str(),
            #[cfg(feature = "postgres")]
            Self::Server { .. } => "notify",
        }
    }
}
