//! A wait that somebody watches: one line that tells how far it came, and Ctrl-C that ends it.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use owo_colors::OwoColorize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::print;
use crate::cli::error::Failure;
use crate::platform::text;
use crate::wake::Signal;

/// Ctrl-C, a closed terminal or a polite end: the wait ends at once and the question stays open.
#[derive(Clone)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens from now on; `bell` ends the wait.
    pub(super) fn on_signals(bell: Arc<Signal>) -> Result<Self, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        let stop = Self(Arc::clone(&flag));
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        std::thread::spawn(move || {
            for _ in signals.forever() {
                // The second time there is no more patience, whatever the first one waits for.
                if flag.swap(true, Ordering::SeqCst) {
                    std::process::exit(130);
                }
                bell.raise();
            }
        });
        Ok(stop)
    }

    /// Returns whether somebody stopped it.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// One line on stderr that is written over.
pub(super) struct LiveLine {
    shown: bool,
    on: bool,
}

impl LiveLine {
    /// Returns a line that is shown only where `on` holds.
    pub(super) fn new(on: bool) -> Self {
        Self { shown: false, on }
    }

    /// Writes the words over the last ones.
    pub(super) fn show(&mut self, words: &str) {
        if !self.on {
            return;
        }
        let width = print::columns(std::io::stderr()).unwrap_or(80).max(20);
        let words = text::one_line(words);
        let _ = print::err(&format!(
            "\r\x1b[2K{}",
            text::cut_chars(&words, width - 1).dimmed()
        ));
        self.shown = true;
    }

    /// Takes the line away.
    pub(super) fn clear(&mut self) {
        if self.shown {
            let _ = print::err("\r\x1b[2K");
            self.shown = false;
        }
    }
}

/// Returns a span as people say it.
pub(super) fn lasted(ms: i64) -> String {
    match ms {
        ..=9_999 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        10_000..=119_999 => format!("{} s", ms / 1000),
        _ => format!("{} min", ms / 60_000),
    }
}
