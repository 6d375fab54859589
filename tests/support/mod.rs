//! What the tests share: a temporary home, real sessions, real programs, a mesh with a manual clock.
mod inbox_session;
mod mesh_fixture;
mod world;

pub(crate) use self::inbox_session::*;
pub(crate) use self::mesh_fixture::*;
pub(crate) use self::world::*;
