//! The command line: the built program, its text, its exit status, beside peers in the same database.
mod ask;
mod backup;
mod claim;
mod demo;
mod doctor;
mod event;
mod fixture;
#[cfg(feature = "remote")]
mod hub_wall;
mod install;
mod isolation;
#[cfg(feature = "hub")]
mod key;
mod log;
mod memory;
mod message;
#[cfg(feature = "postgres")]
mod move_mesh;
mod output;
mod peer;
mod reply;
mod session_shell;
mod status;
mod task;
