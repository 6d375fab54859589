//! Wakes sessions: a program that has committed something for a session writes the doorbell of that session, a small
//! file in a folder of its own beside the database.
//!
//! *Rule:* write the doorbell after the commit; subscribe, then read the mesh, then wait; read again after every wake-up. A
//! needless wake-up does no harm; a lost one does. A wake-up is not consumed: the server and the waiting hook of a session
//! get the same one.
//!
//! *Why not otherwise:* a watch on the database or its WAL fires before the commit is visible, which loses up to all
//! wake-ups, and every writer would wake every session. A writer can die between commit and doorbell. While somebody waits,
//! a read every 2 s finds what it left; while nobody waits there is no timer, and the next operation of any session writes
//! the doorbells for questions that have not reached their peer. Where no watcher is available, waits read every 50 ms.

mod activity_file;
mod calm_marker;
mod doorbells;
mod listener;
#[cfg(feature = "hub")]
mod own_sessions;
mod person_notifier;
mod polling;
#[cfg(feature = "hub")]
mod shared_listener;
mod signal;
#[cfg(feature = "watcher")]
mod watcher;

pub use calm_marker::{CalmMarker, CalmSession};
pub use doorbells::Doorbells;
pub use listener::{ListenerKind, WakeListener};
#[cfg(feature = "hub")]
pub use own_sessions::OwnSessions;
pub use person_notifier::{PersonNotifier, PersonQuestion};
pub use polling::Polling;
#[cfg(feature = "hub")]
pub use shared_listener::SharedListener;
pub use signal::WakeSignal;
#[cfg(feature = "watcher")]
pub use watcher::Watcher;
