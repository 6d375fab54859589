//! All black-box tests are one program; each module says what belongs there.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::needless_pass_by_value,
    clippy::similar_names,
    clippy::struct_field_names,
    clippy::unwrap_used,
    reason = "tests look at the real clock and at the switches of whoever runs them; one that cannot go on has failed"
)]

/// What the rest stands on: a temporary home, real sessions, real programs.
mod world;

/// Stories of questions: two or three named peers, a real file, real processes.
mod ask;

/// Stories of waits: for somebody not there yet, for several answers, and waits that end otherwise than by an answer.
mod wait;

/// Stories of messages: who gets which, in what order, how far somebody has read.
mod mail;

/// How mail and claims reach a session: the words of the hooks, the doorbell, the brakes.
mod mail_delivery;

/// Messages at the command line.
#[cfg(feature = "cli")]
mod mail_cli;

/// Stories of claims: who holds a resource, who waits for it, when it passes on.
mod claim;

/// Claims as people type them.
#[cfg(feature = "cli")]
mod claim_cli;

/// The line for a claim beside a small model of it.
mod claim_model;

/// The guard of claimed files: the hook before an edit, and the check before a commit.
mod guard;

/// Stories of forgetting: who may, what is left of it, what the log tells.
#[cfg(feature = "cli")]
mod forget;

/// Stories of known answers: what was answered earlier, for whoever cannot have an answer now.
#[cfg(feature = "cli")]
mod known;

/// Stories of memory: kept, found in any form, replaced, forgotten.
#[cfg(feature = "cli")]
mod memory;

/// Stories of mailboxes: names, seats, restarts, worktrees, headless runs.
mod peer;

/// Stories of what a session is at, as others see it.
mod doing;

/// Stories of who most likely knows about something.
mod knows;
/// Stories of shared state: values that sessions agree on.
mod state;

/// Stories of tasks: who creates, begins, reviews and ends them, who is told, what is refused.
mod task;

/// Tasks and their board as people type them.
#[cfg(feature = "cli")]
mod task_cli;
/// Stories of the files of tasks: who has them when tasks overlap, name others, or change hands.
mod task_files;

/// Tasks beside a small model of them.
mod task_model;

/// Stories of the event log: read, waited for, subscribed to, written to.
mod event;

/// Figures: counted exactly, without counting.
mod tally;

/// What was promised, line by line, and the tests that hold it.
mod ledger;

/// Stories of walls: one mesh does not exist for another.
mod wall;

/// Stories of long results: where they stop, and how the rest comes.
mod sizes;

/// The hooks as programs: text in, text out, exit status 0.
mod hooks;

/// Many real processes at once.
mod crowd;

/// The doorbell into a session's own inbox, and the brakes.
mod ring;

/// What is told of the way of a question, whatever fails on it: `delivery`, progress, the log.
mod truth;

/// Stories of the brakes: how deep questions may follow from questions, and who is told that one is on.
mod brake;

/// The hook that waits beside an idle session, where its client takes no line.
mod rewake;

/// Who wakes when, and who does not.
mod wake;

/// Upgrades while sessions run.
mod upgrade;

/// What time does: expiry, retention, the order of the log.
mod time;

/// Talk: lines to the server and lines from it, as they are written in `tests/transcripts`.
mod mcp;

/// The list of tools: which there are, what is told of each.
mod tools;

/// Clients that nobody here wrote, as their users run them.
mod foreign;

/// The life of the server: what ends it, and what is left then.
mod life;

/// Bad surroundings: full disks, missing rights, held locks, broken and foreign files.
mod faults;

/// The house: floors, rooms, doors.
mod layers;

/// Wiring into Claude Code's files and out again: real folders, links, modes, and files that change meanwhile.
mod install;

/// What clients of another make are told to put into their files.
#[cfg(feature = "cli")]
mod clients;

/// What people type: the built program, its text, its exit status, beside peers that sit in the same file.
#[cfg(feature = "cli")]
mod cli;

/// The documents agree with the code and with each other.
#[cfg(all(feature = "cli", feature = "server"))]
mod paper;

/// What only the real Claude Code can show: hooks, tools and terminals as its user meets them.
#[cfg(all(feature = "cli", feature = "server"))]
mod claude_code;
