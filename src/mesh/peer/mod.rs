//! Peers: registering, who is alive, who is there, what each works on and knows.

pub(in crate::mesh) mod activity;
pub(in crate::mesh) mod directory;
pub(in crate::mesh) mod expertise;
pub(in crate::mesh) mod liveness;
pub(in crate::mesh) mod register;
