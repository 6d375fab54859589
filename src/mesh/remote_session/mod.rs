//! Sessions on other hosts: they reach the mesh through a hub, which registers them and keeps them alive by a lease.

pub(in crate::mesh) mod join;
#[cfg(feature = "hub")]
pub(in crate::mesh) mod lease;
#[cfg(feature = "hub")]
pub(in crate::mesh) mod once;
