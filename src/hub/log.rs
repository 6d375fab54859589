//! The log of the hub: lines with a time on stderr, which a hub in the background has in `hub.log`.
use std::io::{self, Write};

use crate::platform::clock::rfc3339;
use crate::platform::{Clock, SystemClock, text};

/// Writes one line. Keys, tokens and texts of peers are never logged.
pub(super) fn log(message: &str) {
    let now = rfc3339(SystemClock::new().now().wall_ms);
    // There is nowhere to report that the log cannot be written.
    let _ = writeln!(io::stderr(), "{now} {}", text::one_line(message));
}
