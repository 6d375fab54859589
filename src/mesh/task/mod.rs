//! Tasks: their life, their files as claims, and who is notified.

pub(in crate::mesh) mod files;
pub(in crate::mesh) mod lifecycle;
pub(in crate::mesh) mod notifications;
