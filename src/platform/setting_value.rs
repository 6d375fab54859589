//! Checks the values of settings, and words the fault of one that is invalid.
use std::path::{Path, PathBuf};

use crate::platform::fault::{Fault, FaultKind};
use crate::platform::setting_specs::{TOOL_SETS, TOOLS};

/// Returns the fault of a setting that has another value than `wanted`.
pub(super) fn invalid_setting(name: &str, from: &str, wanted: &str, got: &str) -> Fault {
    Fault::new(
        FaultKind::Setting,
        format!("{name} must be {wanted}, got {got}"),
        format!("it is set in {from}: change it there, or remove it for the default"),
    )
}

/// Hooks and server have different working directories, so a relative path would name a different file in each.
pub(super) fn require_absolute(
    name: &str,
    from: &str,
    path: &Path,
    home: &Path,
) -> Result<PathBuf, Fault> {
    let path = expand_home(path, home);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(invalid_setting(
            name,
            from,
            "an absolute path",
            &format!("{:?}", path.display().to_string()),
        ))
    }
}

/// Returns the path with a leading `~` replaced by the home folder.
pub fn expand_home(path: &Path, home: &Path) -> PathBuf {
    match path.strip_prefix("~") {
        // Joining nothing would add a slash.
        Ok(rest) if rest.as_os_str().is_empty() => home.to_path_buf(),
        Ok(rest) => home.join(rest),
        Err(_) => path.to_path_buf(),
    }
}

/// Returns the sets of tools in a value; a fault if one is unknown.
pub(super) fn parse_tool_sets(value: &str, from: &str) -> Result<Vec<String>, Fault> {
    let sets: Vec<String> = value
        .split(',')
        .map(|set| set.trim().to_ascii_lowercase())
        .filter(|set| !set.is_empty())
        .collect();
    match sets.iter().find(|set| !TOOL_SETS.contains(&set.as_str())) {
        Some(unknown) => Err(invalid_setting(
            TOOLS,
            from,
            &format!("a list of {}", TOOL_SETS.join(", ")),
            &format!("{unknown:?}"),
        )),
        None => Ok(sets),
    }
}
