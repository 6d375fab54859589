//! Looks up processes of this machine: which are alive, which are the parents of another. It reads `/proc`; on systems
//! without it nothing is found.
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::platform::file::is_out_of_descriptors;

/// Identifies a process, also against a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessKey {
    /// Its process number.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub started: i64,
}

/// The state of a process.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStat {
    pub key: ProcessKey,
    /// The number of its parent.
    pub parent: i32,
    /// False for a zombie, which has ended and waits to be reaped.
    pub running: bool,
}

/// Returns the state of a process, or `None` if no process has that number.
pub fn stat(pid: i32) -> Option<ProcessStat> {
    parse_stat(pid, &read_proc_line(&format!("/proc/{pid}/stat")).ok()?)
}

/// Returns whether exactly this process runs. A zombie does not. Without a descriptor to look with, any process of that number
/// counts: others must not be taken for dead because this one can open no file.
pub fn is_alive(key: ProcessKey) -> bool {
    match read_proc_line(&format!("/proc/{}/stat", key.pid)) {
        Ok(line) => {
            parse_stat(key.pid, &line).is_some_and(|found| found.running && found.key == key)
        }
        Err(error) => is_out_of_descriptors(&error) && exists(key.pid),
    }
}

/// Returns whether a process has this number, without opening a file.
fn exists(pid: i32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    Pid::from_raw(pid).is_some_and(|pid| {
        matches!(
            test_kill_process(pid),
            Ok(()) | Err(rustix::io::Errno::PERM)
        )
    })
}

/// A handle that waits for the end of a process.
#[cfg(feature = "watcher")]
#[derive(Debug)]
pub struct ExitWatch {
    key: ProcessKey,
    descriptor: rustix::fd::OwnedFd,
}

/// Opens a handle that waits for the end of a process; `None` if it has ended, or if the system offers no such handle.
#[cfg(feature = "watcher")]
pub fn open_exit_watch(key: ProcessKey) -> Option<ExitWatch> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let descriptor = pidfd_open(Pid::from_raw(key.pid)?, PidfdFlags::empty()).ok()?;
    // The number may have been reused between looking it up and opening it.
    is_alive(key).then_some(ExitWatch { key, descriptor })
}

#[cfg(feature = "watcher")]
impl ExitWatch {
    /// Waits until the process has ended, or until the system reports an error.
    pub fn wait(&self) {
        use rustix::event::{PollFd, PollFlags, poll};
        while is_alive(self.key) {
            let polled = poll(&mut [PollFd::new(&self.descriptor, PollFlags::IN)], None);
            if !matches!(polled, Ok(_) | Err(rustix::io::Errno::INTR)) {
                return;
            }
        }
    }
}

/// Returns the ancestors of a process, nearest first, at most 64.
pub fn ancestors(pid: i32) -> impl Iterator<Item = ProcessStat> {
    let mut next = stat(pid).map_or(0, |found| found.parent);
    std::iter::from_fn(move || {
        let found = (next > 0).then(|| stat(next)).flatten()?;
        next = found.parent;
        Some(found)
    })
    .take(64)
}

/// Returns the children of a process that its main thread has started.
#[cfg(feature = "cli")]
pub fn children(pid: i32) -> Vec<i32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let listed = listed.unwrap_or_default();
    listed.split_whitespace().flat_map(str::parse).collect()
}

/// Returns the parent of this process.
pub fn parent() -> Option<ProcessKey> {
    ancestors(own_pid()).next().map(|parent| parent.key)
}

/// Returns the executable of a process.
pub fn program(pid: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// Returns the words of the command line of a process; none if it cannot be read.
#[cfg(feature = "server")]
pub fn arguments(pid: i32) -> Vec<String> {
    nul_terminated(&format!("/proc/{pid}/cmdline"))
}

/// Returns a variable of the initial environment of a process of this user.
#[cfg(feature = "server")]
pub fn environment_variable(pid: i32, name: &str) -> Option<String> {
    let all = nul_terminated(&format!("/proc/{pid}/environ"));
    all.iter()
        .find_map(|it| it.strip_prefix(name)?.strip_prefix('='))
        .map(str::to_owned)
}

#[cfg(feature = "server")]
fn nul_terminated(path: &str) -> Vec<String> {
    let content = std::fs::read(path).unwrap_or_default();
    let words = content.split(|byte| *byte == 0).filter(|it| !it.is_empty());
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// Returns the name of a process, at most 15 bytes of it.
pub fn name(pid: i32) -> Option<String> {
    let line = read_proc_line(&format!("/proc/{pid}/comm")).ok()?;
    Some(line.trim_end_matches('\n').to_owned())
}

/// Returns the running processes whose initial environment has this variable with this value, as far as this user may read
/// it.
pub fn find_processes_by_env(variable: &str, value: &Path) -> Vec<ProcessKey> {
    let assignment = [variable.as_bytes(), b"=", value.as_os_str().as_bytes()].concat();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|it| it == assignment)
    })
    .filter_map(|pid| stat(pid).filter(|found| found.running))
    .map(|found| found.key)
    .collect()
}

/// A running program of this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningProgram {
    /// Its process.
    pub key: ProcessKey,
    /// The name of its file.
    pub name: String,
    /// The folder in which it runs.
    pub folder: PathBuf,
}

/// Returns the running programs of this user whose file has one of these names, by process number.
pub fn find_programs(names: &[&str]) -> Vec<RunningProgram> {
    let me = rustix::process::geteuid().as_raw();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = entries.filter(|entry| entry.metadata().is_ok_and(|it| it.uid() == me));
    let pids = own.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<RunningProgram> =
        pids.filter_map(|pid| running_program(pid, names)).collect();
    found.sort_by_key(|program| program.key.pid);
    found
}

fn running_program(pid: i32, names: &[&str]) -> Option<RunningProgram> {
    let path = program(pid)?;
    let name = path.file_name()?.to_str()?;
    // An update has replaced the file of a program that still runs.
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    if !names.contains(&name) {
        return None;
    }
    Some(RunningProgram {
        key: stat(pid).filter(|found| found.running)?.key,
        name: name.to_owned(),
        folder: std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?,
    })
}

/// Returns the number of this process.
pub fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(i32::MAX)
}

/// Returns the key of the calling process; its start time is 0 on systems without `/proc`.
pub fn this_process() -> ProcessKey {
    let pid = own_pid();
    stat(pid).map_or(ProcessKey { pid, started: 0 }, |found| found.key)
}

/// Returns the id of this boot. A process recorded under another id has ended.
pub fn boot_id() -> String {
    read_proc_line("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
}

/// Returns the namespace of the process numbers that this program sees.
pub fn pid_namespace() -> String {
    std::fs::read_link("/proc/self/ns/pid").map_or_else(
        |_| "unknown".into(),
        |path| path.to_string_lossy().into_owned(),
    )
}

/// Returns the name of this machine.
pub fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// Reads a file of `/proc` that has one short line, in one read: such a file has no size.
fn read_proc_line(path: &str) -> io::Result<String> {
    let mut line = [0; 2048];
    let length = File::open(path)?.read(&mut line)?;
    Ok(String::from_utf8_lossy(&line[..length]).into_owned())
}

/// The command name is in parentheses and may contain any character, so fields are counted after the last parenthesis.
fn parse_stat(pid: i32, text: &str) -> Option<ProcessStat> {
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    Some(ProcessStat {
        key: ProcessKey {
            pid,
            started: fields.get(19)?.parse().ok()?,
        },
        parent: fields.get(1)?.parse().ok()?,
        running: !matches!(*fields.first()?, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn proc_stat_parses_a_command_name_with_parentheses() {
        let text = "7 (a) b (c)) S 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 124870 99 1";
        let found = parse_stat(7, text).unwrap();
        assert_eq!(
            (found.parent, found.key.started, found.running),
            (3, 124_870, true)
        );
    }

    #[test]
    fn zombie_process_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let key = stat(pid).unwrap().key;
        while stat(pid).is_some_and(|found| found.running) {
            std::thread::yield_now();
        }
        assert!(!is_alive(key));
        child.wait().unwrap();
    }

    #[cfg(feature = "watcher")]
    #[test]
    fn process_exit_is_observed() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let key = stat(i32::try_from(child.id()).unwrap()).unwrap().key;
        let end = open_exit_watch(key).unwrap();
        let watch = std::thread::spawn(move || end.wait());
        assert!(is_alive(key));
        drop(child.stdin.take());
        watch.join().unwrap();
        assert!(!is_alive(key));
        child.wait().unwrap();
        assert!(open_exit_watch(key).is_none());
    }

    #[test]
    fn process_is_found_by_its_initial_environment() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("cat")
            .env("HOME", folder.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = child.stdout.take().unwrap();
        // Its environment can be read once it runs its own program.
        child.stdin.as_ref().unwrap().write_all(b"x").unwrap();
        said.read_exact(&mut [0]).unwrap();
        let found = find_processes_by_env("HOME", folder.path());
        child.kill().unwrap();
        child.wait().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert_eq!(found.iter().map(|it| it.pid).collect::<Vec<_>>(), [pid]);
        assert_eq!(find_processes_by_env("HOME", folder.path()), []);
    }

    #[test]
    fn this_process_is_alive_and_has_ancestors() {
        let me = stat(own_pid()).unwrap();
        assert!(is_alive(me.key));
        assert_eq!(ancestors(me.key.pid).next().unwrap().key.pid, me.parent);
        assert!(!is_alive(ProcessKey {
            started: me.key.started + 1,
            ..me.key
        }));
    }
}
