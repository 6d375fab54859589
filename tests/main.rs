//! All black-box tests are one program; each module says what belongs there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

/// What the rest stands on: a temporary home, real sessions, real programs.
mod world;

/// Stories of questions: two or three named peers, a real file, real processes.
mod ask;

/// Wiring into Claude Code's files and out again: real folders, links, modes, and files that change meanwhile.
mod install;

/// What people type: the built program, its text, its exit status, beside peers that sit in the same file.
#[cfg(feature = "cli")]
mod cli;
