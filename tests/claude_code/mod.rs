//! The real Claude Code, with a scripted model, in a home of its own.
//!
//! A [`client::Lab`] is a home directory prepared so that no dialog appears, some projects, and a network without an outside.
//! A [`client::Session`] is one client in one project with one model; it runs headless (`claude -p`) or in a terminal.
//!
//! Why the real client and not a stand-in: what claude-mesh relies on (when hooks run, what becomes of their text, how a Stop hook continues a turn) is nowhere specified and moves with its versions.
#[path = "../../src/cli/claude_sandbox/mod.rs"]
mod claude_sandbox;
mod client;
mod installed;
mod mesh;
mod network;
mod scripted_api;
mod terminal;
mod throttle;

/// The client itself, without claude-mesh: if these fail, the lab is broken and not the mesh.
mod plain;

/// Questions between sessions, as the people who run them meet them.
mod asks;
mod background;

/// What becomes of a question whose peer sits at its prompt, works, is at a dialog, is gone, or wants to be left alone.
mod wakes;

/// Files that one session has claimed and another is about to edit.
mod guard;

/// Tasks that one session writes down and another does.
mod tasks;

/// Long results, as the model gets them.
mod long;

/// `claude-mesh demo --real`, as somebody meets it who has only just built claude-mesh.
mod demo;

/// The same where its client takes no line from outside, and a hook waits instead.
mod rewake;
