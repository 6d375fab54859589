//! Processes of this machine: who is alive, who is whose parent. Linux only for now; elsewhere nothing can be looked up.
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A process that cannot be mistaken for a later one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessKey {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub started: i64,
}

/// What the system says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStat {
    /// The process.
    pub key: ProcessKey,
    /// Its parent's number.
    pub parent: i32,
    /// False for a zombie: it has ended and waits to be reaped.
    pub running: bool,
}

/// Returns what the system says of a process, or `None` when there is none of that number.
pub fn stat(pid: i32) -> Option<ProcessStat> {
    parse_stat(pid, &read_proc_line(&format!("/proc/{pid}/stat"))?)
}

/// Returns whether this very process runs, and is not a zombie.
pub fn is_alive(key: ProcessKey) -> bool {
    stat(key.pid).is_some_and(|found| found.running && found.key == key)
}

/// The end of a process, of which the kernel tells.
#[cfg(feature = "watcher")]
#[derive(Debug)]
pub struct ExitWatch {
    key: ProcessKey,
    descriptor: rustix::fd::OwnedFd,
}

/// Returns how to wait for the end of a process; `None` where the system cannot tell, or where it has ended.
#[cfg(feature = "watcher")]
pub fn open_exit_watch(key: ProcessKey) -> Option<ExitWatch> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let descriptor = pidfd_open(Pid::from_raw(key.pid)?, PidfdFlags::empty()).ok()?;
    // The number may have been given to another process between looking it up and opening it.
    is_alive(key).then_some(ExitWatch { key, descriptor })
}

#[cfg(feature = "watcher")]
impl ExitWatch {
    /// Waits until the process has ended, or the system cannot tell any more.
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

/// Returns the parents of a process, nearest first, up to the first process of the machine.
pub fn ancestors(pid: i32) -> impl Iterator<Item = ProcessStat> {
    let mut next = stat(pid).map_or(0, |found| found.parent);
    std::iter::from_fn(move || {
        let found = (next > 0).then(|| stat(next)).flatten()?;
        next = found.parent;
        Some(found)
    })
    .take(64)
}

/// Returns the program file a process runs.
pub fn program(pid: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// Returns the running processes that were started with a variable of this value, as far as they may be looked at.
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

/// Returns the number of this process.
pub fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(i32::MAX)
}

/// Returns this process.
pub fn this_process() -> ProcessKey {
    let pid = own_pid();
    stat(pid).map_or(ProcessKey { pid, started: 0 }, |found| found.key)
}

/// Returns the id of this boot; another id means that every process known before is gone.
pub fn boot_id() -> String {
    read_proc_line("/proc/sys/kernel/random/boot_id")
        .map_or_else(|| "unknown".into(), |text| text.trim().to_owned())
}

/// Returns the namespace in which process numbers of this program count.
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

/// Reads a file of /proc that is one short line: the kernel makes it at the first read, and tells no size beforehand.
fn read_proc_line(path: &str) -> Option<String> {
    let mut line = [0; 2048];
    let length = File::open(path).ok()?.read(&mut line).ok()?;
    Some(String::from_utf8_lossy(&line[..length]).into_owned())
}

/// The command name stands in parentheses and may hold anything, so fields are counted after the last one.
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
