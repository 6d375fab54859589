//! One table a noun: what is refused, and the exact code, message and hint.
mod claim;
mod event;
mod memory;
mod message;
mod question;
mod state;
mod task;

/// The hint of most refusals with the code `invalid_argument`.
const HINT_INVALID_ARGUMENT: &str = "Call the tool again with the parameter as its schema says.";

/// The hint of most refusals with the code `secret`.
const HINT_SECRET: &str =
    "Call again naming where it is kept (file, variable, vault), not its value.";

/// The hint of most refusals with the code `too_large`.
const HINT_TOO_LARGE: &str = "Call again with a shorter text; name the file that has the rest.";

/// The hint of most refusals with the code `unknown_peer`.
const HINT_UNKNOWN_PEER: &str = "Call list_peers for the peers of the mesh; list_peers {\"include_stale\": true} also shows peers without a session.";
