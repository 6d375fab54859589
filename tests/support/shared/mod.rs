//! What the tests and the benchmark share: a temporary home, the session registry of Claude Code, results of tools.
mod deliveries;
#[cfg(feature = "remote")]
mod far_home;
mod home;
mod protocol;
mod registry;

pub(crate) use self::deliveries::*;
#[cfg(feature = "remote")]
pub(crate) use self::far_home::*;
pub(crate) use self::home::Home;
pub(crate) use self::protocol::{request_metadata, result};
pub(crate) use self::registry::register;
