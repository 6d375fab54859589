//! Operating-system locks as proof of life: a server owns its session's file as long as it runs, and the kernel lets go when it dies.
use std::fs::{File, OpenOptions};
use std::path::Path;

use super::fault::Fault;
use super::private;

/// A lock that is held until it is dropped or its process ends, however that ends.
#[derive(Debug)]
pub struct Held {
    _file: File,
}

/// Takes the lock of `path` for as long as the result lives; `None` when another process owns it.
///
/// Probers hold it shared for an instant, so a few tries follow each other before the answer is no.
pub fn own(path: &Path) -> Result<Option<Held>, Fault> {
    if let Some(folder) = path.parent() {
        private::create_folder(folder)?;
    }
    let file = private::append_file(path).map_err(|error| Fault::io("open", path, &error))?;
    for _ in 0..50 {
        match file.try_lock() {
            Ok(()) => return Ok(Some(Held { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) if is_owned_exclusively(path) => {
                return Ok(None);
            }
            Err(std::fs::TryLockError::WouldBlock) => std::thread::yield_now(),
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(Fault::io("lock", path, &error));
            }
        }
    }
    Ok(None)
}

/// Returns whether some process owns the lock of `path`. A missing file is owned by nobody.
pub fn is_owned(path: &Path) -> bool {
    is_owned_exclusively(path)
}

/// A shared try fails only against an owner, never against another prober; dropping the file lets go.
fn is_owned_exclusively(path: &Path) -> bool {
    let Ok(file) = OpenOptions::new().read(true).open(path) else {
        return false;
    };
    matches!(
        file.try_lock_shared(),
        Err(std::fs::TryLockError::WouldBlock)
    )
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
}
