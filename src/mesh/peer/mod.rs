//! Peers: the addresses of the mesh, the sessions registered at them, and what is known of both.

pub(in crate::mesh) mod activity_summary;
pub(in crate::mesh) mod address;
pub(in crate::mesh) mod conversation;
pub(in crate::mesh) mod dead_sessions;
pub(in crate::mesh) mod describe;
pub(in crate::mesh) mod directory;
pub(in crate::mesh) mod expertise;
pub(in crate::mesh) mod find_or_create_peer;
pub(in crate::mesh) mod git_state;
pub(in crate::mesh) mod glance;
pub(in crate::mesh) mod join_request;
pub(in crate::mesh) mod naming;
pub(in crate::mesh) mod others_here;
pub(in crate::mesh) mod peer_details;
pub(in crate::mesh) mod person;
pub(in crate::mesh) mod register;
pub(in crate::mesh) mod set_throttle;
