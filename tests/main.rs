//! All black-box tests are one program; each module says what belongs there.

/// Wiring into Claude Code's files and out again: real folders, links, modes, and files that change meanwhile.
mod install;
