//! Operating-system locks as proof of life: a server owns its session's file as long as it runs, and the kernel lets go when it dies.
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::platform::clock::monotonic_ms;
use crate::platform::fault::Fault;
use crate::platform::permissions;

/// A server that sits down keeps its other calls waiting meanwhile.
const LOCK_TIMEOUT_MS: i64 = 250;

/// A lock that is held until it is dropped or its process ends, however that ends.
#[derive(Debug)]
pub struct LockGuard {
    _file: File,
}

/// Takes the lock of `path` for as long as the result lives; `None` when another process owns it.
///
/// Whoever looks whether it is owned holds it shared for an instant, and is waited for. One that was stopped in that instant
/// is not waited for longer than a quarter of a second: then `None` comes too, and it can be tried again.
pub fn acquire(path: &Path) -> Result<Option<LockGuard>, Fault> {
    acquire_within(path, LOCK_TIMEOUT_MS)
}

fn acquire_within(path: &Path, timeout_ms: i64) -> Result<Option<LockGuard>, Fault> {
    if let Some(folder) = path.parent() {
        permissions::create_folder(folder)?;
    }
    let file = permissions::append_file(path).map_err(|error| Fault::io("open", path, error))?;
    let began_ms = monotonic_ms();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(LockGuard { _file: file })),
            Err(TryLockError::Error(error)) => return Err(Fault::io("lock", path, error)),
            Err(TryLockError::WouldBlock) => {
                if is_locked(path) || monotonic_ms() - began_ms >= timeout_ms {
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
pub fn is_locked(path: &Path) -> bool {
    let Ok(file) = OpenOptions::new().read(true).open(path) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_has_one_owner_and_is_released_on_drop() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("sessions/one.lock");
        assert!(!is_locked(&path));
        let held = acquire(&path).unwrap();
        assert!(held.is_some());
        assert!(is_locked(&path));
        assert!(acquire(&path).unwrap().is_none());
        drop(held);
        assert!(!is_locked(&path));
        assert!(acquire(&path).unwrap().is_some());
    }

    #[test]
    fn shared_lock_probe_delays_acquisition_but_is_no_owner() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("one.lock");
        let shared_holder = permissions::append_file(&path).unwrap();
        shared_holder.lock_shared().unwrap();
        assert!(acquire_within(&path, 0).unwrap().is_none());
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| sender.send(acquire_within(&path, 3_600_000).unwrap()));
            let early = receiver.recv_timeout(Duration::from_millis(50));
            assert!(early.is_err(), "somebody looks, and nobody owns it");
            drop(shared_holder);
            assert!(receiver.recv().unwrap().is_some());
        });
    }
}
