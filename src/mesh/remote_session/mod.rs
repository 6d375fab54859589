//! Sessions on other hosts: they reach the mesh through a hub, which registers them and keeps them alive by a lease.

pub(in crate::mesh) mod join;
pub(in crate::mesh) mod lease;
pub(in crate::mesh) mod once;
pub(in crate::mesh) mod snapshot;
pub(in crate::mesh) mod verb;
