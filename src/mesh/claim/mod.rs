//! Claims: the exclusive or shared use of resources, their leases, and the queue for each resource.

pub(in crate::mesh) mod acquire;
pub(in crate::mesh) mod deadlock;
pub(in crate::mesh) mod grant;
pub(in crate::mesh) mod guard;
pub(in crate::mesh) mod lease;
pub(in crate::mesh) mod list;
mod other_clones;
pub(in crate::mesh) mod owner;
pub(in crate::mesh) mod queue;
pub(in crate::mesh) mod release;
pub(in crate::mesh) mod resource;
pub(in crate::mesh) mod session_end;
pub(in crate::mesh) mod ticket;
pub(in crate::mesh) mod unnotified;
