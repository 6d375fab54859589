//! Access keys of the hub: creates, verifies, rotates and revokes them, and signs boards in by links.
//!
//! The text of a key is returned once, when it is created. The mesh stores its hash.

pub(in crate::mesh) mod board_link;
pub(in crate::mesh) mod key_text;
pub(in crate::mesh) mod keys;

pub use keys::KeyDraft;
