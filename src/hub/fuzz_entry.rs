//! Reads requests as the hub does, up to their operations, for the fuzz targets in `fuzz/`. Only a build with `--cfg fuzzing` has
//! this module.
use serde::de::DeserializeOwned;

pub use super::remote::fuzz_entry::{reads_call, reads_late_reply, reads_verbs};
pub use super::routes::fuzz_entry::{ReadRequest, read_request};

/// Returns whether a body is one of a kind.
pub(super) fn reads<T: DeserializeOwned>(body: &[u8]) -> bool {
    serde_json::from_slice::<T>(body).is_ok()
}
