//! Tasks: work with a state, an assignee and files.

pub(in crate::mesh) mod create;
pub(in crate::mesh) mod dependencies;
pub(in crate::mesh) mod fields;
pub(in crate::mesh) mod files;
pub(in crate::mesh) mod list;
pub(in crate::mesh) mod notifications;
pub(in crate::mesh) mod remove;
pub(in crate::mesh) mod update;
