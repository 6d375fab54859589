//! Starts and ends the hub: `claude-mesh serve`.
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tower::Layer;
use tower::util::MapRequestLayer;

use crate::hub::descriptor_limit;
use crate::hub::mesh_path::take_mesh_name;
use crate::hub::routes;
use crate::hub::state::Hub;
use crate::model::Error;
use crate::platform::Settings;

/// How long requests may run on after the signal to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// How the hub is started.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Where it listens.
    pub address: SocketAddr,
}

/// Why the hub could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address as given.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The mesh cannot be opened.
    #[error(transparent)]
    Mesh(#[from] Error),
    /// The server failed.
    #[error("the hub has failed: {0}")]
    Io(#[from] io::Error),
}

/// Runs a hub until the process gets SIGINT or SIGTERM. Calls `on_start` with the address when it accepts requests.
///
/// # Errors
/// The address cannot be used, or the default mesh cannot be opened.
pub fn serve(
    settings: Settings,
    options: &ServeOptions,
    on_start: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    descriptor_limit::raise();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(settings, options, on_start))
}

async fn run(
    settings: Settings,
    options: &ServeOptions,
    on_start: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    let address = options.address;
    let listen = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(listen)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    let hub = Arc::new(Hub::new(settings));
    hub.default_mesh()?;
    let handle = Handle::new();
    tokio::spawn(stop_on_signal(Arc::clone(&hub), handle.clone()));
    // The routes are found by the path without the name of the mesh.
    let routes = MapRequestLayer::new(take_mesh_name).layer(routes::router(Arc::clone(&hub)));
    let service = Router::new().fallback_service(routes);
    let server = axum_server::from_tcp(listener)?.handle(handle);
    on_start(bound);
    server
        .serve(service.into_make_service_with_connect_info::<SocketAddr>())
        .await?;
    hub.unregister_all();
    Ok(())
}

async fn stop_on_signal(hub: Arc<Hub>, handle: Handle<SocketAddr>) {
    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate)] = signals else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    hub.stop();
    handle.graceful_shutdown(Some(SHUTDOWN_TIMEOUT));
}
