//! Places the sockets at which the server of a session answers the hooks and the mod of that session, and listens there.
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::platform::permissions;
use crate::platform::process::{self, ProcessKey};

/// Returns the folder of the sockets.
pub fn sockets_folder(mesh_home: &Path) -> PathBuf {
    mesh_home.join("run")
}

/// Returns the socket at which the server of a client process answers its hooks, where the mesh is at a hub.
pub fn hook_socket_path(mesh_home: &Path, client: ProcessKey) -> PathBuf {
    sockets_folder(mesh_home).join(format!("{}-{}.sock", client.pid, client.started))
}

/// Returns the socket at which the server of a client process delivers to its prompt and Stop hooks from the open database.
pub fn delivery_socket_path(mesh_home: &Path, client: ProcessKey) -> PathBuf {
    sockets_folder(mesh_home).join(format!("{}-{}.delivery", client.pid, client.started))
}

/// Returns the socket at which the server of a client process tells the mod which tool calls are denied.
pub fn guard_socket_path(mesh_home: &Path, client: ProcessKey) -> PathBuf {
    sockets_folder(mesh_home).join(format!("{}-{}.guard", client.pid, client.started))
}

/// Returns the client process whose server answers at a socket.
pub fn client_of_socket(path: &Path) -> Option<ProcessKey> {
    let (pid, started) = path.file_name()?.to_str()?.split_once('-')?;
    let (started, _) = started.split_once('.')?;
    Some(ProcessKey {
        pid: pid.parse().ok()?,
        started: started.parse().ok()?,
    })
}

/// The file of a socket. It is removed at the end, unless a later server of the same client has replaced it.
pub struct SocketFile {
    path: PathBuf,
    file: (u64, u64),
}

impl SocketFile {
    /// Listens, without blocking, at a path in [`sockets_folder`], and removes the sockets of clients that have ended. Fails
    /// if others own the folder or may write there.
    pub fn listen(path: PathBuf) -> Result<(UnixListener, Self), String> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let metadata =
            permissions::create_folder(folder).and_then(|()| permissions::check_own_folder(folder));
        metadata.map_err(|fault| fault.to_string())?;
        remove_dead(folder);
        let failed = |error: io::Error| format!("cannot listen at {}: {error}", path.display());
        // One rename replaces the socket of an earlier server, so that there is always one.
        let mut new = path.clone().into_os_string();
        new.push(format!(".{}", process::own_pid()));
        let new = PathBuf::from(new);
        let _ = fs::remove_file(&new);
        let listener = UnixListener::bind(&new).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let metadata = fs::symlink_metadata(&new).map_err(failed)?;
        fs::rename(&new, &path).map_err(failed)?;
        let file = (metadata.dev(), metadata.ino());
        Ok((listener, Self { path, file }))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let metadata = fs::symlink_metadata(&self.path);
        if metadata.is_ok_and(|found| (found.dev(), found.ino()) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn remove_dead(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten();
    for path in entries.flatten().map(|entry| entry.path()) {
        if client_of_socket(&path).is_some_and(|client| !process::is_alive(client)) {
            let _ = fs::remove_file(path);
        }
    }
}
