//! What Claude Code runs at its own events.
