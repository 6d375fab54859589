//! Messages and topics: text that nobody waits for.

pub(in crate::mesh) mod list;
pub(in crate::mesh) mod post;
pub(in crate::mesh) mod topic;
