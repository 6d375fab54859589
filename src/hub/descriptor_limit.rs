//! Raises the limit of open files, for the hub: each listener and each open request has one.
use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the limit of this process as far as the system allows without rights. If that fails, the limit stays.
pub(super) fn raise() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        let _ = setrlimit(Resource::Nofile, limit);
    }
}
