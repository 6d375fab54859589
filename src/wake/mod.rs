//! Waking: every session has a doorbell, a small file in a folder of its own beside the database.
//!
//! *Purpose:* whoever has committed something for a session writes its bell, and only that session wakes. The rule is:
//! ring after the commit; subscribe, then look, then wait; look again after every wake. A bell may ring for nothing; it
//! must never be missed, and hearing it takes nothing away: server and waiting hook of a session hear the same one.
//! *Why not otherwise:* a watch on the database or its log wakes before the commit is visible and loses up to all
//! wake-ups, and every writer would wake everyone. A ringer can die between commit and ring. While somebody waits, a look
//! every 2 s finds what it left; while nobody waits there is no timer, and the next verb of anyone rings for questions that
//! reached nobody. Where no watcher can be had, waits look every 50 ms.

mod polling;
mod signal;
#[cfg(feature = "watcher")]
mod watcher;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::platform::id::SessionId;
use crate::platform::{Fault, lock, permissions};

pub use polling::Polling;
pub use signal::WakeSignal;
#[cfg(feature = "watcher")]
pub use watcher::Watcher;

/// A way to hear a bell.
pub trait WakeListener: Send {
    /// Returns `watcher` or `polling`, as status and doctor show it.
    fn kind(&self) -> &'static str;

    /// Returns how often to look without having heard anything; `None` is never.
    fn poll_interval(&self, waiting: bool) -> Option<Duration>;
}

/// Bells, locks and small files of the sessions of one mesh: `<database>.d/`, so that they follow the file whatever HOME is.
#[derive(Debug, Clone)]
pub struct Doorbells {
    folder: PathBuf,
}

impl Doorbells {
    /// Returns the bells of a database.
    pub fn of(database: &Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push(".d");
        Self {
            folder: name.into(),
        }
    }

    /// Returns the file whose lock the server of a session holds while it runs.
    pub fn lock_path(&self, session: SessionId) -> PathBuf {
        self.folder.join("sessions").join(format!("{session}.lock"))
    }

    /// Returns whether the server of a session runs.
    pub fn is_server_running(&self, session: SessionId) -> bool {
        lock::is_locked(&self.lock_path(session))
    }

    /// Returns the file whose lock the waiting hook of a session holds while it runs.
    pub fn hook_waiter_lock_path(&self, session: SessionId) -> PathBuf {
        self.folder
            .join("sessions")
            .join(format!("{session}.waiter.lock"))
    }

    /// Returns whether a waiting hook of a session runs.
    pub fn is_hook_waiter_running(&self, session: SessionId) -> bool {
        lock::is_locked(&self.hook_waiter_lock_path(session))
    }

    /// Returns the file that says what a session is at.
    pub fn activity_path(&self, session: SessionId) -> PathBuf {
        self.folder
            .join("sessions")
            .join(format!("{session}.doing"))
    }

    /// Rings. Returns whether the session has a bell; a session without one is not there to hear it.
    pub fn ring(&self, session: SessionId) -> bool {
        let path = self.doorbell_folder(session).join("bell");
        let doorbell = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path);
        doorbell.is_ok_and(|mut file| file.write_all(b"!").is_ok())
    }

    /// Hangs up the bell of a session and calls `on_wake` whenever it rings. Falls back to looking regularly where the
    /// system gives no watcher, or where `polling` asks for it.
    pub fn listen(
        &self,
        session: SessionId,
        polling: bool,
        on_wake: impl Fn() + Send + 'static,
    ) -> Result<Box<dyn WakeListener>, Fault> {
        let folder = self.doorbell_folder(session);
        permissions::create_folder(&folder)?;
        #[cfg(feature = "watcher")]
        if !polling && let Ok(watcher) = Watcher::on(&folder, on_wake) {
            return Ok(Box::new(watcher));
        }
        #[cfg(not(feature = "watcher"))]
        let _ = (polling, on_wake);
        Ok(Box::new(Polling))
    }

    /// Returns the sessions that have a bell or a file, whether they live or not.
    pub fn list_sessions(&self) -> Vec<SessionId> {
        let entries =
            ["bells", "sessions"].map(|folder| std::fs::read_dir(self.folder.join(folder)));
        let names = entries.into_iter().flatten().flatten().flatten();
        let mut sessions: Vec<SessionId> = names
            .filter_map(|entry| entry.file_name().to_str()?.split('.').next()?.parse().ok())
            .collect();
        sessions.sort_unstable();
        sessions.dedup();
        sessions
    }

    /// Takes away bell, locks and files of a session that has ended, also what a killed writer has left half-made.
    pub fn remove(&self, session: SessionId) {
        let _ = std::fs::remove_dir_all(self.doorbell_folder(session));
        let files = std::fs::read_dir(self.folder.join("sessions"));
        let session_prefix = format!("{session}.");
        for file in files.into_iter().flatten().flatten() {
            if file
                .file_name()
                .to_string_lossy()
                .starts_with(&session_prefix)
            {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }

    fn doorbell_folder(&self, session: SessionId) -> PathBuf {
        self.folder.join("bells").join(session.to_string())
    }
}
