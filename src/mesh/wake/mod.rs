//! Waking an idle session: what for, whether, and by which way.

pub(in crate::mesh) mod attempt_log;
pub(in crate::mesh) mod fork_eligibility;
pub(in crate::mesh) mod fork_offer;
pub(in crate::mesh) mod inbox_attempts;
pub(in crate::mesh) mod pending;
pub(in crate::mesh) mod policy;
pub(in crate::mesh) mod throttle;
pub(in crate::mesh) mod turn;
pub(in crate::mesh) mod waiting_hook;
