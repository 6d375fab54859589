//! What the tests share: a temporary home, real sessions, real programs.
mod world;

pub(crate) use self::world::*;
