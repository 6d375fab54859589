//! A text that comes from a file or from stdin instead of the command line: UTF-8, and no more than the mesh carries.
use std::io::Read;

use crate::cli::error::{Failure, Wrong};
use crate::model::question::TEXT_BYTES_MAX;

/// Reads the file at `path`, or stdin for `-`; `what` names the text in a refusal.
pub(super) fn read(what: &str, path: &str) -> Result<String, Failure> {
    let place = if path == "-" { "stdin" } else { path };
    let failed = |error: std::io::Error| {
        Failure::argument(
            format!("cannot read the {what} from {place}: {error}"),
            "nothing was sent",
        )
    };
    let mut source: Box<dyn Read> = if path == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).map_err(failed)?)
    };
    let mut bytes = Vec::new();
    // One more for the end of the last line, one more to see that it is too much.
    let limit = TEXT_BYTES_MAX as u64 + 2;
    source
        .by_ref()
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 == limit {
        let message = format!("the {what} from {place} has more than {TEXT_BYTES_MAX} bytes");
        let hint = "name the file instead; nothing was sent";
        return Err(Wrong::new("too_large", message, hint).into());
    }
    String::from_utf8(bytes).map_err(|_| {
        Failure::argument(
            format!("the {what} from {place} is not UTF-8"),
            "give text, or name the file; nothing was sent",
        )
    })
}
