//! What the tests share: a temporary home, real sessions, real programs, a mesh with a manual clock.
mod calls;
mod engine;
pub(crate) mod event_calls;
#[cfg(feature = "hub")]
mod event_stream;
#[cfg(feature = "remote")]
mod far_host;
pub(crate) mod fault_reports;
#[cfg(feature = "hub")]
mod hub;
#[cfg(feature = "hub")]
mod hub_mcp;
#[cfg(feature = "hub")]
mod hub_store;
mod immutable;
mod in_flight;
mod inbox_session;
pub(crate) mod install_home;
mod mesh_fixture;
#[cfg(feature = "hub")]
mod other_host;
#[cfg(feature = "postgres")]
mod own_server;
mod populated_mesh;
pub(crate) mod private_mounts;
mod process;
mod refusal;
#[cfg(feature = "remote")]
mod relay;
#[cfg(feature = "remote")]
mod scripted_server;
mod session;
mod shared;
#[cfg(feature = "remote")]
mod two_networks;
mod world;

pub(crate) use self::calls::*;
#[cfg(feature = "postgres")]
pub(crate) use self::engine::PostgresServer;
#[cfg(feature = "hub")]
pub(crate) use self::event_stream::*;
#[cfg(feature = "remote")]
pub(crate) use self::far_host::*;
#[cfg(feature = "hub")]
pub(crate) use self::hub::*;
#[cfg(feature = "hub")]
pub(crate) use self::hub_mcp::*;
#[cfg(feature = "hub")]
pub(crate) use self::hub_store::hubs_use_a_server;
pub(crate) use self::immutable::Immutable;
pub(crate) use self::in_flight::*;
pub(crate) use self::inbox_session::*;
pub(crate) use self::mesh_fixture::*;
#[cfg(feature = "hub")]
pub(crate) use self::other_host::*;
#[cfg(feature = "postgres")]
pub(crate) use self::own_server::*;
pub(crate) use self::populated_mesh::PopulatedMesh;
pub(crate) use self::process::*;
pub(crate) use self::refusal::*;
#[cfg(feature = "remote")]
pub(crate) use self::relay::*;
#[cfg(feature = "remote")]
pub(crate) use self::scripted_server::*;
pub(crate) use self::session::*;
#[cfg(feature = "remote")]
pub(crate) use self::shared::{join_folder, join_home};
pub(crate) use self::shared::{register, request_metadata};
#[cfg(feature = "remote")]
pub(crate) use self::two_networks::*;
pub(crate) use self::world::*;
