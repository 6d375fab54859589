//! Reads keys and changes of the size on a thread of their own, which raises the signal that the board waits for.
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use ratatui::crossterm::event::{self, Event};

use crate::wake::WakeSignal;

/// What the terminal sends.
pub(super) struct Input {
    events: Receiver<Event>,
}

impl Input {
    /// Begins to read. The signal is raised once for each event, and when the terminal is closed.
    pub(super) fn read(signal: Arc<WakeSignal>) -> Self {
        let (sender, events) = channel();
        std::thread::spawn(move || {
            while let Ok(event) = event::read() {
                if sender.send(event).is_err() {
                    return;
                }
                signal.raise();
            }
            drop(sender);
            signal.raise();
        });
        Self { events }
    }

    /// Returns the events that have come; `None` if the terminal is closed.
    pub(super) fn take(&self) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            match self.events.try_recv() {
                Ok(event) => events.push(event),
                Err(TryRecvError::Empty) => return Some(events),
                Err(TryRecvError::Disconnected) => return None,
            }
        }
    }
}
