//! What a program reads from its hub and from its spool, for the fuzz targets in `fuzz/`. Only a build with `--cfg fuzzing` has
//! this module.
use super::spool::SpooledReply;
use super::stream::{SnapshotData, parse};
use crate::model::key_text::id_of_key_text;

/// Returns the event and the data of one frame of a stream.
pub fn parse_frame(frame: &str) -> (String, String) {
    parse(frame)
}

/// Returns whether the data of a frame is a snapshot.
pub fn reads_snapshot(data: &str) -> bool {
    serde_json::from_str::<SnapshotData>(data).is_ok()
}

/// Reads the file of a reply and writes it again; `None` if it is none.
pub fn rewrite_spooled_reply(content: &[u8]) -> Option<Vec<u8>> {
    let reply: SpooledReply = serde_json::from_slice(content).ok()?;
    Some(serde_json::to_vec(&reply).expect("a reply can be written as JSON"))
}

/// Returns the id in the text of an access key, if it is one.
pub fn id_of_key(text: &str) -> Option<String> {
    id_of_key_text(text).map(|id| id.to_string())
}
