//! Keeps the real client off the network while a test talks to it on loopback.
//!
//! Network namespaces belong to threads: the thread of the test enters a new one that has only loopback, and what it starts
//! there (listeners, `claude`, tmux) stays inside. That needs root, `unshare` and `ip`. Elsewhere the environment of the
//! client has to suffice: proxies that lead to a closed port, and telemetry switched off.
use std::marker::PhantomData;

/// The network of the calling thread until this is dropped.
pub(crate) struct Network {
    #[cfg(target_os = "linux")]
    before: Option<std::fs::File>,
    /// It must end on the thread that entered it.
    _here: PhantomData<*const ()>,
}

impl Network {
    /// Moves the calling thread into a network that has only loopback, if the machine permits it.
    pub(crate) fn isolated() -> Network {
        Network {
            #[cfg(target_os = "linux")]
            before: namespace::enter_a_new_one().ok(),
            _here: PhantomData,
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Network {
    fn drop(&mut self) {
        // The test harness may run the next test on this thread.
        if let Some(before) = &self.before {
            namespace::enter(before).expect("the thread was in this namespace");
        }
    }
}

#[cfg(target_os = "linux")]
mod namespace {
    use std::fs::File;
    use std::io::{self, BufRead, BufReader};
    use std::os::fd::AsFd;
    use std::process::{Command, Stdio};

    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

    /// Leaves the thread in a new namespace and returns the one it was in.
    pub(super) fn enter_a_new_one() -> io::Result<File> {
        // The helper lives until its stdin closes; by then this thread holds the namespace.
        let mut helper = Command::new("unshare")
            .args([
                "--net",
                "sh",
                "-c",
                "ip link set lo up && echo up && exec cat",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let said = helper.stdout.take().expect("the stream is piped");
        BufReader::new(said).read_line(&mut line)?;
        let moved = match line.as_str() {
            "up\n" => enter_network_namespace(helper.id()),
            _ => Err(io::Error::other("no namespace, or no loopback in it")),
        };
        drop(helper.stdin.take());
        helper.wait()?;
        moved
    }

    pub(super) fn enter(namespace: &File) -> io::Result<()> {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(())
    }

    fn enter_network_namespace(pid: u32) -> io::Result<File> {
        let before = File::open("/proc/thread-self/ns/net")?;
        enter(&File::open(format!("/proc/{pid}/ns/net"))?)?;
        Ok(before)
    }
}
