//! The real Claude Code, with a scripted model, in a temporary home.
//!
//! A [`client::Lab`] is a home directory prepared so that no dialog appears, some projects, and a network without an outside.
//! A [`client::LabSession`] is one client in one project with one model; it runs headless (`claude -p`) or in a terminal.
//!
//! The real client is used because claude-mesh relies on behaviour that is specified nowhere and changes with its versions:
//! when hooks run, what becomes of their text, how a Stop hook continues a turn.
#[path = "../../src/cli/claude_sandbox/mod.rs"]
mod claude_sandbox;
mod client;
mod installed;
mod mesh;
mod network;
mod scripted_api;
mod terminal;
mod throttle;

/// The client itself, without claude-mesh: if these tests fail, the lab is broken and not the mesh.
mod client_alone;

/// Questions between sessions, as their users see them.
mod asks;
mod background;

/// Questions to a peer that is idle, busy, at a dialog, ended, or quiet.
mod wakes;

/// The plugin `mesh`, installed from a git repository and a registry of packages on this machine.
mod plugin;

/// Files that one session has claimed and another is about to edit.
mod guard;

/// The mod, which the client loads in place.
mod mod_command;
mod mod_guard;

/// Answers from forks of sessions that work, wait or are idle.
mod fork;
mod fork_faults;
mod fork_reads;

/// Questions to a session whose person has a dialog open.
mod dialogs;

/// Tasks that one session creates and another does.
mod tasks;

/// Long results, as the model receives them.
mod long_result;

/// `claude-mesh demo --real`, as after a first build.
mod demo;

/// Wake-ups of a client that takes no inbox lines, by a waiting hook.
mod rewake;

/// Clients on two hosts that share a mesh through a hub.
#[cfg(feature = "remote")]
mod far;

/// The client connected to the hub over HTTP.
#[cfg(feature = "hub")]
mod http;
