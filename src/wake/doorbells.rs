//! Names the doorbell, locks and small files of each session, writes doorbells and listens to them.
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::listener::WakeListener;
#[cfg(feature = "hub")]
use super::own_sessions::OwnSessions;
use super::polling::Polling;
#[cfg(feature = "watcher")]
use super::watcher::Watcher;
use crate::platform::id::SessionId;
use crate::platform::{Fault, lock, permissions};

/// The folder `<database>.d/`: doorbells, locks and small files of the sessions of one mesh. It is beside the database, so
/// that programs with another `HOME` find the same one.
#[derive(Debug, Clone)]
pub struct Doorbells {
    folder: PathBuf,
    /// The sessions of this process that are woken without a file.
    #[cfg(feature = "hub")]
    own_sessions: Option<OwnSessions>,
}

impl Doorbells {
    /// Returns the doorbells of a database: those of the file itself, if the path is a link to it.
    pub fn of(database: &Path) -> Self {
        let is_link = database
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_symlink());
        let linked = is_link.then(|| database.canonicalize().ok()).flatten();
        let mut name = linked.as_deref().unwrap_or(database).as_os_str().to_owned();
        name.push(".d");
        Self {
            folder: name.into(),
            #[cfg(feature = "hub")]
            own_sessions: None,
        }
    }

    /// Returns the same doorbells for a process that serves sessions itself.
    #[cfg(feature = "hub")]
    #[must_use]
    pub fn with_own_sessions(mut self, own_sessions: Option<OwnSessions>) -> Self {
        self.own_sessions = own_sessions;
        self
    }

    /// Returns the folder with a folder for each session that listens.
    pub(super) fn doorbells_folder(&self) -> PathBuf {
        self.folder.join("bells")
    }

    /// Returns the folder of the calm markers.
    pub(super) fn calm_folder(&self) -> PathBuf {
        self.folder.join("calm")
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
    pub fn waiting_hook_lock_path(&self, session: SessionId) -> PathBuf {
        self.folder
            .join("sessions")
            .join(format!("{session}.waiter.lock"))
    }

    /// Returns whether a waiting hook of a session runs.
    pub fn is_waiting_hook_running(&self, session: SessionId) -> bool {
        lock::is_locked(&self.waiting_hook_lock_path(session))
    }

    /// Returns the file with the activity summary of a session.
    pub(super) fn activity_path(&self, session: SessionId) -> PathBuf {
        self.folder
            .join("sessions")
            .join(format!("{session}.doing"))
    }

    /// Writes the doorbell of a session, or wakes it directly if this process serves it. Returns whether there is one: a session
    /// without a doorbell does not listen.
    pub fn write_doorbell(&self, session: SessionId) -> bool {
        #[cfg(feature = "hub")]
        if let Some(own_sessions) = &self.own_sessions
            && own_sessions.wake(session)
        {
            return true;
        }
        let path = self.doorbell_folder(session).join("bell");
        let doorbell = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path);
        doorbell.is_ok_and(|mut file| file.write_all(b"!").is_ok())
    }

    /// Creates the doorbell folder of a session and calls `on_wake` whenever the doorbell is written. Falls back to polling
    /// where the system grants no watcher, or where `polling` asks for it.
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

    /// Returns the sessions that have a doorbell or a file here, alive or not.
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

    /// Removes doorbell, locks and files of a session that has ended, including temporary files of a killed writer.
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

    /// Returns the folder that is watched for the doorbell of a session.
    pub(super) fn doorbell_folder(&self, session: SessionId) -> PathBuf {
        self.doorbells_folder().join(session.to_string())
    }
}
