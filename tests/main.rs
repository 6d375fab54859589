//! All black-box tests are one program; each module says what belongs there.
#![allow(
    clippy::disallowed_methods,
    reason = "tests look at the real clock and at the switches of whoever runs them"
)]

/// What only the real Claude Code can show: hooks, tools and terminals as its user meets them.
#[cfg(all(feature = "cli", feature = "server"))]
mod claude_code;
