//! Points at which a test kills the process, to see what a crash there leaves behind. Only builds with debug assertions have them.

/// Kills this process if a test has named this point. Nothing of it is run any more, as after `kill -9`.
#[inline]
pub fn reach(name: &str) {
    #[cfg(debug_assertions)]
    if crate::platform::settings::is_killed_at(name) {
        use rustix::process::{Signal, getpid, kill_process};
        let _ = kill_process(getpid(), Signal::KILL);
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}
