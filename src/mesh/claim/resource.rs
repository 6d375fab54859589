//! Turns what a caller names into the canonical name of a resource: a file has one name, whichever relative path or link
//! is given.
use std::path::Path;

use crate::model::claim::{ResourceName, parse_resource_name};
use crate::model::{Refusal, Result};
use crate::platform::path;

/// Returns the canonical name of a resource; a path is relative to `folder`.
pub fn canonical_resource(folder: &Path, text: &str) -> Result<String> {
    canonical_resource_as("resource", folder, text)
}

/// Returns the canonical name of a resource, as [`canonical_resource`] does; a refusal names `parameter`.
pub(in crate::mesh) fn canonical_resource_as(
    parameter: &str,
    folder: &Path,
    text: &str,
) -> Result<String> {
    match parse_resource_name(parameter, text)? {
        ResourceName::Other(name) => Ok(name.to_owned()),
        ResourceName::File(name) => file_resource(folder, Path::new(name)),
    }
}

/// Returns the prefix of canonical names for a prefix that a caller gives; a path is relative to `folder`.
pub fn canonical_prefix(folder: &Path, text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text == "file:" {
        return Ok(text.to_owned());
    }
    let mut prefix = canonical_resource_as("prefix", folder, text)?;
    if prefix.starts_with("file:") && text.ends_with('/') && !prefix.ends_with('/') {
        prefix.push('/');
    }
    Ok(prefix)
}

/// Returns the canonical name of a file as a resource: its path with all links resolved.
pub fn file_resource(folder: &Path, file: &Path) -> Result<String> {
    let refuse =
        |problem: &str| Refusal::argument(format!("\"{}\" {problem}", file.to_string_lossy()));
    let resolved_path =
        path::resolve(folder, file).ok_or_else(|| refuse("is a cycle of symbolic links"))?;
    let resolved_path = resolved_path
        .to_str()
        .ok_or_else(|| refuse("leads to a path that is not UTF-8, which a claim cannot name"))?;
    if resolved_path.chars().any(char::is_control) {
        return Err(refuse("leads to a path with control characters").into());
    }
    Ok(format!("file:{resolved_path}"))
}
