//! Takes over the terminal and gives it back as it was: at the end, at an error, and before the message of a panic is printed.
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::queue;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// A terminal in raw mode that shows its second screen. Dropping it restores both.
pub(super) struct Screen(Arc<TerminalState>);

struct TerminalState {
    input: OwnedFd,
    output: File,
    before: Termios,
    is_entered: AtomicBool,
}

impl Screen {
    /// Takes over the terminal of `input` and `output`.
    pub(super) fn enter(input: impl AsFd, output: impl AsFd) -> io::Result<Self> {
        let input = input.as_fd().try_clone_to_owned()?;
        let before = tcgetattr(&input)?;
        let mut raw = before.clone();
        raw.make_raw();
        let output = File::from(output.as_fd().try_clone_to_owned()?);
        let state = TerminalState {
            input,
            output,
            before,
            is_entered: AtomicBool::new(true),
        };
        let screen = Self(Arc::new(state));
        tcsetattr(&screen.0.input, OptionalActions::Now, &raw)?;
        let mut out = &screen.0.output;
        queue!(out, EnterAlternateScreen, EnableBracketedPaste)?;
        out.flush()?;
        Ok(screen)
    }

    /// Returns what draws on it.
    pub(super) fn terminal(&self) -> io::Result<Terminal<CrosstermBackend<File>>> {
        Terminal::new(CrosstermBackend::new(self.0.output.try_clone()?))
    }

    /// Restores the terminal before the message of a panic is printed, which would be lost with the second screen.
    pub(super) fn restore_at_panic(&self) {
        let state = Arc::clone(&self.0);
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            state.restore();
            print(panic);
        }));
    }
}

impl TerminalState {
    fn restore(&self) {
        if !self.is_entered.swap(false, Ordering::SeqCst) {
            return;
        }
        // A terminal that is closed needs nothing.
        let mut out = &self.output;
        let _ = queue!(out, DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = out.flush();
        let _ = tcsetattr(&self.input, OptionalActions::Flush, &self.before);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.0.restore();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use rustix::termios::LocalModes;

    use super::*;

    fn is_cooked(terminal: impl AsFd) -> bool {
        let modes = tcgetattr(terminal).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    #[test]
    fn panic_gives_the_terminal_back() {
        let (mut pty, pts) = pty_process::blocking::open().unwrap();
        let end = catch_unwind(AssertUnwindSafe(|| {
            let _screen = Screen::enter(&pts, &pts).unwrap();
            assert!(!is_cooked(&pts), "keys come one by one");
            panic!("the board has a fault");
        }));
        assert!(end.is_err());
        assert!(is_cooked(&pts));
        // The other end is closed then, so that reading ends.
        drop(pts);
        let (mut written, mut part) = (Vec::new(), [0; 256]);
        while let Ok(count @ 1..) = pty.read(&mut part) {
            written.extend_from_slice(&part[..count]);
        }
        let written = String::from_utf8_lossy(&written).into_owned();
        assert!(written.starts_with("\x1b[?1049h"), "{written:?}");
        assert!(written.contains("\x1b[?1049l"), "{written:?}");
    }
}
