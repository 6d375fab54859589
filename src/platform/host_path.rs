//! Paths on other hosts, as the mesh stores them: `//host/absolute/path`. A path of this machine never begins with two
//! slashes, because it is stored in its canonical form.
use std::path::{Component, Path, PathBuf};

/// A path on another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPath<'a> {
    /// The host, as its access key names it.
    pub host: &'a str,
    /// The absolute path on that host.
    pub path: &'a str,
}

impl<'a> HostPath<'a> {
    /// Parses a stored path; `None` for a path of this machine.
    pub fn parse(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("//")?;
        let slash = rest.find('/')?;
        let (host, path) = rest.split_at(slash);
        (!host.is_empty()).then_some(Self { host, path })
    }

    /// Returns the stored form of a path that is relative to this one, or absolute on the same host. `.` and `..` are resolved
    /// as text, because links of another host cannot be read.
    pub fn join(self, path: &Path) -> String {
        let mut resolved = PathBuf::from("/");
        for part in Path::new(self.path).join(path).components() {
            match part {
                Component::Normal(name) => resolved.push(name),
                Component::ParentDir => {
                    resolved.pop();
                }
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        on_host(self.host, &resolved.to_string_lossy())
    }
}

/// Returns the stored form of an absolute path on another host.
pub fn on_host(host: &str, path: &str) -> String {
    format!("//{host}{path}")
}

/// Returns the host of a stored path; `None` for a path of this machine.
pub fn host_of(path: &str) -> Option<&str> {
    HostPath::parse(path).map(|found| found.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_path_has_two_slashes_and_a_host() {
        let found = HostPath::parse("//laptop/home/u/api").unwrap();
        assert_eq!((found.host, found.path), ("laptop", "/home/u/api"));
        for local in ["/home/u", "///home/u", "//laptop", "", "api"] {
            assert_eq!(HostPath::parse(local), None, "{local}");
        }
        assert_eq!(host_of(&on_host("laptop", "/a")), Some("laptop"));
    }

    #[test]
    fn join_resolves_dots_as_text_and_stays_on_the_host() {
        let base = HostPath::parse("//laptop/home/u/api").unwrap();
        assert_eq!(
            base.join(Path::new("src/../a.rs")),
            "//laptop/home/u/api/a.rs"
        );
        assert_eq!(base.join(Path::new("/etc/hosts")), "//laptop/etc/hosts");
        assert_eq!(base.join(Path::new("../../../../..")), "//laptop/");
    }
}
