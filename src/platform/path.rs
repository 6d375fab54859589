//! Where a path leads: absolute, without `..`, with the links of its existing part followed. What does not exist yet has a
//! place all the same.
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// More links than this in one path are a circle.
const LINKS_MAX: u32 = 40;

/// Returns where `path` leads, seen from `base`, which is absolute. `None` is a circle of links.
pub fn resolve(base: &Path, path: &Path) -> Option<PathBuf> {
    let mut todo = parts(&base.join(path));
    let mut there = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            // Links were followed up to here, so that the folder above is the real one.
            there.pop();
            continue;
        }
        there.push(&part);
        let Ok(target) = std::fs::read_link(&there) else {
            continue;
        };
        links += 1;
        if links > LINKS_MAX {
            return None;
        }
        there.pop();
        if target.is_absolute() {
            there = PathBuf::from("/");
        }
        todo.extend(parts(&target));
    }
    Some(there)
}

/// The names of a path, last first.
fn parts(path: &Path) -> Vec<OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    let mut parts: Vec<OsString> = path.components().filter_map(name).collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_leads_to_one_place_however_it_is_written() {
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
