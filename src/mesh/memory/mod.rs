//! Memories: text kept for later sessions of a repository or of the mesh.

pub(in crate::mesh) mod forget;
pub(in crate::mesh) mod recall;
pub(in crate::mesh) mod remember;
