//! The socket at which the server of a session delivers to its hooks.
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use claude_mesh::platform::{process, session_socket};

/// Returns the socket of the server of a client process; `None` if the client has ended.
pub(crate) fn delivery_socket(home: &Path, client: u32) -> Option<PathBuf> {
    let client = process::stat(i32::try_from(client).unwrap())?;
    let home = home.join(".claude-mesh");
    Some(session_socket::delivery_socket_path(&home, client.key))
}

/// Waits until the server has recorded what the hooks before have printed: it answers one after the other.
pub(crate) fn wait_for_deliveries(home: &Path, client: u32) {
    let connected = delivery_socket(home, client).map(UnixStream::connect);
    if let Some(Ok(mut server)) = connected {
        // A server that is stopped, or gets no lock, does not answer.
        let timeout = Some(Duration::from_secs(1));
        server.set_read_timeout(timeout).unwrap();
        let _ = server.write_all(b"\n");
        let _ = server.read_to_end(&mut Vec::new());
    }
}
