//! Wiring claude-mesh into Claude Code, and taking it out again.
