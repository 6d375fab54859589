//! Takes and probes operating-system locks, which show whether a process runs: a server holds the lock file of its session,
//! and the kernel releases the lock when the process ends.
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::platform::clock::monotonic_ms;
use crate::platform::fault::Fault;
use crate::platform::file::is_out_of_descriptors;
use crate::platform::permissions;

/// Short, because a server that registers its session delays its other calls meanwhile.
const LOCK_TIMEOUT_MS: i64 = 250;

/// A lock that is held until it is dropped or its process ends, however that ends.
#[derive(Debug)]
pub struct LockGuard {
    _file: File,
}

/// Takes the lock of `path` for as long as the result lives; `None` when another process owns it.
///
/// A probe holds the lock shared for an instant, and this function waits for it. A probe that was stopped in that instant is
/// waited for at most 250 ms: then the result is `None` too, and a later call may succeed.
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

/// Returns whether a process owns the lock of `path`. A missing file has no owner. Without a descriptor to look with, it counts
/// as owned: nobody must be taken for dead because this process can open no file.
///
/// A shared attempt fails only against an owner, never against another probe; dropping the file releases it.
pub fn is_locked(path: &Path) -> bool {
    let file = match OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(error) => return is_out_of_descriptors(&error),
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
            assert!(early.is_err(), "a probe delays it, nobody owns it");
            drop(shared_holder);
            assert!(receiver.recv().unwrap().is_some());
        });
    }
}
