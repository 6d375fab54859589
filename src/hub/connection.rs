//! Accepts connections and serves the requests on them: TCP, with TLS if it is configured, and the socket of the user.
//!
//! The limits of a connection are here: how many there are, how long a client takes for the head of a request, and how large
//! it is.
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::{
    set_socket_keepalive, set_socket_send_buffer_size, set_tcp_keepcnt, set_tcp_keepidle,
    set_tcp_keepintvl,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt};

use crate::hub::log::log;

/// How many connections are open at once. More wait to be accepted.
pub(super) const CONNECTIONS_MAX: usize = 4096;
/// How long a client may take for the head of a request, and for the beginning of TLS.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The size limit of the head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How long a client may take nothing of what is sent to it; then its connection is cut.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How much is kept for a client that does not read, by the hub and by the system each, in bytes. The hub adds one event of
/// a stream to it.
const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// After which time without an acknowledgement a client is gone: its machine is off or sleeps, or its network is cut.
const DEAD_CLIENT_TIMEOUT: Duration = Duration::from_secs(20);
/// How often the system asks a client that is silent.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// The pause after the system accepted no connection, which it does while it has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What answers requests.
pub(super) type HubService = BoxCloneSyncService<Request, Response, std::convert::Infallible>;

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestSource {
    /// An address.
    Tcp(IpAddr),
    /// The socket of the user.
    Socket,
}

/// The open connections of a hub.
pub(super) struct Connections {
    service: HubService,
    tls: Option<TlsAcceptor>,
    graceful: GracefulShutdown,
    free: Arc<Semaphore>,
}

impl Connections {
    pub(super) fn new(service: HubService, tls: Option<TlsAcceptor>) -> Self {
        Self {
            service,
            tls,
            graceful: GracefulShutdown::new(),
            free: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        }
    }

    /// Accepts connections until it is dropped.
    pub(super) async fn accept(&self, tcp: &TcpListener, socket: &UnixListener) {
        loop {
            let Ok(permit) = Arc::clone(&self.free).acquire_owned().await else {
                return;
            };
            let accepted = tokio::select! {
                tcp = tcp.accept() => tcp.map(|(stream, address)| {
                    // Without it the end of a streamed response waits for the client's acknowledgement.
                    let _ = stream.set_nodelay(true);
                    let _ = set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES);
                    let _ = notice_dead_client(&stream);
                    self.serve_tcp(stream, address.ip(), permit);
                }),
                socket = socket.accept() => socket.map(|(stream, _)| {
                    self.serve(stream, RequestSource::Socket, permit);
                }),
            };
            if let Err(error) = accepted {
                pause_after(&error).await;
            }
        }
    }

    fn serve_tcp(
        &self,
        stream: tokio::net::TcpStream,
        address: IpAddr,
        permit: OwnedSemaphorePermit,
    ) {
        let source = RequestSource::Tcp(address.to_canonical());
        let Some(tls) = self.tls.clone() else {
            self.serve(stream, source, permit);
            return;
        };
        let (service, watcher) = (self.service_of(source), self.graceful.watcher());
        tokio::spawn(async move {
            // Who does not finish the beginning of TLS in time is cut.
            if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
                serve_connection(stream, service, watcher).await;
            }
            drop(permit);
        });
    }

    fn serve<S>(&self, stream: S, source: RequestSource, permit: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (service, watcher) = (self.service_of(source), self.graceful.watcher());
        tokio::spawn(async move {
            serve_connection(stream, service, watcher).await;
            drop(permit);
        });
    }

    /// Returns the service for requests that come from there.
    fn service_of(&self, source: RequestSource) -> HubService {
        BoxCloneSyncService::new(Extension(source).layer(self.service.clone()))
    }

    /// Lets the requests that run end, for at most this long, and closes all connections.
    pub(super) async fn shut_down(self, limit: Duration) {
        if tokio::time::timeout(limit, self.graceful.shutdown())
            .await
            .is_err()
        {
            log("some requests had not ended in time and were cut");
        }
    }
}

/// Lets the system close the connection of a client that is gone: otherwise its session would seem to be served for a quarter
/// of an hour.
fn notice_dead_client(stream: &tokio::net::TcpStream) -> io::Result<()> {
    let tries = DEAD_CLIENT_TIMEOUT.as_secs() / KEEPALIVE_INTERVAL.as_secs() - 1;
    set_socket_keepalive(stream, true)?;
    set_tcp_keepidle(stream, KEEPALIVE_INTERVAL)?;
    set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    set_tcp_keepcnt(stream, u32::try_from(tries).unwrap_or(1))?;
    #[cfg(target_os = "linux")]
    {
        let timeout_ms = u32::try_from(DEAD_CLIENT_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(stream, timeout_ms)?;
    }
    Ok(())
}

async fn serve_connection<S>(stream: S, service: HubService, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service.map_request(|request: hyper::Request<_>| request.map(Body::new));
    let mut stream = Box::pin(TimeoutStream::new(stream));
    stream
        .as_mut()
        .set_write_timeout_pinned(Some(WRITE_TIMEOUT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(SEND_BUFFER_BYTES)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    // A connection that fails concerns its client only.
    let _ = watcher.watch(connection).await;
}

async fn pause_after(error: &io::Error) {
    let is_of_one_client = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    );
    if !is_of_one_client {
        log(&format!("no connection can be accepted: {error}"));
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
