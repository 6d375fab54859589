//! Finds the process of a client other than Claude Code that runs a hook: the parent of its MCP servers too.
use crate::platform::process::{self, ProcessKey};
use crate::platform::{Fault, FaultKind};

/// Says to a hook program that another client runs it. Installed with the hooks of such a client.
const ARGUMENT: &str = "--other-client";
/// What a client may start between itself and the hook; most shells replace themselves by their last command.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "fish", "ksh"];

/// Returns whether another client runs this program.
pub(super) fn is_named_by_arguments() -> bool {
    std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == ARGUMENT)
}

/// Returns the nearest ancestor that is no shell.
pub(super) fn find_client() -> Result<ProcessKey, Fault> {
    let is_shell = |pid| process::name(pid).is_some_and(|name| SHELLS.contains(&name.as_str()));
    process::ancestors(process::own_pid())
        .map(|found| found.key)
        .find(|key| !is_shell(key.pid))
        .ok_or_else(|| {
            Fault::new(
                FaultKind::Other,
                "cannot find the client that runs this hook",
                "the client starts its hooks itself; `claude-mesh doctor` shows whether they are installed",
            )
        })
}
