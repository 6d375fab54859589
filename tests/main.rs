//! All black-box tests are one program; the comment at each module says what it tests.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::needless_pass_by_value,
    clippy::similar_names,
    clippy::struct_field_names,
    clippy::unwrap_used,
    reason = "tests read the real clock and the environment; a test that cannot continue has failed"
)]

/// What the tests share: a temporary home, real sessions, real programs.
mod support;

/// Questions between named peers over a real file: asked, delivered, answered, late, withdrawn, refused; two sessions that
/// ask each other.
mod ask;

/// Deadlocks between questions and claims.
mod deadlock;

/// Waits: for an offline peer, for several answers, and waits that end otherwise than by an answer.
mod wait;

/// Which of several waits a question interrupts.
mod wait_order;

/// Messages: who receives which, in what order, how far a peer has read.
mod message;

/// Messages under a manual clock and compared with a reference model.
mod message_model;

/// Limits of messages: size, length of a list, rate of broadcasts.
mod message_limits;

/// How messages and claims reach a session: texts of the hooks, wake lines, throttle.
mod message_delivery;

/// Claims: who holds a resource, who waits for it, when the next ticket is granted.
mod claim;

/// Leases: how long a claim holds without renewal.
mod lease;

/// The claim queue compared with a reference model.
mod claim_model;

/// The guard of claimed files: the hook before an edit, and the check before a commit.
mod claim_guard;

/// Calm markers: hooks of a session for which nothing is pending open no database, and overlook nothing.
mod calm_marker;

/// The board in a terminal: what it shows, what its keys do, how it gives the terminal back.
#[cfg(feature = "top")]
mod top;

/// The guard of working trees: the hook before a shell command that runs git where another session works.
mod git_guard;

/// The socket at which the server of a session tells the mod which tool calls are denied.
mod guard_socket;

/// Erasing text: who may, what is left in the files, what the event log records.
#[cfg(feature = "cli")]
mod erase;

/// Prior answers: earlier answers offered to an asker who cannot have a new one.
#[cfg(feature = "cli")]
mod prior_answers;

/// Memory: stored, found in any form, replaced, erased.
#[cfg(feature = "cli")]
mod memory;

/// Recalling memories by words, phrases, prefixes and tags.
#[cfg(feature = "cli")]
mod memory_recall;

/// Peers: names, restarts, worktrees, headless runs.
mod peer;

/// The list of peers.
mod peer_list;

/// Names of peers: derived, chosen, kept.
mod peer_names;

/// What a session works on, as its peers see it.
mod activity;

/// Which peer most likely knows about a subject.
mod expertise;

/// Shared state: values that sessions agree on.
mod state;

/// Tasks: who creates, starts, reviews and ends them, who is notified, what is refused.
mod task;

/// Changes of tasks that are refused.
mod task_refusals;

/// Many tasks at once.
mod task_bulk;

/// The files of tasks: who holds them when tasks overlap, name other files, or get another assignee.
mod task_files;

/// Tasks compared with a reference model.
mod task_model;

/// Access keys of the hub, sign-in links of its board, and repeated requests.
#[cfg(feature = "hub")]
mod access_key;

/// MCP over HTTP at `/mcp` of the hub: revisions, progress, broken connections, cancellation, scopes, invalid requests.
#[cfg(feature = "hub")]
mod hub_mcp;

/// The live events of the hub: begun, resumed, gaps, slow readers, ends; who can be asked while a board listens.
#[cfg(feature = "hub")]
mod hub_events;

/// Programs of other makers at `/mcp` of the hub: the official clients, the conformance suite of the protocol.
#[cfg(feature = "hub")]
mod hub_clients;

/// Sessions on other machines than their mesh: real servers and hooks that reach it through a hub.
#[cfg(feature = "remote")]
mod remote;

/// Hubs whose mesh is on a PostgreSQL server.
#[cfg(feature = "postgres")]
mod hub_store;

/// Faults of the PostgreSQL server behind hubs: restarts, a failover, a full disk, a wrong location.
#[cfg(feature = "postgres")]
mod hub_store_faults;
/// What a session far from its mesh says of a hub that it cannot use: URL, certificate, key, version.
#[cfg(feature = "remote")]
mod remote_commands;
mod remote_errors;

/// Sessions far from their mesh on a slow network, and on one that breaks.
#[cfg(feature = "remote")]
mod remote_network;

/// Replies that are kept because the hub is out of reach.
#[cfg(feature = "remote")]
mod remote_spool;

/// Wakes of sessions far from their mesh.
#[cfg(feature = "remote")]
mod remote_wake;

/// Sessions of other hosts at a hub, by the requests of their programs.
#[cfg(feature = "hub")]
mod hub_remote;

/// The REST routes of the hub: the same stories as over MCP.
#[cfg(feature = "hub")]
mod hub_rest;

/// Requests that the hub refuses, each with its status and error.
#[cfg(feature = "hub")]
mod hub_errors;

/// How a hub starts, is found by programs of its user, and ends.
#[cfg(feature = "hub")]
mod hub_lifecycle;

/// The hub when its database is read-only or locked.
#[cfg(feature = "hub")]
mod hub_storage;

/// Requests to the hub that name an idempotency key, when the hub is killed or the client vanishes.
#[cfg(feature = "hub")]
mod hub_idempotency;

/// The hub under load that it must bound: slow bodies, very many wrong keys.
#[cfg(feature = "hub")]
mod hub_bounds;

/// The hub against programs that must not get in.
#[cfg(feature = "hub")]
mod hub_security;

/// Sessions that register at a peer by its name.
mod named_peer;

/// The event log: read, waited for, subscribed to, written to.
mod event;

/// Calls that wait for events.
mod event_wait;

/// Counters: exact without counting rows.
mod counters;

/// Every requirement with the tests that hold it.
mod requirements;

/// Isolation: one mesh does not exist for another.
mod isolation;

/// Long results: where they are truncated, and how the rest is fetched.
mod result_budget;

/// Hooks that get what is pending from the server of their session.
mod hook_delivery;
/// Hooks where the mesh is at a hub: what they ask of the server of their session.
#[cfg(feature = "remote")]
mod hook_socket;
/// The hooks as programs: text in, text out, exit status 0.
mod hooks;

/// Many real processes at once.
mod concurrency;

/// Programs are killed while sessions work: no reported result is lost, repeated or untrue.
mod crash;

/// When a session is woken by its own inbox, and what the asker gets as its result.
mod wake_policy;

/// The wake budget, quiet and pause.
mod wake_budget;

/// Wake attempts and their outcomes in the event log.
mod wake_attempts;

/// The delivery states of a question, reported correctly whatever fails: `delivery`, progress, event log.
mod delivery_states;

/// The depth limit of questions, and how throttles are reported.
mod throttle;

/// The description of the routes of the hub, and schemathesis.
#[cfg(feature = "hub")]
mod openapi;

/// The person as a peer: asked, notified, answering, within a budget.
#[cfg(all(feature = "cli", feature = "server"))]
mod person;

/// The hook that waits beside an idle session whose client takes no inbox lines.
mod rewake;

/// Which processes a doorbell wakes, and which it does not.
mod doorbell;

/// Upgrades while sessions run.
mod upgrade;

/// Expiry and retention under a manual clock, and the order of the event log.
mod expiry;

/// The protocol: lines to and from the server, as written in `tests/transcripts`.
mod mcp;

/// The list of tools and their descriptions.
mod tools;

/// MCP clients of other makers, run as their users run them.
mod other_clients;

/// The plugin `mesh`: its files, and how it and an install keep out of each other's way.
#[cfg(feature = "cli")]
mod plugin;

/// The files of a release: archives, packages, metadata; each is installed into an empty folder.
#[cfg(feature = "cli")]
mod release;

/// The files of Codex and Gemini, edited and restored byte for byte, as these programs read them.
#[cfg(feature = "cli")]
mod client_install;

/// Sessions of the real Codex and Gemini with a scripted model: what they ask, and what they are asked.
#[cfg(feature = "cli")]
mod client_sessions;

/// The board page in a browser: what a person sees and does there.
#[cfg(feature = "hub")]
mod board;

/// The lifecycle of the server: what ends it, and what it leaves.
mod lifecycle;

/// Refusals: exact code, message and hint, one table a noun.
mod refusals;

/// Environment faults: full disks, missing permissions, held locks, damaged and foreign files.
mod faults;

/// Descriptors or a writable disk that are taken away while sessions run.
mod resource_limits;

/// Power cuts: what is left of the files, whatever had been written and not flushed.
mod power_cut;

/// Sessions that are stopped beyond their leases.
mod stopped_session;

/// The file of the mesh is replaced while sessions run.
mod replaced_database;

/// The wall clock is set back and forth.
mod clock_jump;

/// Invalid configuration files and settings.
mod config_faults;

/// Foreign and damaged databases.
mod damaged_database;

/// Saving what can be read of a damaged file.
#[cfg(feature = "cli")]
mod salvage;

/// The structure of the sources: layers, import cycles, sizes, names.
mod layers;

/// Answers from forks of a session: what the mod may take, what it says, and what becomes of a question that no fork answers.
mod fork;

/// Installing into Claude Code's files and uninstalling: real folders, links, modes, concurrent changes.
mod install;

/// Installing the mod, and what `doctor` says of it.
mod install_mod;

/// Inspecting an installation.
mod inspect;

/// The configuration printed for other clients.
#[cfg(feature = "cli")]
mod client_config;

/// The command line: the built program, its text, its exit status, beside peers in the same database.
#[cfg(feature = "cli")]
mod cli;

/// The files of `config/` agree with the programs.
#[cfg(feature = "postgres")]
mod config_files;

/// The documents agree with the code and with each other.
#[cfg(all(feature = "cli", feature = "server"))]
mod documents;

/// What only the real Claude Code can show: hooks, tools and terminals as its user meets them.
#[cfg(all(feature = "cli", feature = "server"))]
mod claude_code;

/// A mesh on a PostgreSQL server: found and refused, writers at once, wake-ups, a connection that is lost.
#[cfg(feature = "postgres")]
mod postgres;
