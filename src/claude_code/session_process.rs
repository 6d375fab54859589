//! Finds the Claude Code session that started this process, so that hooks, server and command line agree on who the caller
//! is.
use crate::platform::process::{self, ProcessKey, ProcessStat};

/// Returns the nearest ancestor of a process that `is_session`; wrappers (`npx`, `sh`) in between do not matter.
///
/// Returns `None` if another process of the same program is in between that is not a session itself: `claude mcp list` in
/// the shell of a session is a client of its own, and the session above it is not its caller.
pub fn find_session_ancestor(
    pid: i32,
    is_session: impl Fn(&ProcessStat) -> bool,
) -> Option<ProcessKey> {
    let chain: Vec<ProcessStat> = process::ancestors(pid).collect();
    find_nearest_session(&chain, is_session, process::program)
}

fn find_nearest_session<P: PartialEq>(
    chain: &[ProcessStat],
    is_session: impl Fn(&ProcessStat) -> bool,
    program: impl Fn(i32) -> Option<P>,
) -> Option<ProcessKey> {
    let at = chain.iter().position(is_session)?;
    let own = program(chain[at].key.pid);
    let has_foreign_client = chain[..at]
        .iter()
        .any(|between| own.is_some() && program(between.key.pid) == own);
    (!has_foreign_client).then_some(chain[at].key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(pids: &[i32]) -> Vec<ProcessStat> {
        pids.iter()
            .map(|&pid| ProcessStat {
                key: ProcessKey { pid, started: 1 },
                parent: 0,
                running: true,
            })
            .collect()
    }

    #[test]
    fn session_is_found_through_wrapper_processes() {
        let programs = |pid| Some(if pid == 30 { "claude" } else { "sh" });
        let found = find_nearest_session(
            &chain(&[10, 20, 30, 40]),
            |process| process.key.pid == 30,
            programs,
        );
        assert_eq!(found.unwrap().pid, 30);
    }

    #[test]
    fn nested_client_is_not_matched_to_the_outer_session() {
        let programs = |pid| Some(if pid == 20 { "sh" } else { "claude" });
        assert_eq!(
            find_nearest_session(
                &chain(&[10, 20, 30]),
                |process| process.key.pid == 30,
                programs
            ),
            None
        );
    }
}
