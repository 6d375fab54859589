//! Operating-system locks as proof of life: a server owns its session's file as long as it runs, and the kernel lets go when it dies.
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::platform::clock::monotonic_ms;
use crate::platform::fault::Fault;
use crate::platform::permissions;

/// A server that sits down keeps its other calls waiting meanwhile.
const PATIENCE_MS: i64 = 250;

/// A lock that is held until it is dropped or its process ends, however that ends.
#[derive(Debug)]
pub struct Held {
    _file: File,
}

/// Takes the lock of `path` for as long as the result lives; `None` when another process owns it.
///
/// Whoever looks whether it is owned holds it shared for an instant, and is waited for. One that was stopped in that instant
/// is not waited for longer than a quarter of a second: then `None` comes too, and it can be tried again.
pub fn own(path: &Path) -> Result<Option<Held>, Fault> {
    own_within(path, PATIENCE_MS)
}

fn own_within(path: &Path, patience_ms: i64) -> Result<Option<Held>, Fault> {
    if let Some(folder) = path.parent() {
        permissions::create_folder(folder)?;
    }
    let file = permissions::append_file(path).map_err(|error| Fault::io("open", path, &error))?;
    let began_ms = monotonic_ms();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(Held { _file: file })),
            Err(TryLockError::Error(error)) => return Err(Fault::io("lock", path, &error)),
            Err(TryLockError::WouldBlock) => {
                if is_owned(path) || monotonic_ms() - began_ms >= patience_ms {
                    return Ok(None);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns whether some process owns the lock of `path`. A missing file is owned by nobody.
///
/// A shared try fails only against an owner, never against another one who looks; dropping the file lets go.
pub fn is_owned(path: &Path) -> bool {
    let Ok(file) = OpenOptions::new().read(true).open(path) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_owner_and_is_free_again_when_dropped() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("sessions/one.lock");
        assert!(!is_owned(&path));
        let held = own(&path).unwrap();
        assert!(held.is_some());
        assert!(is_owned(&path));
        assert!(own(&path).unwrap().is_none());
        drop(held);
        assert!(!is_owned(&path));
        assert!(own(&path).unwrap().is_some());
    }

    #[test]
    fn who_only_looks_is_waited_for_and_not_taken_for_an_owner() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("one.lock");
        let looker = permissions::append_file(&path).unwrap();
        looker.lock_shared().unwrap();
        assert!(own_within(&path, 0).unwrap().is_none());
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| tell.send(own_within(&path, 3_600_000).unwrap()));
            let early = told.recv_timeout(Duration::from_millis(50));
            assert!(early.is_err(), "somebody looks, and nobody owns it");
            drop(looker);
            assert!(told.recv().unwrap().is_some());
        });
    }
}
