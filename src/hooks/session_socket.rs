//! Asks the server of the session for the output of a hook, where the mesh is at a hub: the server has it in memory, and a hook
//! opens no connection to another machine.
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::call::HookCall;
use crate::platform::process::ProcessKey;
use crate::platform::{Fault, permissions};

/// How long a hook waits for its server; then it prints nothing.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(250);
/// No output is larger.
const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;

/// Whether the hook waits until its session is to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HookRequest {
    /// It prints what is there now.
    Run,
    /// It waits, for as long as its session lives.
    #[cfg(feature = "watcher")]
    Wait,
}

impl HookRequest {
    /// Returns the first line of a request.
    pub(crate) fn line(self) -> &'static str {
        match self {
            Self::Run => "run",
            #[cfg(feature = "watcher")]
            Self::Wait => "wait",
        }
    }

    /// Returns the request of a first line.
    #[cfg(feature = "remote")]
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        [Self::Run, Self::Wait]
            .into_iter()
            .find(|request| request.line() == line)
    }
}

/// Returns the folder of the sockets at which servers answer hooks.
pub(crate) fn sockets_folder(mesh_home: &Path) -> PathBuf {
    mesh_home.join("run")
}

/// Returns the socket at which the server of a client process answers its hooks.
pub(crate) fn socket_path(mesh_home: &Path, client: ProcessKey) -> PathBuf {
    let name = format!("{}-{}.sock", client.pid, client.started);
    sockets_folder(mesh_home).join(name)
}

/// Returns the output of a hook as the server of its session has it; empty if there is none, or if no server answers.
pub(super) fn ask_server(
    call: &HookCall,
    request: HookRequest,
    payload: &[u8],
) -> Result<Vec<u8>, Fault> {
    let home = &call.settings.mesh_home;
    let socket = socket_path(home, call.client()?);
    // Who owns the folder decides who may listen there.
    let Ok(metadata) = sockets_folder(home).metadata() else {
        return Ok(Vec::new());
    };
    permissions::check_owner_and_mode(&sockets_folder(home), &metadata)?;
    // A server that starts, ends or is busy has nothing to say: the next event asks again.
    Ok(exchange(&socket, request, payload).unwrap_or_default())
}

fn exchange(socket: &Path, request: HookRequest, payload: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    if request == HookRequest::Run {
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    }
    let head = format!("{}\n", request.line());
    stream.write_all(&[head.as_bytes(), payload].concat())?;
    stream.shutdown(Shutdown::Write)?;
    let mut output = Vec::new();
    stream.take(OUTPUT_BYTES_MAX).read_to_end(&mut output)?;
    Ok(output)
}
