//! What the tests and the benchmark share: a temporary home, the session registry of Claude Code, results of tools.
mod home;
mod protocol;
mod registry;

pub(crate) use self::home::Home;
pub(crate) use self::protocol::{request_metadata, result};
pub(crate) use self::registry::register;
