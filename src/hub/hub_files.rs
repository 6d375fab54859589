//! The files of a running hub in the claude-mesh folder: its lock, its socket, and `hub.json` for programs of the user.
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;

use crate::platform::lock::{self, LockGuard};
use crate::platform::{Fault, file, permissions};

/// The size limit of `hub.json`.
const BYTES_MAX: u64 = 64 * 1024;
/// What the names of pages begin with that lead to sign-in links.
const PAGE_PREFIX: &str = "board-";

/// What `hub.json` says of the running hub.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct HubRecord {
    pub(crate) url: String,
    /// A key of the scope `write`, of the peer `http-local`.
    pub(crate) key: String,
    pub(crate) pid: i32,
    /// Where its mesh is, if that is on a database server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) store: Option<StoreRecord>,
}

/// The mesh of a hub on a database server, for programs of the user that open it too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreRecord {
    /// Its URL, which has no password.
    pub url: String,
    /// The file with the password alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Without such a file, the one with the passwords of all servers, which need not exist.
    pub pass_file: PathBuf,
}

/// The files of a hub that runs. They are removed when it ends.
pub(super) struct HubFiles {
    folder: PathBuf,
    _lock: LockGuard,
}

pub(crate) fn socket_path(mesh_home: &Path) -> PathBuf {
    mesh_home.join("hub.sock")
}

/// Returns where a hub in the background writes its log.
pub fn log_path(mesh_home: &Path) -> PathBuf {
    mesh_home.join("hub.log")
}

fn record_path(mesh_home: &Path) -> PathBuf {
    mesh_home.join("hub.json")
}

/// Returns what `hub.json` says. A hub that was killed leaves it, so it does not say that a hub runs.
pub(crate) fn read_record(mesh_home: &Path) -> Option<HubRecord> {
    let content = file::read(&record_path(mesh_home), BYTES_MAX).ok()?;
    serde_json::from_slice(&content).ok()
}

impl HubFiles {
    /// Takes the lock of the hub in this folder; `None` if another hub has it.
    pub(super) fn acquire(mesh_home: &Path) -> Result<Option<Self>, Fault> {
        let lock = lock::acquire(&mesh_home.join("hub.lock"))?;
        Ok(lock.map(|lock| Self {
            folder: mesh_home.to_owned(),
            _lock: lock,
        }))
    }

    /// Listens on the socket. Replaces the one of a hub that was killed: the lock shows that none runs.
    pub(super) fn listen(&self) -> Result<UnixListener, Fault> {
        let path = socket_path(&self.folder);
        // Only the owner can reach the socket: the folder has to be theirs alone.
        let metadata = self.folder.metadata();
        let metadata = metadata.map_err(|error| Fault::io("read", &self.folder, error))?;
        permissions::check_owner_and_mode(&self.folder, &metadata)?;
        remove(&path)?;
        let listener = UnixListener::bind(&path);
        let listener = listener.map_err(|error| Fault::io("listen on", &path, error))?;
        permissions::make_private(&path)?;
        Ok(listener)
    }

    /// Writes `hub.json`.
    pub(super) fn write_record(&self, record: &HubRecord) -> Result<(), Fault> {
        let mut content = serde_json::to_vec(record).expect("texts and a number can be written");
        content.push(b'\n');
        permissions::replace_file(&record_path(&self.folder), &content)
    }

    /// Removes the socket, so that programs find no hub while this one ends.
    pub(super) fn remove_socket(&self) {
        let _ = remove(&socket_path(&self.folder));
    }

    /// Removes `hub.json`.
    pub(super) fn remove_record(&self) {
        let _ = remove(&record_path(&self.folder));
    }
}

fn remove(path: &Path) -> Result<(), Fault> {
    let ignore_missing = |error: io::Error| {
        if error.kind() == ErrorKind::NotFound {
            return Ok(());
        }
        Err(Fault::io("remove", path, error))
    };
    fs::remove_file(path).or_else(ignore_missing)
}

/// Returns the path of a page that leads a browser to a sign-in link.
pub fn board_page_path(mesh_home: &Path) -> PathBuf {
    mesh_home.join(format!("{PAGE_PREFIX}{}.html", std::process::id()))
}

/// Removes the pages that lead to sign-in links: a link is used once, within a minute.
pub fn remove_board_pages(mesh_home: &Path) {
    for entry in fs::read_dir(mesh_home).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_page = name
            .to_str()
            .and_then(|name| name.strip_prefix(PAGE_PREFIX)?.strip_suffix(".html"))
            .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        if is_page {
            let _ = fs::remove_file(entry.path());
        }
    }
}
