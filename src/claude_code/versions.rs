//! Says which versions of Claude Code have the inbox by which an idle session is woken, and which run mods as ours is written.

/// The first version with an inbox.
const INBOX_MIN_VERSION: [u32; 3] = [2, 1, 224];

/// The first version whose mods were measured to work as the mod of claude-mesh needs it.
const MODS_MIN_VERSION: [u32; 3] = [2, 1, 329];

/// Returns whether Claude Code runs the mod of claude-mesh in this version.
pub fn has_mods(version: &str) -> bool {
    parse_version(version) >= Some(MODS_MIN_VERSION)
}

/// Returns whether Claude Code has an inbox in this version.
pub fn has_inbox(version: &str) -> bool {
    parse_version(version) >= Some(INBOX_MIN_VERSION)
}

fn parse_version(version: &str) -> Option<[u32; 3]> {
    let mut parts = version
        .split(['.', '-', '+'])
        .map(|part| part.parse::<u32>().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_components_are_compared_as_numbers() {
        assert_eq!(parse_version("2.1.329"), Some([2, 1, 329]));
        assert_eq!(parse_version("2.1.224-beta.1"), Some([2, 1, 224]));
        assert_eq!(parse_version("latest"), None);
        assert!(!has_inbox("2.1.99"));
        assert!(has_inbox("2.10.0"));
    }
}
