//! The queue of writers that wait for the write lock: a bound on their wait where SQLite has none.
//!
//! SQLite gives its lock to the writer that asks at the right moment, so waiting writers retry, and one of many may wait for
//! seconds. Here a writer that finds the lock held takes a *ticket*: in an empty file it locks the byte whose number is the time
//! and its slot. Of those with a ticket only the one with the oldest, the head of the queue, tries; the others sleep. A writer
//! that has ended its write wakes the head by the pipe of its slot. Writers without a ticket may still come first, because a lock
//! that nobody holds until the head is awake serves nobody. Once the head has waited for [`CLOSED_AFTER`] they have to queue as
//! well.
//!
//! A program that writes again at once, as one that posts many messages, keeps its turn for [`SLICE`]: its pages are in its
//! cache, and each change of the writer costs two wake-ups and the reading of these pages.
//!
//! Locks and pipes go with their process: a killed writer holds nobody back, and a wake-up that it did not send is made up for by
//! a look every few milliseconds.
//!
//! The queue only orders. A writer that cannot use it, or finds that its head does not move because its process is stopped, tries
//! the lock of SQLite as before; a ticket that is older than a second does not count.
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::libc;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::database_path::with_suffix;
use super::ticket_file::{CHECKPOINT_BYTE, TicketFile};
use crate::platform::clock::{Stopwatch, monotonic_ns};

/// How often a writer that has never waited tries before it makes its slot.
const TRIES_WITHOUT_SLOT: u32 = 2;
/// The ceiling of the pause before the first of these tries; it doubles with each.
const FIRST_CEILING_US: u64 = 100;
/// After this wait of its head, nobody comes before the queue.
const CLOSED_AFTER: Duration = Duration::from_millis(60);
/// How long a program that writes again at once keeps its turn.
const SLICE: Duration = Duration::from_millis(2);
/// A program that begins to write within this time after its last write writes again at once.
const AGAIN_WITHIN: Duration = Duration::from_micros(50);
/// How long the head waits for its wake-up before it tries all the same: who holds the lock may be no writer of the queue.
const HEAD_TRY_STEP: Duration = Duration::from_millis(1);
/// How long the others wait for their wake-up before they look themselves.
const LOOK_STEP: Duration = Duration::from_millis(4);
/// If the head is served first and is the same for this time, the others try as well.
const HEAD_IS_STUCK_AFTER: Duration = Duration::from_millis(80);
/// How many writers can wait at once; more retry by chance. The lowest bits of a ticket are the slot.
const SLOTS: i64 = 1024;

/// The queue, as one connection uses it.
#[derive(Debug)]
pub(super) struct WriteQueue {
    folder: PathBuf,
    state: Mutex<QueueState>,
}

#[derive(Debug, Default)]
struct QueueState {
    tickets: Option<TicketFile>,
    slot: Option<Slot>,
    ticket: Option<Ticket>,
    tries: u32,
    /// Whether a write has begun to wait and has not left.
    is_writing: bool,
    /// When its turn began.
    turn_began: Option<Stopwatch>,
    /// When its last write ended.
    write_ended: Option<Stopwatch>,
    /// Whether the present write began right after the last one.
    writes_again: bool,
}

/// The right to checkpoint a long WAL, until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct CheckpointTurn(#[expect(dead_code, reason = "it holds the lock")] TicketFile);

/// The place of a waiting writer, with the pipe by which it is woken.
#[derive(Debug)]
struct Slot {
    number: i64,
    pipe: File,
}

#[derive(Debug)]
struct Ticket {
    number: i64,
    /// The oldest ticket at the last look, and since when it is.
    head: i64,
    head_since: Stopwatch,
    /// Whether it is the head and has not tried since its last wait.
    tries_now: bool,
}

/// What a waiting writer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QueueStep {
    /// It waits this time, which may be zero, then tries to get the lock.
    TryAfter(Duration),
    /// It waits to be woken, at most this time, then looks again whether it may try.
    LookAfter(Duration),
    /// There is no queue here: it retries by chance.
    Unusable,
}

impl WriteQueue {
    /// Returns the queue of a database. Its files are made when the first writer has to wait, or the first WAL is long.
    pub(super) fn of(database: &Path) -> Self {
        Self {
            folder: with_suffix(database, ".d").join("writers"),
            state: Mutex::default(),
        }
    }

    /// Begins a write, which ends its wait by [`WriteQueue::leave`] or [`WriteQueue::give_up`]. Returns whether it has to take a
    /// ticket before it tries, because the head has waited for long, or has one from its last try.
    pub(super) fn enter(&self) -> bool {
        let mut state = self.state();
        state.is_writing = true;
        let is_within = |since: &Option<Stopwatch>, limit| {
            since.as_ref().is_some_and(|at| at.elapsed() < limit)
        };
        state.writes_again = is_within(&state.write_ended, AGAIN_WITHIN);
        let keeps_turn = state.writes_again && is_within(&state.turn_began, SLICE);
        if !keeps_turn {
            state.turn_began = Some(Stopwatch::start());
        }
        if state.tickets.is_none() {
            state.tickets = TicketFile::open(&self.folder);
        }
        let Some(tickets) = &state.tickets else {
            return false;
        };
        // Who has had its turn queues behind those who wait.
        let comes_after = |ticket| state.writes_again || is_served_first(ticket);
        let is_closed =
            state.ticket.is_some() || !keeps_turn && tickets.oldest().is_some_and(comes_after);
        if is_closed {
            state.tries = TRIES_WITHOUT_SLOT;
        }
        is_closed
    }

    /// Begins a write that waits for the turn of a ticket also if the lock is free.
    pub(super) fn enter_behind_others(&self) {
        self.enter();
        self.state().tries = TRIES_WITHOUT_SLOT;
    }

    /// Returns the next step of a writer that waits. Takes a ticket if it has none. What waits without [`WriteQueue::enter`],
    /// such as a migration, does not queue: nothing would give its ticket back.
    pub(super) fn step(&self) -> QueueStep {
        let mut state = self.state();
        let state = &mut *state;
        if !state.is_writing {
            return QueueStep::Unusable;
        }
        if state.slot.is_none() && state.tries < TRIES_WITHOUT_SLOT {
            state.tries += 1;
            let ceiling_us = FIRST_CEILING_US << state.tries;
            return QueueStep::TryAfter(Duration::from_micros(fastrand::u64(50..ceiling_us)));
        }
        if state.slot.is_none() && self.join(state).is_err() {
            return QueueStep::Unusable;
        }
        let (Some(tickets), Some(slot)) = (&state.tickets, &state.slot) else {
            return QueueStep::Unusable;
        };
        if state.ticket.is_none() {
            state.ticket = take_ticket(tickets, slot);
        }
        match &mut state.ticket {
            None => QueueStep::Unusable,
            Some(ticket) => ticket.step(tickets.oldest_before(ticket.number)),
        }
    }

    /// Waits until this writer is woken, at most for `limit`, which is below a second.
    pub(super) fn wait(&self, limit: Duration) {
        let mut state = self.state();
        let Some(slot) = &mut state.slot else {
            return std::thread::sleep(limit);
        };
        let timeout = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        let is_woken = poll(
            &mut [PollFd::new(&slot.pipe, PollFlags::IN)],
            Some(&timeout),
        );
        if is_woken.is_ok_and(|ready| ready > 0) {
            let _ = slot.pipe.read(&mut [0; 64]);
        }
    }

    /// Ends the wait of a writer that did not get the lock in its time. Its ticket stays, so that a server, which waits in short
    /// turns, keeps its place until its next turn.
    pub(super) fn give_up(&self) {
        let mut state = self.state();
        (state.tries, state.is_writing) = (0, false);
    }

    /// Ends the wait of a writer that has got the lock.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        (state.tries, state.is_writing) = (0, false);
        if let (Some(ticket), Some(tickets)) = (state.ticket.take(), &state.tickets) {
            tickets.unlock(ticket.number);
            state.turn_began = Some(Stopwatch::start());
        }
    }

    /// Wakes the next writer, after the end of a write, unless this program is likely to write again and keeps its turn.
    pub(super) fn wake_next(&self) {
        let mut state = self.state();
        state.write_ended = Some(Stopwatch::start());
        let has_turn = |began: &Stopwatch| began.elapsed() < SLICE;
        if state.writes_again && state.turn_began.as_ref().is_some_and(has_turn) {
            return;
        }
        if let Some(next) = state.tickets.as_ref().and_then(TicketFile::oldest) {
            self.wake(next);
        }
    }

    /// Returns the right to checkpoint a long WAL; `None` while another program has it.
    pub(super) fn take_checkpoint_turn(&self) -> Option<CheckpointTurn> {
        let tickets = TicketFile::open_or_create(&self.folder).ok()?;
        tickets
            .lock(CHECKPOINT_BYTE)
            .then_some(CheckpointTurn(tickets))
    }

    /// Opens the files, and finds a slot that no other writer has.
    fn join(&self, state: &mut QueueState) -> std::io::Result<()> {
        state.tickets = Some(TicketFile::open_or_create(&self.folder)?);
        let first = i64::from(std::process::id()) % SLOTS;
        for number in (first..SLOTS).chain(0..first) {
            let path = self.pipe_path(number);
            match mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            // For reading and writing, so that it has no end.
            let pipe = open_pipe(&path)?;
            if pipe.try_lock().is_ok() {
                state.slot = Some(Slot { number, pipe });
                return Ok(());
            }
        }
        Err(ErrorKind::QuotaExceeded.into())
    }

    /// Wakes the writer that has a ticket. One that has ended needs none.
    fn wake(&self, ticket: i64) {
        if let Ok(mut pipe) = open_pipe(&self.pipe_path(ticket % SLOTS)) {
            let _ = pipe.write(&[1]);
        }
    }

    fn pipe_path(&self, slot: i64) -> PathBuf {
        self.folder.join(slot.to_string())
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    fn step(&mut self, oldest: Option<i64>) -> QueueStep {
        let Some(oldest) = oldest else {
            self.tries_now = !self.tries_now;
            return if self.tries_now {
                QueueStep::TryAfter(Duration::ZERO)
            } else {
                QueueStep::LookAfter(HEAD_TRY_STEP)
            };
        };
        if oldest != self.head {
            (self.head, self.head_since) = (oldest, Stopwatch::start());
        } else if is_served_first(oldest) && self.head_since.elapsed() >= HEAD_IS_STUCK_AFTER {
            return QueueStep::TryAfter(LOOK_STEP);
        }
        QueueStep::LookAfter(LOOK_STEP)
    }
}

/// Returns whether the writer with this ticket has waited so long that nobody may come first.
fn is_served_first(ticket: i64) -> bool {
    let waited = u64::try_from(monotonic_ns() - ticket).unwrap_or(0);
    Duration::from_nanos(waited) >= CLOSED_AFTER
}

/// Takes the ticket of this moment.
fn take_ticket(tickets: &TicketFile, slot: &Slot) -> Option<Ticket> {
    let now = monotonic_ns();
    let number = now - now % SLOTS + slot.number;
    tickets.lock(number).then(|| Ticket {
        number,
        head: 0,
        head_since: Stopwatch::start(),
        tries_now: false,
    })
}

fn open_pipe(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true);
    options.custom_flags(libc::O_NONBLOCK).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::{Clock, Moment, SystemClock};
    use crate::store::ticket_file::TICKET_AGE_MAX;
    use crate::store::{Options, Store};

    fn queues() -> (tempfile::TempDir, [WriteQueue; 3]) {
        let place = tempfile::tempdir().unwrap();
        let queue = || WriteQueue::of(&place.path().join("mesh.db"));
        let queues = [queue(), queue(), queue()];
        (place, queues)
    }

    /// Takes a ticket. Returns whether the writer is the head of the queue.
    fn is_head(queue: &WriteQueue) -> bool {
        queue.enter();
        queue.state().tries = TRIES_WITHOUT_SLOT;
        let is_try = |step| matches!(step, QueueStep::TryAfter(_));
        is_try(queue.step()) || is_try(queue.step())
    }

    #[test]
    fn tickets_are_served_in_their_order() {
        let (_place, [ada, bo, cy]) = queues();
        assert!(is_head(&ada) && !is_head(&bo) && !is_head(&cy));
        ada.leave();
        assert!(is_head(&bo) && !is_head(&cy));
        assert!(!is_head(&ada), "it queues behind the others");
        bo.leave();
        assert!(is_head(&cy));
    }

    #[test]
    fn nobody_comes_before_a_head_that_has_waited_for_long() {
        let (_place, [ada, bo, cy]) = queues();
        assert!(!cy.enter(), "nobody waits");
        assert!(is_head(&ada));
        assert!(!cy.enter());
        std::thread::sleep(CLOSED_AFTER);
        assert!(!is_head(&bo) && cy.enter());
        ada.leave();
        assert!(!cy.enter(), "bo has just come");
    }

    #[test]
    fn writer_that_leaves_wakes_the_next() {
        let (_place, [ada, bo, _]) = queues();
        assert!(is_head(&ada) && !is_head(&bo));
        let began = Stopwatch::start();
        std::thread::scope(|scope| {
            scope.spawn(|| bo.wait(Duration::from_millis(999)));
            ada.leave();
            ada.wake_next();
        });
        assert!(began.elapsed() < Duration::from_millis(900));
    }

    #[test]
    fn write_that_has_ended_wakes_the_head() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("mesh.db");
        let mut store = Store::open(&path, Options::default()).unwrap();
        let head = WriteQueue::of(&path);
        assert!(is_head(&head));
        store
            .write(now(), |tx| Ok(tx.set_meta("kept", "yes")?))
            .unwrap();
        let began = Stopwatch::start();
        head.wait(Duration::from_millis(999));
        assert!(began.elapsed() < Duration::from_millis(900));
    }

    #[test]
    fn writer_that_writes_again_keeps_its_turn_only_for_a_while() {
        let (_place, [ada, bo, _]) = queues();
        ada.enter();
        ada.leave();
        assert!(is_head(&bo));
        let end_write = || ada.state().write_ended = Some(Stopwatch::start());
        end_write();
        assert!(!ada.enter(), "it writes again at once");
        std::thread::sleep(SLICE);
        end_write();
        assert!(ada.enter(), "its turn is over");
    }

    #[test]
    fn ticket_goes_with_its_writer() {
        let (_place, [ada, bo, _]) = queues();
        assert!(is_head(&ada) && !is_head(&bo));
        drop(ada);
        assert!(is_head(&bo));
    }

    #[test]
    fn writer_that_gives_up_keeps_its_place_for_its_next_try() {
        let (_place, [ada, bo, _]) = queues();
        assert!(is_head(&ada) && !is_head(&bo));
        ada.give_up();
        assert!(!is_head(&bo));
        bo.give_up();
        assert!(ada.enter() && is_head(&ada));
        ada.leave();
        assert!(
            !ada.enter(),
            "it has no ticket and nobody has waited for long"
        );
        assert!(is_head(&bo));
    }

    /// Its process may be stopped.
    #[test]
    fn head_that_does_not_move_holds_nobody_back() {
        let (_place, [ada, bo, cy]) = queues();
        assert!(is_head(&ada) && !is_head(&bo));
        std::thread::sleep(CLOSED_AFTER + HEAD_IS_STUCK_AFTER);
        assert!(is_head(&bo));
        std::thread::sleep(TICKET_AGE_MAX);
        assert!(!cy.enter(), "a ticket as old as these delays nobody");
    }

    /// A migration waits for the lock too, and gives no ticket back.
    #[test]
    fn only_a_write_takes_a_ticket() {
        let (_place, [ada, bo, _]) = queues();
        for _ in 0..=TRIES_WITHOUT_SLOT {
            assert_eq!(ada.step(), QueueStep::Unusable);
        }
        assert!(is_head(&bo));
        bo.leave();
        assert_eq!(bo.step(), QueueStep::Unusable);
    }

    #[test]
    fn write_queues_behind_a_head_that_has_waited_for_long() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("mesh.db");
        let mut store = Store::open(&path, Options::default()).unwrap();
        let head = WriteQueue::of(&path);
        assert!(is_head(&head));
        std::thread::sleep(CLOSED_AFTER);
        std::thread::scope(|scope| {
            let write = scope.spawn(|| store.write(now(), |tx| Ok(tx.set_meta("kept", "yes")?)));
            let is_behind = || {
                let state = head.state();
                state.tickets.as_ref().unwrap().oldest().is_some()
            };
            while !is_behind() {
                assert!(!write.is_finished(), "it does not queue");
                std::thread::yield_now();
            }
            head.leave();
            write.join().unwrap().unwrap();
        });
    }

    fn now() -> Moment {
        SystemClock::new().now()
    }
}
