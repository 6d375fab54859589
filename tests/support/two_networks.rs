//! Two network namespaces with a cable between them. Making them needs root and `ip`.
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::skip;

/// The network of a hub and the network of a laptop. Both are removed when this is dropped.
pub(crate) struct TwoNetworks {
    hub: String,
    laptop: String,
    /// The third byte of the addresses, so that tests do not disturb each other.
    number: u32,
}

impl TwoNetworks {
    /// Makes two networks; reports that the test is skipped if the machine does not permit it.
    pub(crate) fn new(test: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed) % 250;
        let pid = std::process::id();
        let networks = Self {
            hub: format!("cmhub{pid}n{number}"),
            laptop: format!("cmlap{pid}n{number}"),
            number,
        };
        let made = networks.make();
        if made.is_none() {
            skip(test, "no network namespaces: that needs root and `ip`");
        }
        made.map(|()| networks)
    }

    fn make(&self) -> Option<()> {
        let Self {
            hub,
            laptop,
            number,
        } = self;
        for arguments in [
            format!("netns add {hub}"),
            format!("netns add {laptop}"),
            format!("link add cable netns {hub} type veth peer name cable netns {laptop}"),
            format!("-n {hub} addr add 10.88.{number}.1/24 dev cable"),
            format!("-n {laptop} addr add 10.88.{number}.2/24 dev cable"),
            format!("-n {hub} link set lo up"),
            format!("-n {hub} link set cable up"),
            format!("-n {laptop} link set cable up"),
        ] {
            ip(&arguments).then_some(())?;
        }
        Some(())
    }

    /// Returns the address of the hub.
    pub(crate) fn hub_address(&self) -> String {
        format!("10.88.{}.1", self.number)
    }

    /// Returns the words before a command that runs it in the network of the hub.
    pub(crate) fn at_hub(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.hub]
    }

    /// Returns the words before a command that runs it in the network of the laptop.
    pub(crate) fn at_laptop(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.laptop]
    }

    /// Pulls the cable, or plugs it in.
    pub(crate) fn set_cable(&self, up: bool) {
        let state = if up { "up" } else { "down" };
        assert!(ip(&format!("-n {} link set cable {state}", self.laptop)));
    }
}

impl Drop for TwoNetworks {
    fn drop(&mut self) {
        for name in [&self.hub, &self.laptop] {
            ip(&format!("netns del {name}"));
        }
    }
}

fn ip(arguments: &str) -> bool {
    let status = Command::new("ip")
        .args(arguments.split(' '))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
