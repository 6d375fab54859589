//! The log of the hub: lines with a time on stderr, which a hub in the background has in `hub.log`. That file is kept small:
//! nobody looks after it.
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::platform::clock::{rfc3339, wall_ms};
use crate::platform::{permissions, text};

/// At this size the log file is renamed to `hub.log.1`, and a new one is begun.
const BYTES_MAX: u64 = 1024 * 1024;

/// The file that stdout and stderr are, in a hub in the background.
static LOG_FILE: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Writes one line. Keys, tokens and texts of peers are never logged.
pub(super) fn log(message: &str) {
    let line = format!("{} {}\n", rfc3339(wall_ms()), text::one_line(message));
    // No line is written while another thread begins a new file.
    let file = LOG_FILE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = &*file {
        // The log goes on in the file that there is.
        let _ = begin_new_file_if_long(path);
    }
    // There is nowhere to report that the log cannot be written.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Keeps the log small from now on: stdout and stderr are the file at this path.
pub(super) fn keep_small(path: PathBuf) {
    *LOG_FILE.lock().unwrap_or_else(PoisonError::into_inner) = Some(path);
}

fn begin_new_file_if_long(path: &Path) -> io::Result<()> {
    let size = rustix::fs::fstat(io::stderr())?.st_size;
    if u64::try_from(size).is_ok_and(|size| size <= BYTES_MAX) {
        return Ok(());
    }
    std::fs::rename(path, path.with_extension("log.1"))?;
    let file = permissions::append_file(path)?;
    rustix::stdio::dup2_stdout(&file)?;
    rustix::stdio::dup2_stderr(&file)?;
    Ok(())
}
