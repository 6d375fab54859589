//! The socket at which the program answers the hooks of its session. Only programs of the same user are answered.
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::hooks::{self, HookRequest, socket_path, sockets_folder};
use crate::platform::process::ProcessKey;
use crate::platform::{fault_log, permissions};
use crate::remote::hook_answer::answer;
use crate::remote::link::{self, Link};

/// No event of Claude Code is nearly as large.
const PAYLOAD_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long a hook may take to send its event.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers hooks for as long as the program runs, from the time on that the client process is known.
pub(super) async fn answer_hooks(link: Arc<Link>) {
    let mut client_process = link.client_process();
    let Ok(Some(process)) = client_process.wait_for(Option::is_some).await.map(|it| *it) else {
        return;
    };
    let listener = match listen(&link, process) {
        Ok(listener) => listener,
        Err(problem) => {
            return fault_log::append(&link.settings.mesh_home, link::PROGRAM, &problem);
        }
    };
    while let Ok((stream, _)) = listener.accept().await {
        let is_own = stream
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw());
        if is_own {
            tokio::spawn(serve(Arc::clone(&link), stream));
        }
    }
}

fn listen(link: &Link, process: ProcessKey) -> Result<UnixListener, String> {
    let home = &link.settings.mesh_home;
    permissions::create_folder(&sockets_folder(home)).map_err(|fault| fault.to_string())?;
    let path = socket_path(home, process);
    // A socket that is there belongs to an earlier server of the same client.
    let _ = std::fs::remove_file(&path);
    UnixListener::bind(&path)
        .map_err(|error| format!("cannot listen at {}: {error}", path.display()))
}

/// Removes the socket, because the program ends.
pub(super) fn remove(link: &Link) {
    if let Some(process) = *link.client_process().borrow() {
        let _ = std::fs::remove_file(socket_path(&link.settings.mesh_home, process));
    }
}

async fn serve(link: Arc<Link>, mut stream: UnixStream) {
    let mut request = Vec::new();
    let mut limited = (&mut stream).take(PAYLOAD_BYTES_MAX);
    let read = limited.read_to_end(&mut request);
    if !matches!(tokio::time::timeout(READ_TIMEOUT, read).await, Ok(Ok(_))) {
        return;
    }
    let Some(end) = request.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (first_line, payload) = request.split_at(end);
    let output = match HookRequest::of_line(&String::from_utf8_lossy(first_line)) {
        Some(HookRequest::Run) => answer(&link, &payload[1..]),
        Some(HookRequest::Wait) => tokio::select! {
            text = wait_for_wake(&link) => text,
            // The hook was ended.
            _ = stream.readable() => return,
        },
        None => return,
    };
    let _ = stream.write_all(output.as_bytes()).await;
}

/// Waits until something comes for an idle session without an inbox, and returns the text that wakes it.
async fn wait_for_wake(link: &Link) -> String {
    let mut snapshots = link.snapshots();
    loop {
        {
            let mut mirror = link.mirror();
            let idle = mirror.activity() != Some("busy");
            if idle
                && let Some(me) = mirror.me()
                && let Ok(Some(text)) = hooks::wake_text(&mut *mirror, &me)
            {
                link.send_soon();
                return text;
            }
        }
        if snapshots.changed().await.is_err() {
            return String::new();
        }
    }
}
