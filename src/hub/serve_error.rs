//! Why a hub cannot start or has to end.
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::model::Error;
use crate::platform::Fault;

/// Why the hub could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}{}", owner.as_deref().unwrap_or_default())]
    Listen {
        /// The address as given.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
        /// Who listens there, as the end of the sentence.
        owner: Option<String>,
    },
    /// A hub of this folder runs.
    #[error("a hub runs already{}", url.as_deref().map(|url| format!(" at {url}")).unwrap_or_default())]
    Running {
        /// Its address, if it is known.
        url: Option<String>,
    },
    /// Other machines could read the requests.
    #[error(
        "{address} can be reached from other machines, and plain HTTP shows them keys and texts"
    )]
    Exposed {
        /// The address as given.
        address: SocketAddr,
    },
    /// The files of TLS cannot be used.
    #[error("cannot use {} for TLS: {problem}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The mesh or its folder cannot be used.
    #[error(transparent)]
    Mesh(#[from] Error),
    /// The server failed.
    #[error("the hub has failed: {0}")]
    Io(#[from] io::Error),
}

impl From<Fault> for ServeError {
    fn from(fault: Fault) -> Self {
        Self::Mesh(fault.into())
    }
}
