//! Claims: acquiring and releasing a resource, and the queue of those who wait for it.

pub(in crate::mesh) mod acquire;
pub(in crate::mesh) mod queue;
