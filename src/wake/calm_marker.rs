//! The files by which a hook sees that nothing is pending for its session, without opening the database.
//!
//! `calm/<peer>` is the marker, held locked by the server of the session; `calm/<pid>-<start>` is a link to it, by which a hook
//! finds it. `mesh::calm` says who makes and removes it, and why no question is overlooked.
use std::fs::{File, Metadata, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::doorbells::Doorbells;
use crate::platform::id::{PeerId, SessionId};
use crate::platform::process::{self, ProcessKey};
use crate::platform::{Fault, fail_point, file, permissions};

/// The first line of a marker. Another version of it counts as no marker.
const FIRST_LINE: &str = "claude-mesh calm 1";
/// No marker is longer.
const BYTES_MAX: u64 = 512;
/// How long a marker counts. It bounds how long an error of whatever kind could hide something.
const FRESH: Duration = Duration::from_secs(600);
/// After this time a server makes its marker again when it is woken.
const RENEWED_AFTER: Duration = Duration::from_secs(60);
/// Two changes of a folder within this time may leave it the same time of change.
const FOLDER_TIME_GRANULARITY: Duration = Duration::from_millis(20);

/// A session for which a marker is made, and the database that its server has seen.
#[derive(Debug, Clone, Copy)]
pub struct CalmSession<'a> {
    /// The session.
    pub session: SessionId,
    /// Its peer.
    pub peer: PeerId,
    /// The process of its client.
    pub process: ProcessKey,
    /// The file of its mesh.
    pub database: &'a Path,
}

/// A marker of this process. It counts while this lives, and until somebody removes the file.
#[derive(Debug)]
pub struct CalmMarker {
    path: PathBuf,
    file: File,
    doorbells: Doorbells,
    sessions: String,
}

impl CalmMarker {
    /// Returns whether the file is still there.
    fn is_in_place(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|metadata| metadata.nlink() > 0)
    }

    /// Returns whether hooks may still use it: the file is there, was made not long ago, and no session has begun or ended since.
    pub fn is_usable(&self) -> bool {
        let is_young = |metadata: &Metadata| is_younger_than(metadata, RENEWED_AFTER);
        self.is_in_place()
            && self.file.metadata().as_ref().is_ok_and(is_young)
            && self.doorbells.sessions_mark().ok() == Some(self.sessions.clone())
    }
}

impl Drop for CalmMarker {
    fn drop(&mut self) {
        if self.is_in_place() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Doorbells {
    /// Makes the marker of a session in place of any other of its peer.
    ///
    /// `sessions` is the mark of the sessions from before the caller looked for those of earlier versions.
    pub fn make_calm_marker(
        &self,
        calm: &CalmSession,
        sessions: String,
    ) -> Result<CalmMarker, Fault> {
        let folder = self.calm_folder();
        let path = folder.join(calm.peer.to_string());
        let own_suffix = format!(".{}", std::process::id());
        let temporary_path = with_suffix(&path, &own_suffix);
        let at = |error| Fault::io("write", &path, error);
        permissions::create_folder(&folder)?;
        // A process with the same number may have been killed here.
        let _ = std::fs::remove_file(&temporary_path);
        let mut file = permissions::create_file(&temporary_path).map_err(at)?;
        let text = marker_text(calm, &sessions).map_err(at)?;
        let link = folder.join(link_name(calm.process));
        let mut put = || {
            file.write_all(text.as_bytes())?;
            file.lock()?;
            replace_link(&link, &calm.peer.to_string(), &own_suffix)?;
            fail_point::reach("before-marker-is-named");
            std::fs::rename(&temporary_path, &path)?;
            fail_point::reach("after-marker-is-named");
            Ok(())
        };
        put().map_err(|error| {
            let _ = std::fs::remove_file(&temporary_path);
            at(error)
        })?;
        Ok(CalmMarker {
            path,
            file,
            doorbells: self.clone(),
            sessions,
        })
    }

    /// Returns the session of a process if its marker says that nothing is pending for it.
    pub fn find_calm_session(&self, database: &Path, process: ProcessKey) -> Option<SessionId> {
        let link = self.calm_folder().join(link_name(process));
        let mut marker = file::open_nonblocking(&link).ok()?;
        let metadata = marker.metadata().ok()?;
        if !metadata.is_file() || !is_younger_than(&metadata, FRESH) {
            return None;
        }
        permissions::check_owner_and_mode(&link, &metadata).ok()?;
        if !matches!(marker.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            return None;
        }
        let mut text = String::new();
        let mut bounded = (&mut marker).take(BYTES_MAX);
        bounded.read_to_string(&mut text).ok()?;
        let mut lines = text.lines().skip(1);
        let calm = CalmSession {
            session: lines.next()?.parse().ok()?,
            peer: lines.next()?.parse().ok()?,
            process,
            database,
        };
        let sessions = self.sessions_mark().ok()?;
        (text == marker_text(&calm, &sessions).ok()?).then_some(calm.session)
    }

    /// Returns a mark of the sessions of the mesh: another one after a server has begun or ceased to listen.
    pub fn sessions_mark(&self) -> std::io::Result<String> {
        let folder = self.doorbells_folder().metadata()?;
        let (seconds, nanoseconds) = (folder.mtime(), folder.mtime_nsec());
        Ok(format!("{seconds}.{nanoseconds:09} {}", folder.nlink()))
    }

    /// Returns how long to wait until the mark of the sessions says for certain whether they have changed; `None` if it does.
    pub fn sessions_mark_settles_in(&self) -> Option<Duration> {
        let changed = self.doorbells_folder().metadata().ok()?.modified().ok()?;
        let since = match changed.elapsed() {
            Ok(since) => since,
            Err(ahead) => ahead.duration(),
        };
        FOLDER_TIME_GRANULARITY.checked_sub(since)
    }

    /// Removes the markers of these peers.
    pub fn remove_calm_markers(&self, peers: &[PeerId]) -> Result<(), Fault> {
        let folder = self.calm_folder();
        for peer in peers {
            remove(&folder.join(peer.to_string()))?;
        }
        Ok(())
    }

    /// Removes the markers of all peers.
    pub fn remove_all_calm_markers(&self) -> Result<(), Fault> {
        for peer in self.calm_peers() {
            remove(&self.calm_folder().join(peer.to_string()))?;
        }
        Ok(())
    }

    /// Returns the peers that have a marker, whether or not it counts.
    pub fn calm_peers(&self) -> Vec<PeerId> {
        let entries = std::fs::read_dir(self.calm_folder()).into_iter();
        let names = entries.flatten().flatten();
        names
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// Removes the links of processes that have ended, and markers that no server holds.
    pub fn remove_stale_calm_files(&self) {
        let entries = std::fs::read_dir(self.calm_folder()).into_iter();
        for path in entries.flatten().flatten().map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str());
            let linked = name.and_then(linked_process);
            let is_stale = match linked {
                Some(process) => !process::is_alive(process),
                None => file::open_nonblocking(&path)
                    .is_ok_and(|marker| marker.try_lock_shared().is_ok()),
            };
            if is_stale {
                let _ = std::fs::remove_file(&path);
            }
        }
    }
}

/// Returns the content of a marker: all that must still be so when a hook reads it.
fn marker_text(calm: &CalmSession, sessions: &str) -> std::io::Result<String> {
    let CalmSession { session, peer, .. } = calm;
    let database = calm.database.metadata()?;
    let (device, inode) = (database.dev(), database.ino());
    let ProcessKey { pid, started } = calm.process;
    let namespace = process::pid_namespace();
    Ok(format!(
        "{FIRST_LINE}\n{session}\n{peer}\ndatabase {device} {inode}\nclient {pid} {started} {namespace}\nsessions {sessions}\n"
    ))
}

fn is_younger_than(metadata: &Metadata, age: Duration) -> bool {
    let elapsed = metadata
        .modified()
        .ok()
        .and_then(|made| made.elapsed().ok());
    elapsed.is_some_and(|elapsed| elapsed < age)
}

fn link_name(process: ProcessKey) -> String {
    format!("{}-{}", process.pid, process.started)
}

/// Returns the process of the name of a link.
fn linked_process(name: &str) -> Option<ProcessKey> {
    let (pid, started) = name.split_once('-')?;
    Some(ProcessKey {
        pid: pid.parse().ok()?,
        started: started.parse().ok()?,
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Lets a link lead to a file of its folder, by one rename.
fn replace_link(link: &Path, target: &str, own_suffix: &str) -> std::io::Result<()> {
    if std::fs::read_link(link).is_ok_and(|present| present == Path::new(target)) {
        return Ok(());
    }
    let temporary_link = with_suffix(link, own_suffix);
    let _ = std::fs::remove_file(&temporary_link);
    std::os::unix::fs::symlink(target, &temporary_link)?;
    std::fs::rename(&temporary_link, link)
}

/// Removes a file that may be missing.
fn remove(path: &Path) -> Result<(), Fault> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Fault::io("remove", path, error)),
        _ => Ok(()),
    }
}
