//! Shows the progress of a waiting command in one line, and ends the wait on Ctrl-C.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use owo_colors::OwoColorize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::print;
use crate::cli::error::Failure;
use crate::platform::text;
use crate::wake::WakeSignal;

/// Set by Ctrl-C, a closed terminal or SIGTERM: the wait ends at once and the question stays open.
#[derive(Clone)]
pub(super) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Handles the signals from now on, and raises `wake_signal` to end the wait.
    pub(super) fn on_signals(wake_signal: Arc<WakeSignal>) -> Result<Self, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        let stop = Self(Arc::clone(&flag));
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        std::thread::spawn(move || {
            for _ in signals.forever() {
                // The second signal ends the program at once.
                if flag.swap(true, Ordering::SeqCst) {
                    std::process::exit(130);
                }
                wake_signal.raise();
            }
        });
        Ok(stop)
    }

    /// Returns whether a signal came.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// One line on stderr that is overwritten.
pub(super) struct ProgressLine {
    is_drawn: bool,
    enabled: bool,
}

impl ProgressLine {
    /// Returns a line that is shown only if `enabled`.
    pub(super) fn new(enabled: bool) -> Self {
        Self {
            is_drawn: false,
            enabled,
        }
    }

    /// Overwrites the line.
    pub(super) fn show(&mut self, words: &str) {
        if !self.enabled {
            return;
        }
        let width = print::columns(std::io::stderr()).unwrap_or(80).max(20);
        let words = text::one_line(words);
        let _ = print::err(&format!(
            "\r\x1b[2K{}",
            text::cut_chars(&words, width - 1).dimmed()
        ));
        self.is_drawn = true;
    }

    /// Clears the line.
    pub(super) fn clear(&mut self) {
        if self.is_drawn {
            let _ = print::err("\r\x1b[2K");
            self.is_drawn = false;
        }
    }
}
