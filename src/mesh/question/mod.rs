//! Questions: asking, answering, waiting, and the inbox of a session.

pub(in crate::mesh) mod answer;
pub(in crate::mesh) mod ask;
pub(in crate::mesh) mod delivery;
pub(in crate::mesh) mod inbox;
pub(in crate::mesh) mod interrupt;
pub(in crate::mesh) mod prior_answers;
pub(in crate::mesh) mod read;
pub(in crate::mesh) mod status;
pub(in crate::mesh) mod stop_decision;
pub(in crate::mesh) mod wait;
pub(in crate::mesh) mod withdraw;
