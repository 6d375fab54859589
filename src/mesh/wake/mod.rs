//! Waking an idle session: when it is done, when it is throttled, and what became of it.

pub(in crate::mesh) mod events;
pub(in crate::mesh) mod hook_wake;
pub(in crate::mesh) mod policy;
pub(in crate::mesh) mod throttle;
