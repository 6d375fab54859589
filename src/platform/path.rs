//! Resolves paths, so that one file has one name: absolute, without `..`, links followed as far as the path exists. The file
//! itself need not exist.
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// More links than this in one path count as a cycle.
const SYMLINKS_MAX: u32 = 40;

/// Returns the resolved `path`; a relative one starts at `base`, which is absolute. `None` means a cycle of links.
pub fn resolve(base: &Path, path: &Path) -> Option<PathBuf> {
    let mut pending = reversed_components(&base.join(path));
    let mut resolved = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = pending.pop() {
        if part == ".." {
            // Links were followed up to here, so this removes the real parent folder.
            resolved.pop();
            continue;
        }
        resolved.push(&part);
        let Ok(target) = std::fs::read_link(&resolved) else {
            continue;
        };
        links += 1;
        if links > SYMLINKS_MAX {
            return None;
        }
        resolved.pop();
        if target.is_absolute() {
            resolved = PathBuf::from("/");
        }
        pending.extend(reversed_components(&target));
    }
    Some(resolved)
}

/// The names of a path, last first.
fn reversed_components(path: &Path) -> Vec<OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    let mut reversed_components: Vec<OsString> = path.components().filter_map(name).collect();
    reversed_components.reverse();
    reversed_components
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn equivalent_paths_resolve_to_the_same_path() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("real/deep")).unwrap();
        symlink("real/deep", base.join("short")).unwrap();
        symlink(base.join("real/new.rs"), base.join("dangling")).unwrap();
        symlink("loop", base.join("loop")).unwrap();
        for (path, leads_to) in [
            ("real/a.rs", "real/a.rs"),
            ("./real//deep/../a.rs", "real/a.rs"),
            ("short/a.rs", "real/deep/a.rs"),
            ("short/../a.rs", "real/a.rs"),
            ("not/there/../a.rs", "not/a.rs"),
            ("dangling", "real/new.rs"),
        ] {
            assert_eq!(resolve(&base, Path::new(path)), Some(base.join(leads_to)));
        }
        let absolute = base.join("short/a.rs");
        assert_eq!(
            resolve(Path::new("/"), &absolute),
            Some(base.join("real/deep/a.rs"))
        );
        assert_eq!(resolve(&base, Path::new("loop/a.rs")), None);
        assert_eq!(
            resolve(Path::new("/"), Path::new("../..")),
            Some("/".into())
        );
    }
}
