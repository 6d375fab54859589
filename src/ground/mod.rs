//! What everything stands on: clock, ids, paths, settings, processes. It knows no database and no tool.
//!
//! *Purpose:* the facts of the machine, each read in one place, so that the rooms above can be tested with other facts.
//! *Why not otherwise:* the environment is read once into [`Settings`] and time is a parameter; a look at either in the
//! middle of a verb could not be tested and would differ between hooks and server.

pub mod client;
pub mod clock;
mod env_file;
pub mod fault;
pub mod file;
pub mod id;
pub mod lock;
pub mod log;
pub mod path;
pub mod private;
pub mod process;
pub mod project;
pub mod settings;
pub mod text;
pub mod version;
pub mod walls;

pub use clock::{Clock, Moment, SystemClock};
pub use fault::{Fault, FaultKind};
pub use settings::Settings;
