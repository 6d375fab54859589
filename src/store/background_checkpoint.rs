//! Copies a long WAL in a thread, so that no caller of a server waits for the disk.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::busy_handler::{install_busy_handler, wait_in_queue};
use super::connect::connect;
use super::fault::fault;
use super::wal::{CheckpointMode, checkpoint, copy_wal};
use super::write_queue::{CheckpointTurn, WriteQueue};
use crate::platform::Fault;
use crate::platform::clock::Stopwatch;

/// How long the thread waits for its turn among the writers.
const TURN_WAIT_MAX: Duration = Duration::from_millis(100);
const STACK_BYTES: usize = 256 * 1024;

/// Copies the WAL of the database at `path` in a thread and lets it begin again. A failure is ignored.
pub(super) fn checkpoint_in_background(path: &Path, turn: CheckpointTurn) {
    let path = path.to_path_buf();
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let _ = thread.spawn(move || {
        let _turn = turn;
        let _ = copy_and_restart(&path);
    });
}

fn copy_and_restart(path: &Path) -> Result<(), Fault> {
    let with_path = |error| fault(path, error);
    let mut connection = connect(path)?;
    if !copy_wal(&connection).map_err(with_path)? {
        return Ok(());
    }
    let queue = Arc::new(WriteQueue::of(path));
    let lock_timeout = install_busy_handler(&mut connection, TURN_WAIT_MAX, Arc::clone(&queue))
        .map_err(with_path)?;
    queue.enter_behind_others();
    let since = Stopwatch::start();
    wait_in_queue(&queue, || since.elapsed() >= TURN_WAIT_MAX);
    let restarted = checkpoint(&connection, CheckpointMode::Restart, &lock_timeout);
    queue.leave();
    queue.wake_next();
    restarted.map(drop).map_err(with_path)
}
