//! The file in whose bytes the writers of the queue lock their tickets: `writers/tickets`, which stays empty.
//!
//! The locks belong to the open file, so two connections of one process exclude each other, and the kernel releases those of a
//! process that ends.
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::platform::clock::monotonic_ns;
use crate::platform::permissions;

/// An older ticket does not count. Nobody waits longer unless something holds the write lock for long, or the process is stopped.
pub(super) const TICKET_AGE_MAX: Duration = Duration::from_secs(1);
/// The byte whose lock is the right to checkpoint a long WAL; no ticket is so old.
pub(super) const CHECKPOINT_BYTE: i64 = 0;

/// The open file. A ticket is the number of a byte: the time at which it was taken, in nanoseconds of the monotonic clock.
#[derive(Debug)]
pub(super) struct TicketFile(File);

impl TicketFile {
    /// Opens the file; `None` if there is none yet, because no writer has had to wait and no WAL was long.
    pub(super) fn open(folder: &Path) -> Option<Self> {
        let path = folder.join("tickets");
        let file = File::options().read(true).write(true).open(path);
        file.ok().map(Self)
    }

    /// Opens the file, and makes it with its folder if there is none.
    pub(super) fn open_or_create(folder: &Path) -> std::io::Result<Self> {
        if !folder.exists() {
            permissions::create_folder(folder).map_err(|_| ErrorKind::PermissionDenied)?;
        }
        drop(permissions::append_file(&folder.join("tickets"))?);
        Self::open(folder).ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Locks a byte. Returns false if another writer has it.
    pub(super) fn lock(&self, byte: i64) -> bool {
        self.set_lock(byte, libc::F_WRLCK)
    }

    pub(super) fn unlock(&self, byte: i64) {
        self.set_lock(byte, libc::F_UNLCK);
    }

    fn set_lock(&self, byte: i64, kind: i32) -> bool {
        let lock = range(byte, 1, kind);
        fcntl(&self.0, FcntlArg::F_OFD_SETLK(&lock)).is_ok()
    }

    /// Returns the oldest ticket of another writer.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.oldest_before(i64::MAX)
    }

    /// Returns a ticket of another writer that is older than `number` and counts: the oldest, because the kernel keeps the locks
    /// of a file in the order in which they were taken.
    pub(super) fn oldest_before(&self, number: i64) -> Option<i64> {
        let age_max_ns = i64::try_from(TICKET_AGE_MAX.as_nanos()).unwrap_or(i64::MAX);
        let oldest = (monotonic_ns() - age_max_ns).max(CHECKPOINT_BYTE + 1);
        if number <= oldest {
            return None;
        }
        let mut lock = range(oldest, number - oldest, libc::F_WRLCK);
        fcntl(&self.0, FcntlArg::F_OFD_GETLK(&mut lock)).ok()?;
        (i32::from(lock.l_type) != libc::F_UNLCK).then_some(lock.l_start)
    }
}

fn range(start: i64, length: i64, kind: i32) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).expect("a small number"),
        l_whence: i16::try_from(libc::SEEK_SET).expect("a small number"),
        l_start: start,
        l_len: length,
        l_pid: 0,
    }
}
