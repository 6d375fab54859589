//! Gives all other layers access to the machine: clock, ids, paths, files, processes, settings. It knows no database and
//! no tool.
//!
//! *Purpose:* each fact of the machine is read in one place, so that the layers above can be tested with other facts.
//! *Why not otherwise:* the environment is read once into [`Settings`], and time is a parameter. Code that reads either in
//! the middle of an operation cannot be tested and gives different results in hooks and server.

mod claude_environment;
pub mod clock;
mod env_file;
pub mod fail_point;
pub mod fault;
pub mod fault_log;
pub mod file;
pub mod foreign_text;
pub mod fork_setting;
pub mod git_checkout;
pub mod host_path;
pub mod hub_location;
pub mod hub_setting;
pub mod id;
pub mod isolation;
pub mod lock;
mod mesh_address;
pub mod path;
pub mod permissions;
pub mod process;
pub mod project;
pub mod project_facts;
pub mod session_socket;
mod setting_specs;
mod setting_value;
pub mod settings;
pub mod text;
pub mod version;

pub use crate::platform::clock::{Clock, Moment, SystemClock};
pub use crate::platform::fault::{Fault, FaultKind};
pub use crate::platform::settings::Settings;
