//! Reads a text from a file or from stdin instead of the command line: UTF-8, within the size limit of the mesh.
use std::io::Read;

use crate::cli::error::{CliError, Failure};
use crate::model::question::TEXT_BYTES_MAX;

/// Returns a text of the command line; for `-` that of stdin, without the newline at its end.
pub(super) fn read_typed(what: &str, typed: &str) -> Result<String, Failure> {
    if typed != "-" {
        return Ok(typed.to_owned());
    }
    let text = read(what, "-")?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

/// Reads the file at `path`, or stdin for `-`; `what` names the text in errors.
pub(super) fn read(what: &str, path: &str) -> Result<String, Failure> {
    let origin = if path == "-" { "stdin" } else { path };
    let read_error = |error: std::io::Error| {
        Failure::argument(
            format!("cannot read the {what} from {origin}: {error}"),
            "nothing was sent",
        )
    };
    let mut source: Box<dyn Read> = if path == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path).map_err(read_error)?)
    };
    let mut bytes = Vec::new();
    // One byte more for the final newline, and one more to detect a text that is too large.
    let limit = TEXT_BYTES_MAX as u64 + 2;
    source
        .by_ref()
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(read_error)?;
    if bytes.len() as u64 == limit {
        let message = format!("the {what} from {origin} has more than {TEXT_BYTES_MAX} bytes");
        let hint = "name the file instead; nothing was sent";
        return Err(CliError::new("too_large", message, hint).into());
    }
    String::from_utf8(bytes).map_err(|_| {
        Failure::argument(
            format!("the {what} from {origin} is not UTF-8"),
            "give text, or name the file; nothing was sent",
        )
    })
}
