//! Asks the server of the session for what a prompt or Stop hook delivers: the server has the database open, and opening it
//! takes a hook longer than all else.
//!
//! The hook confirms what it has printed, and only then the server records it as delivered: a hook that is killed or gives up
//! loses nothing, it is delivered again. Without an answer the hook opens the database itself.
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use super::session_socket::{DeadlineStream, OUTPUT_BYTES_MAX};
use crate::platform::permissions;
use crate::platform::process::ProcessKey;
use crate::platform::session_socket::{delivery_socket_path, sockets_folder};

/// How long a hook waits for the answer; then it opens the database. The confirmation never waits.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(150);
/// The first line of an answer is shorter.
const LENGTH_BYTES_MAX: u64 = 20;

/// What the server of a session has for a hook.
#[derive(Debug)]
pub struct ServerDelivery {
    pub(super) output: Vec<u8>,
    server: DeadlineStream,
}

impl ServerDelivery {
    /// Returns what the server of a client process delivers from this database; `None` if it does not answer.
    pub(super) fn ask(
        mesh_home: &Path,
        client: ProcessKey,
        database: &Path,
        payload: &[u8],
    ) -> Option<Self> {
        let socket = delivery_socket_path(mesh_home, client);
        let mut server = DeadlineStream::connect(&socket, ANSWER_TIMEOUT).ok()?;
        // Who owns the folder decides who may listen there.
        permissions::check_own_folder(&sockets_folder(mesh_home)).ok()?;
        let mut request = DeliveryHead::line(database, payload).into_bytes();
        request.extend_from_slice(database.as_os_str().as_bytes());
        request.extend_from_slice(payload);
        server.write_all(&request).ok()?;
        let output = read_answer(&mut server).ok()?;
        Some(Self { output, server })
    }

    /// Confirms that the output is printed. The server records that at once; the hook does not wait for it.
    pub(super) fn confirm(mut self) {
        if !self.output.is_empty() {
            self.server.extend(ANSWER_TIMEOUT);
            let _ = self.server.write_all(&[1]);
        }
    }
}

/// Reads the length of an output and the output.
fn read_answer(server: &mut DeadlineStream) -> io::Result<Vec<u8>> {
    let mut reader = BufReader::new(server);
    let mut line = String::new();
    (&mut reader).take(LENGTH_BYTES_MAX).read_line(&mut line)?;
    let length = line.strip_suffix('\n').and_then(|it| it.parse().ok());
    let length = length.filter(|length| *length <= OUTPUT_BYTES_MAX);
    let length: u64 = length.ok_or(io::ErrorKind::InvalidData)?;
    let mut output = Vec::new();
    reader.take(length).read_to_end(&mut output)?;
    if output.len() as u64 == length {
        Ok(output)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// The first line of a request: the lengths of the path of the database and of the event, which follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeliveryHead {
    pub(crate) database_bytes: usize,
    pub(crate) payload_bytes: usize,
}

impl DeliveryHead {
    fn line(database: &Path, payload: &[u8]) -> String {
        let database_bytes = database.as_os_str().len();
        format!("deliver {database_bytes} {}\n", payload.len())
    }

    /// Returns the head that a line is, without its end.
    #[cfg(feature = "server")]
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (database_bytes, payload_bytes) = line.strip_prefix("deliver ")?.split_once(' ')?;
        Some(Self {
            database_bytes: database_bytes.parse().ok()?,
            payload_bytes: payload_bytes.parse().ok()?,
        })
    }
}
