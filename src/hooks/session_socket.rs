//! Asks the server of the session for the output of a hook, where the mesh is at a hub: the server has it in memory, and a hook
//! opens no connection to another machine.
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::call::HookCall;
use super::session_start;
use crate::model::Error;
use crate::platform::session_socket::{hook_socket_path, sockets_folder};
use crate::platform::{clock, permissions};

/// How long a hook waits for its server; then it prints nothing.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(250);
/// No output is larger.
pub(super) const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;

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

/// Returns the output of a hook as the server of its session has it; nothing if there is none, or if no server answers.
pub(super) fn ask_server(call: &HookCall, request: HookRequest) -> Result<Option<Vec<u8>>, Error> {
    let home = &call.settings.mesh_home;
    let socket = hook_socket_path(home, call.client()?);
    let folder = sockets_folder(home);
    // Who owns the folder decides who may listen there.
    if folder.exists() {
        permissions::check_own_folder(&folder)?;
    }
    match exchange(&socket, request, &call.payload) {
        Ok(output) => Ok((!output.is_empty()).then_some(output)),
        // A server that starts, ends or is busy has nothing to say: the next event asks again.
        Err(_) if request == HookRequest::Run => session_start::text_without_server(call),
        Err(_) => Ok(None),
    }
}

fn exchange(socket: &Path, request: HookRequest, payload: &[u8]) -> io::Result<Vec<u8>> {
    let first_line = format!("{}\n", request.line());
    let mut output = Vec::new();
    #[cfg(feature = "watcher")]
    if request == HookRequest::Wait {
        let stream = UnixStream::connect(socket)?;
        (&stream).write_all(first_line.as_bytes())?;
        // It sends no end: the end of the connection tells the server that this hook has ended.
        stream.take(OUTPUT_BYTES_MAX).read_to_end(&mut output)?;
        return Ok(output);
    }
    let mut stream = DeadlineStream::connect(socket, ANSWER_TIMEOUT)?;
    stream.write_all(first_line.as_bytes())?;
    stream.write_all(payload)?;
    stream.inner.shutdown(Shutdown::Write)?;
    stream.take(OUTPUT_BYTES_MAX).read_to_end(&mut output)?;
    Ok(output)
}

/// A connection on which all has to be sent and answered within a time.
#[derive(Debug)]
pub(super) struct DeadlineStream {
    inner: UnixStream,
    ends_monotonic_ms: i64,
}

impl DeadlineStream {
    pub(super) fn connect(socket: &Path, timeout: Duration) -> io::Result<Self> {
        let mut stream = Self {
            inner: UnixStream::connect(socket)?,
            ends_monotonic_ms: 0,
        };
        stream.extend(timeout);
        Ok(stream)
    }

    /// Gives the connection this time from now on.
    pub(super) fn extend(&mut self, timeout: Duration) {
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        self.ends_monotonic_ms = clock::monotonic_ms() + timeout_ms;
    }

    fn time_left(&self) -> io::Result<Duration> {
        match u64::try_from(self.ends_monotonic_ms - clock::monotonic_ms()) {
            Ok(left_ms @ 1..) => Ok(Duration::from_millis(left_ms)),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Read for DeadlineStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.set_read_timeout(Some(self.time_left()?))?;
        self.inner.read(buffer)
    }
}

impl Write for DeadlineStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.set_write_timeout(Some(self.time_left()?))?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
