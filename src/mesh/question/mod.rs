//! Questions: asking, answering, the wait in between, and what waits for a session.

pub(in crate::mesh) mod ask;
pub(in crate::mesh) mod deadlock;
pub(in crate::mesh) mod inbox;
pub(in crate::mesh) mod prior_answers;
pub(in crate::mesh) mod wait;
