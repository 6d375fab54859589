//! Starts and ends `claude-mesh-remote`.
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use crate::mcp;
use crate::platform::isolation::MeshAddress;
use crate::platform::project::Project;
use crate::platform::{Fault, FaultKind, Settings, fault_log, version};
use crate::remote::link::{LEAVE_TIMEOUT, Link, PROGRAM};
use crate::remote::server::RemoteServer;
use crate::remote::{hook_socket, mod_calls, wake};

/// Runs the program on stdin and stdout until its client has ended.
pub fn run() -> ExitCode {
    if let Some(line) = version::version_line_if_requested() {
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
        return ExitCode::SUCCESS;
    }
    let link = Settings::of_this_process().and_then(link_of);
    if let Err(fault) = &link {
        report(&format!("{fault}; {}", fault.hint));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            report(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(serve(link));
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn link_of(settings: Settings) -> Result<Arc<Link>, Fault> {
    let project = Project::of(&settings.project_folder(true), &settings)?;
    match project.mesh_address(&settings)? {
        MeshAddress::Hub(hub) => Ok(Arc::new(Link::new(settings, project, hub))),
        MeshAddress::File(location) => Err(Fault::new(
            FaultKind::Setting,
            format!(
                "the mesh of this folder is the file {}",
                location.database.display()
            ),
            "start claude-mesh-server instead, or name a hub with `claude-mesh wall FOLDER URL`",
        )),
    }
}

async fn serve(link: Result<Arc<Link>, Fault>) -> std::io::Result<()> {
    let shared = link.as_ref().ok().cloned();
    let mut sockets = tokio::task::JoinSet::new();
    if let Some(link) = &shared {
        sockets.spawn(hook_socket::answer_hooks(Arc::clone(link)));
        sockets.spawn(mod_calls::answer_guard(Arc::clone(link)));
    }
    if let Some(link) = &shared {
        tokio::spawn(wake::report_activity(Arc::clone(link)));
    }
    let stdin_closed = tokio::sync::watch::Sender::new(false);
    let client_process = shared.as_ref().map(|link| link.client_process());
    let server = RemoteServer::new(link, stdin_closed.subscribe());
    let reason = mcp::serve_until_end(server, stdin_closed, client_process).await?;
    // Their files are removed with them.
    sockets.shutdown().await;
    if let Some(link) = shared {
        let _ = tokio::time::timeout(LEAVE_TIMEOUT, link.leave(reason)).await;
    }
    Ok(())
}

/// Writes a fault to stderr and to the fault log.
fn report(message: &str) {
    let _ = writeln!(std::io::stderr(), "{PROGRAM}: {message}");
    if let Some(home) = Settings::mesh_home_of_this_process() {
        fault_log::append(&home, PROGRAM, message);
    }
}
