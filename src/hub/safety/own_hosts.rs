//! Decides which names in `Host` and `Origin` are the hub's own. A web page whose name was pointed at this machine sends that
//! name, so it is refused.
use std::net::{IpAddr, SocketAddr};

use axum::http::Uri;
use axum::http::uri::Authority;

use crate::platform::process;

/// The names and addresses of a hub.
#[derive(Debug)]
pub(in crate::hub) struct OwnHosts {
    bound: SocketAddr,
    /// The name of this machine, in lowercase.
    machine: String,
    /// Scheme, host and port of the public URL.
    public: Option<HostOrigin>,
}

/// A scheme with a host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HostOrigin {
    scheme: String,
    host: String,
    port: u16,
}

impl OwnHosts {
    pub(super) fn new(bound: SocketAddr, public_url: Option<&str>) -> Self {
        Self {
            bound,
            machine: process::host().to_ascii_lowercase(),
            public: public_url.and_then(HostOrigin::parse),
        }
    }

    /// Returns whether a value of `Host` is the hub's own.
    pub(super) fn is_own_host(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        if host.contains('@') {
            return false;
        }
        let name = authority.host().to_ascii_lowercase();
        let is_public = self.public.as_ref().is_some_and(|public| {
            public.host == name && authority.port_u16().unwrap_or(public.port) == public.port
        });
        is_public || self.is_bound(&name, authority.port_u16())
    }

    /// Returns whether a value of `Origin` is that of the hub's own page.
    pub(super) fn is_own_origin(&self, origin: &str) -> bool {
        let Some(origin) = HostOrigin::parse(origin) else {
            return false;
        };
        self.public.as_ref() == Some(&origin) || self.is_bound(&origin.host, Some(origin.port))
    }

    /// Returns whether a host and port reach the address at which the hub listens.
    fn is_bound(&self, host: &str, port: Option<u16>) -> bool {
        // A browser omits the ports 80 and 443.
        let is_port = match port {
            Some(port) => port == self.bound.port(),
            None => matches!(self.bound.port(), 80 | 443),
        };
        is_port && self.is_bound_host(host)
    }

    fn is_bound_host(&self, host: &str) -> bool {
        let bound = self.bound.ip().to_canonical();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        match address.map(|address| address.to_canonical()) {
            Ok(address) if bound.is_loopback() => address.is_loopback(),
            // Each address of this machine leads here, and no name can be pointed at it.
            Ok(address) => bound.is_unspecified() || address == bound,
            Err(_) if host == "localhost" => bound.is_loopback() || bound.is_unspecified(),
            Err(_) => !bound.is_loopback() && host == self.machine,
        }
    }
}

impl HostOrigin {
    /// Parses `scheme://host` or `scheme://host:port`, nothing else.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        if rest.contains(['/', '?', '#', '@']) {
            return None;
        }
        let uri: Uri = text.parse().ok()?;
        Some(Self {
            scheme: scheme.to_owned(),
            host: uri.host()?.to_ascii_lowercase(),
            port: uri.port_u16().unwrap_or(port),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(bound: &str, public_url: Option<&str>) -> OwnHosts {
        OwnHosts::new(bound.parse().unwrap(), public_url)
    }

    #[test]
    fn loopback_hub_is_reached_by_loopback_names_only() {
        let hosts = own("127.0.0.1:3456", None);
        for host in [
            "127.0.0.1:3456",
            "localhost:3456",
            "LOCALHOST:3456",
            "[::1]:3456",
        ] {
            assert!(hosts.is_own_host(host), "{host}");
        }
        for host in [
            "evil.example:3456",
            "localhost.evil.example:3456",
            "127.0.0.1.evil.example:3456",
            "127.0.0.1",
            "localhost:80",
            "10.0.0.1:3456",
            "user@localhost:3456",
            "",
            "localhost:3456, evil.example",
        ] {
            assert!(!hosts.is_own_host(host), "{host}");
        }
        assert!(own("[::1]:3456", None).is_own_host("[::1]:3456"));
        assert!(own("127.0.0.1:80", None).is_own_host("localhost"));
    }

    #[test]
    fn exposed_hub_is_reached_by_addresses_and_its_name() {
        let hosts = own("0.0.0.0:3456", Some("https://mesh.example.org"));
        let machine = format!("{}:3456", process::host());
        for host in [
            "10.0.0.7:3456",
            "localhost:3456",
            "mesh.example.org",
            &machine,
        ] {
            assert!(hosts.is_own_host(host), "{host}");
        }
        for host in ["mesh.example.org:3456", "evil.example:3456", "10.0.0.7:80"] {
            assert!(!hosts.is_own_host(host), "{host}");
        }
        let one = own("10.0.0.7:3456", None);
        assert!(one.is_own_host("10.0.0.7:3456") && !one.is_own_host("10.0.0.8:3456"));
    }

    #[test]
    fn origin_of_the_page_has_host_and_port_of_the_hub() {
        let hosts = own("127.0.0.1:3456", Some("https://mesh.example.org"));
        for origin in [
            "http://127.0.0.1:3456",
            "http://localhost:3456",
            "https://mesh.example.org",
            "https://mesh.example.org:443",
        ] {
            assert!(hosts.is_own_origin(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://localhost",
            "http://localhost:3457",
            "http://mesh.example.org",
            "https://evil.example",
            "http://localhost:3456/path",
            "file://localhost:3456",
        ] {
            assert!(!hosts.is_own_origin(origin), "{origin}");
        }
    }
}
