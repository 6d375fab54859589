//! Starts and ends the hub: `claude-mesh serve`.
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::middleware;
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tower::Layer;
use tower::util::{BoxCloneSyncService, MapRequestLayer};

use crate::hub::connection::{Connections, HubService};
use crate::hub::descriptor_limit;
#[cfg(feature = "postgres")]
use crate::hub::hub_files::StoreRecord;
use crate::hub::hub_files::{self, HubFiles, HubRecord};
use crate::hub::local_key::LocalKey;
use crate::hub::log::{self, log};
use crate::hub::mesh_path::take_mesh_name;
use crate::hub::port_owner::find_port_owner;
use crate::hub::requests_in_use::{RequestsInUse, count_request};
use crate::hub::routes;
use crate::hub::safety::{Safety, SafetyOptions};
use crate::hub::serve_error::ServeError;
use crate::hub::state::Hub;
use crate::hub::tls::{self, TlsFiles};
use crate::platform::{Settings, process};
#[cfg(feature = "postgres")]
use crate::store::PostgresLocation;

/// How long requests may run on after the signal to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Threads that run requests while others wait for the database server.
#[cfg(feature = "postgres")]
const SERVER_WORKERS: usize = 4;

/// How the hub is started.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Where it listens.
    pub address: SocketAddr,
    /// Certificate and key; without them it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Permits plain HTTP at an address that other machines reach.
    pub insecure_http: bool,
    /// How it is protected.
    pub safety: SafetyOptions,
    /// Ends after so long without a request.
    pub idle_exit: Option<Duration>,
    /// Whether it runs in the background: its stdout and stderr are [`log_path`](crate::hub::log_path).
    pub detached: bool,
    /// The database server whose mesh it serves, instead of the files of its user.
    #[cfg(feature = "postgres")]
    pub store: Option<HubStore>,
}

/// The mesh on a database server that a hub serves.
#[cfg(feature = "postgres")]
#[derive(Debug, Clone)]
pub struct HubStore {
    /// With the password of its user.
    pub location: PostgresLocation,
    /// What other programs of the user need to open it.
    pub record: StoreRecord,
}

#[cfg(feature = "postgres")]
impl ServeOptions {
    /// Returns the runtime for this kind of mesh: requests that wait for a server run beside each other.
    fn runtime(&self) -> io::Result<Runtime> {
        if self.store.is_none() {
            return one_thread();
        }
        runtime::Builder::new_multi_thread()
            .worker_threads(SERVER_WORKERS)
            .enable_all()
            .build()
    }
}

fn one_thread() -> io::Result<Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

/// Runs a hub until the process gets SIGINT or SIGTERM. Calls `on_start` with its URL when it accepts requests.
///
/// # Errors
/// The address or the files cannot be used, another hub runs, or the default mesh cannot be opened.
pub fn serve(
    settings: Settings,
    options: ServeOptions,
    on_start: impl FnOnce(&str),
) -> Result<(), ServeError> {
    if !options.address.ip().is_loopback() && options.tls.is_none() && !options.insecure_http {
        return Err(ServeError::Exposed {
            address: options.address,
        });
    }
    descriptor_limit::raise();
    #[cfg(feature = "postgres")]
    let runtime = options.runtime()?;
    #[cfg(not(feature = "postgres"))]
    let runtime = one_thread()?;
    runtime.block_on(run(settings, options, on_start))
}

async fn run(
    settings: Settings,
    options: ServeOptions,
    on_start: impl FnOnce(&str),
) -> Result<(), ServeError> {
    let running = || ServeError::Running {
        url: hub_files::read_record(&settings.mesh_home).map(|record| record.url),
    };
    let files = HubFiles::acquire(&settings.mesh_home)?.ok_or_else(running)?;
    if options.detached {
        log::keep_small(hub_files::log_path(&settings.mesh_home));
    }
    let tls = options.tls.as_ref().map(tls::acceptor).transpose()?;
    let tcp = listen(options.address).await?;
    let bound = tcp.local_addr()?;
    let url = url_of(&options, bound);
    let idle_exit = options.idle_exit;
    let hub = Hub::new(settings, Safety::new(options.safety, bound));
    #[cfg(feature = "postgres")]
    let (hub, store) = match options.store {
        Some(store) => (hub.with_store(store.location), Some(store.record)),
        None => (hub, None),
    };
    #[cfg(not(feature = "postgres"))]
    let store = None;
    let hub = Arc::new(hub);
    let local_key = LocalKey::create(&hub).await?;
    let socket = files.listen()?;
    files.write_record(&HubRecord {
        url: url.clone(),
        key: local_key.text.clone(),
        pid: process::own_pid(),
        store,
    })?;
    let requests = RequestsInUse::new();
    let connections = Connections::new(service(&hub, requests.clone()), tls);
    let mut end = End::new(requests, idle_exit)?;
    on_start(&url);
    let listeners = (tcp, socket);
    tokio::select! {
        () = connections.accept(&listeners.0, &listeners.1) => {}
        () = end.wait() => {}
    }
    stop(&hub, &files, listeners);
    connections.shut_down(SHUTDOWN_TIMEOUT).await;
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, hub.background_work_done()).await;
    local_key.revoke(&hub).await;
    files.remove_record();
    hub.unregister_all();
    Ok(())
}

/// Stops listening and ends the calls that wait.
fn stop(hub: &Hub, files: &HubFiles, listeners: (TcpListener, UnixListener)) {
    files.remove_socket();
    drop(listeners);
    hub.stop();
}

fn service(hub: &Arc<Hub>, requests: RequestsInUse) -> HubService {
    let router = routes::router(Arc::clone(hub))
        .layer(middleware::from_fn_with_state(requests, count_request));
    // The routes are found by the path without the name of the mesh.
    BoxCloneSyncService::new(MapRequestLayer::new(take_mesh_name).layer(router))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| {
        let in_use = source.kind() == io::ErrorKind::AddrInUse;
        let owner = in_use.then(|| find_port_owner(address)).flatten();
        let owner =
            owner.map(|(pid, program)| format!("; it is process {pid}, {}", program.display()));
        ServeError::Listen {
            address,
            source,
            owner,
        }
    })
}

/// Returns the URL for programs of this machine: of the loopback address if there is one, else the public one.
fn url_of(options: &ServeOptions, bound: SocketAddr) -> String {
    let scheme = if options.tls.is_some() {
        "https"
    } else {
        "http"
    };
    if options.tls.is_some()
        && let Some(url) = &options.safety.public_url
    {
        // The certificate is for that name.
        return url.clone();
    }
    let mut address = bound;
    if bound.ip().is_unspecified() {
        address.set_ip(match bound.ip() {
            IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("{scheme}://{address}")
}

/// What ends the hub: a signal, or that it had no request for long.
struct End {
    interrupt: Signal,
    terminate: Signal,
    requests: RequestsInUse,
    idle_exit: Option<Duration>,
}

impl End {
    /// Receives the signals from now on.
    fn new(requests: RequestsInUse, idle_exit: Option<Duration>) -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            requests,
            idle_exit,
        })
    }

    async fn wait(&mut self) {
        let idle = async {
            match self.idle_exit {
                Some(limit) => self.requests.idle_for(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = idle => log("the hub ends: it had no request for long"),
        }
    }
}
