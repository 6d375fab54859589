//! Starts and ends the server process. The process ends with stdin, on SIGINT, SIGTERM or SIGHUP, and with its client
//! process, however that died; and it unregisters its session.
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::mcp::framing::LineTransport;
use crate::mcp::pre_init_filter::PreInitFilter;
use crate::mcp::remote_program;
use crate::mcp::server::MeshServer;
use crate::mcp::server_faults;
use crate::mcp::session_state::Shared;
use crate::mcp::tool_server::{ToolBackend, ToolServer};
use crate::platform::process::ProcessKey;
use crate::platform::{Fault, Settings, version};

/// How long the end of a session waits for the write lock at most; the client kills a server that ends slowly.
const UNREGISTER_BUSY_TIMEOUT: Duration = Duration::from_millis(500);

pub(super) fn run() -> ExitCode {
    if let Some(line) = version::version_line_if_requested() {
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
        return ExitCode::SUCCESS;
    }
    let home = Settings::mesh_home_of_this_process();
    let fail = |message: &str| {
        write_to_stderr(message);
        if let Some(home) = &home {
            server_faults::log(home, message);
        }
        ExitCode::FAILURE
    };
    let settings = Settings::of_this_process().and_then(|settings| {
        remote_program::replace_this_process(&settings)?;
        Ok(settings)
    });
    let shared = match settings {
        Ok(settings) => Ok(Arc::new(Shared::new(settings))),
        // The server starts all the same, so that the model gets the reason.
        Err(fault) => {
            fail(&format!("{fault}; {}", fault.hint));
            Err(fault)
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    let outcome = runtime.block_on(serve(shared));
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

async fn serve(shared: std::result::Result<Arc<Shared>, Fault>) -> std::io::Result<()> {
    let stdin_closed = shared.as_ref().map_or_else(
        |_| watch::Sender::new(false),
        |shared| shared.stdin_closed(),
    );
    let client_process = shared.as_ref().ok().map(|shared| shared.client_process());
    let server = MeshServer::new(shared.clone());
    let reason = serve_until_end(server, stdin_closed, client_process).await?;
    if let Ok(shared) = shared {
        shared
            .session_state()
            .unregister(reason, UNREGISTER_BUSY_TIMEOUT);
    }
    Ok(())
}

/// Serves until stdin ends, a signal comes, or the client process has ended. Returns which of them it was.
pub(crate) async fn serve_until_end<B: ToolBackend>(
    backend: B,
    stdin_closed: watch::Sender<bool>,
    client_process: Option<watch::Receiver<Option<ProcessKey>>>,
) -> std::io::Result<&'static str> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        ended = serve_stdio(ToolServer(backend), stdin_closed) => ended?,
        _ = interrupted.recv() => "interrupted",
        _ = terminated.recv() => "terminated",
        _ = hung_up.recv() => "hung up",
        () = wait_for_client_exit(client_process) => "client gone",
    })
}

/// Serves until stdin ends. A client that ends before its first message is no fault.
async fn serve_stdio<B: ToolBackend>(
    server: ToolServer<B>,
    stdin_closed: watch::Sender<bool>,
) -> std::io::Result<&'static str> {
    let (stdin, stdout) = rmcp::transport::stdio_pipes();
    let transport = PreInitFilter::new(LineTransport::new(stdin, stdout), stdin_closed);
    match server.serve(transport).await {
        Ok(running) => running
            .waiting()
            .await
            .map(|_| "closed")
            .map_err(std::io::Error::other),
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => Ok("closed"),
        Err(error) => Err(std::io::Error::other(error)),
    }
}

/// Waits until the client process of the session has ended. The kernel notifies, so no timer is needed.
async fn wait_for_client_exit(client_process: Option<watch::Receiver<Option<ProcessKey>>>) {
    let Some(mut client_process) = client_process else {
        return std::future::pending().await;
    };
    loop {
        let client: Option<ProcessKey> = *client_process.borrow_and_update();
        let Some(client) = client else {
            if client_process.changed().await.is_err() {
                return std::future::pending().await;
            }
            continue;
        };
        tokio::select! {
            () = wait_for_process_exit(client) => return,
            changed = client_process.changed() => if changed.is_err() { return std::future::pending().await },
        }
    }
}

async fn wait_for_process_exit(client: ProcessKey) {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let Some(pid) = Pid::from_raw(client.pid) else {
        return std::future::pending().await;
    };
    let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok();
    #[expect(
        deprecated,
        reason = "its successor is unsafe; an owned descriptor meets what it asks for"
    )]
    let watch = descriptor.and_then(|descriptor| AsyncFd::new(descriptor).ok());
    match watch {
        // Another process may have got the pid between the lookup and the open.
        Some(watch) if crate::platform::process::is_alive(client) => {
            let _ = watch.readable().await;
        }
        _ if crate::platform::process::is_alive(client) => std::future::pending().await,
        _ => {}
    }
}

fn write_to_stderr(message: &str) {
    let _ = writeln!(std::io::stderr(), "claude-mesh-server: {message}");
}
