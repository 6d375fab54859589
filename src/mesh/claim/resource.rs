//! Turns what a caller names into the canonical name of a resource: a file and a git working tree have one name, whichever
//! relative path or link is given.
use std::path::Path;

use crate::model::claim::{ResourceName, parse_resource_name};
use crate::model::{Refusal, Result};
use crate::platform::git_checkout::working_tree_of;
use crate::platform::host_path::HostPath;
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
        ResourceName::WorkingTree(name) => working_tree_resource(folder, Path::new(name)),
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

/// Returns the canonical name of a file as a resource: its path with all links resolved. A file on another host is
/// `file://host/path`; its links are resolved by the program on that host, which names it.
pub fn file_resource(folder: &Path, file: &Path) -> Result<String> {
    Ok(format!("file:{}", canonical_path(folder, file)?))
}

/// Returns the canonical name of a git working tree as a resource: the path of its top folder. A folder of another host, or
/// outside git, is its own top.
pub fn working_tree_resource(folder: &Path, below: &Path) -> Result<String> {
    let path = canonical_path(folder, below)?;
    let top = working_tree_of(Path::new(&path)).filter(|_| HostPath::parse(&path).is_none());
    let top = top.as_deref().and_then(Path::to_str).unwrap_or(&path);
    Ok(format!("git:{top}"))
}

/// Returns the path of a file with all links resolved, as [`file_resource`] describes it.
fn canonical_path(folder: &Path, file: &Path) -> Result<String> {
    let refuse =
        |problem: &str| Refusal::argument(format!("\"{}\" {problem}", file.to_string_lossy()));
    let resolved_path = match path_on_other_host(folder, file) {
        Some(path) => path,
        None => path::resolve(folder, file)
            .ok_or_else(|| refuse("is a cycle of symbolic links"))?
            .into_os_string()
            .into_string()
            .map_err(|_| refuse("leads to a path that is not UTF-8, which a claim cannot name"))?,
    };
    if resolved_path.chars().any(char::is_control) {
        return Err(refuse("leads to a path with control characters").into());
    }
    Ok(resolved_path)
}

/// Returns the stored path of a file that is named with its host, or relative to a folder on another host.
fn path_on_other_host(folder: &Path, file: &Path) -> Option<String> {
    let file_text = file.to_str()?;
    if let Some(named) = HostPath::parse(file_text) {
        return Some(named.join(Path::new("")));
    }
    Some(HostPath::parse(folder.to_str()?)?.join(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_hosts_carry_their_host() {
        let folder = Path::new("//laptop/code/api");
        let named = |text: &str| canonical_resource(folder, text).unwrap();
        assert_eq!(named("file:src/../a.rs"), "file://laptop/code/api/a.rs");
        assert_eq!(named("file:/etc/hosts"), "file://laptop/etc/hosts");
        assert_eq!(named("file://desk/etc/hosts"), "file://desk/etc/hosts");
        assert_eq!(named("port:5433"), "port:5433");
        assert_eq!(named("git:."), "git://laptop/code/api");
        assert_eq!(named("git:main"), "git:main");
        let local = Path::new("/tmp");
        assert_eq!(
            canonical_resource(local, "file://desk/a/").unwrap(),
            "file://desk/a"
        );
        assert_eq!(
            canonical_prefix(folder, "file:src/").unwrap(),
            "file://laptop/code/api/src/"
        );
    }
}
