//! The bodies of programs on other hosts, for the fuzz targets in `fuzz/`. Only a build with `--cfg fuzzing` has this module.
use super::call::CallBody;
use super::replies::LateReply;
use super::verbs::VerbsBody;
use crate::hub::fuzz_entry::reads;

/// Returns whether a body is a call of a tool.
pub fn reads_call(body: &[u8]) -> bool {
    reads::<CallBody>(body)
}

/// Returns whether a body is a reply from a spool.
pub fn reads_late_reply(body: &[u8]) -> bool {
    reads::<LateReply>(body)
}

/// Returns whether a body has the verbs of a session.
pub fn reads_verbs(body: &[u8]) -> bool {
    reads::<VerbsBody>(body)
}
