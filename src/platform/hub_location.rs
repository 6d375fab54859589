//! The address of a mesh at a hub: its URL, and the files with the key and the certificate for it.
//!
//! It is checked when it is written and whenever it is read, because people also edit `config.json` and `.env` by hand.
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The longest URL, in bytes.
const URL_BYTES_MAX: usize = 512;

/// A mesh at a hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HubLocation {
    /// Its local name: the host of the hub, with the port if the URL has one.
    pub name: String,
    /// The URL of the hub: a scheme and a host, perhaps a port, nothing else.
    pub url: String,
    /// The file with the access key of this host.
    #[serde(skip)]
    pub key_file: PathBuf,
    /// The file with the certificate that the hub must have; it need not exist.
    #[serde(skip)]
    pub certificate_file: PathBuf,
    /// The setting or wall that decided.
    pub decided_by: String,
}

impl HubLocation {
    /// Returns the location of a hub whose URL was checked.
    pub fn new(mesh_home: &Path, url: &str, decided_by: String) -> Self {
        let folder = keys_folder(mesh_home);
        let name = file_name(url);
        Self {
            name: authority(url).to_owned(),
            url: url.to_owned(),
            key_file: folder.join(format!("{name}.key")),
            certificate_file: folder.join(format!("{name}.pem")),
            decided_by,
        }
    }
}

/// Returns the folder with the keys and certificates of hubs.
pub fn keys_folder(mesh_home: &Path) -> PathBuf {
    mesh_home.join("keys")
}

/// Returns whether the mesh of a map of walls is at a hub and not a name.
pub fn is_hub_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// Returns a URL in its normal form, or what is wrong with it. `http` is for this machine only, unless `allows_http`.
pub fn normalize_url(text: &str, allows_http: bool) -> Result<String, String> {
    let text = text.trim();
    let (scheme, rest) = text
        .split_once("://")
        .ok_or("a hub has a URL such as https://mesh.example:3456")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => "443",
        "http" => "80",
        _ => return Err("the URL of a hub begins with https:// or http://".into()),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest).to_ascii_lowercase();
    if authority.contains('@') {
        return Err("a URL must not contain a user or a password; the key goes into a file".into());
    }
    if authority.contains(['/', '?', '#']) {
        return Err("the URL of a hub has no path, no query and no fragment".into());
    }
    let (host, port) = split_port(&authority)?;
    if text.len() > URL_BYTES_MAX || !is_host(host) {
        return Err(format!("{host:?} is not the name or the address of a host"));
    }
    if scheme == "http" && !allows_http && !is_loopback(host) {
        return Err(
            "http would send the key unprotected; use https, or --insecure-http in a network that encrypts, such as a tailnet"
                .into(),
        );
    }
    Ok(match port {
        Some(port) if port != default_port => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), String> {
    let after_address = authority.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = authority[after_address..].rfind(':') else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(after_address + colon);
    let port = &port[1..];
    match port.parse::<u16>() {
        Ok(1..) => Ok((host, Some(port))),
        _ => Err(format!("{port:?} is not a port")),
    }
}

fn is_host(host: &str) -> bool {
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    ipv6(host).is_some() || (!host.is_empty() && host.bytes().all(is_name_byte))
}

/// A name that only begins like a loopback address may be any host.
fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|it| it.is_loopback())
        || ipv6(host).is_some_and(|it| it.is_loopback())
}

fn ipv6(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// Returns the name of the files of a hub: its host and port, with other characters replaced. Two hubs have two names.
fn file_name(url: &str) -> String {
    let authority = authority(url);
    let has_port = split_port(authority).is_ok_and(|(_, port)| port.is_some());
    let default_port = match url.split_once("://") {
        _ if has_port => "",
        Some(("http", _)) => ":80",
        _ => ":443",
    };
    let mut name = String::new();
    for c in authority.chars().chain(default_port.chars()) {
        match c {
            'a'..='z' | '0'..='9' | '.' | '-' => name.push(c),
            '_' => name.push_str("__"),
            _ => name.push('_'),
        }
    }
    name
}

fn authority(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_normalized() {
        for (given, expected) in [
            ("HTTPS://Mesh.Example:443/", "https://mesh.example"),
            ("https://mesh.example:3456", "https://mesh.example:3456"),
            ("http://127.0.0.1:3456", "http://127.0.0.1:3456"),
            ("http://[::1]:3456/", "http://[::1]:3456"),
            (" http://localhost:80 ", "http://localhost"),
        ] {
            assert_eq!(normalize_url(given, false).as_deref(), Ok(expected));
        }
        assert!(normalize_url("http://mesh.example", true).is_ok());
    }

    #[test]
    fn unusable_url_is_refused_with_the_reason() {
        for (given, expected) in [
            ("mesh.example", "such as https://"),
            ("ftp://mesh.example", "begins with https://"),
            ("https://user:pass@mesh.example", "user or a password"),
            ("https://mesh.example/team", "no path"),
            ("https://mesh.example?x=1", "no path"),
            ("https://mesh.example:0", "not a port"),
            ("https://mesh.example:99999", "not a port"),
            ("https://", "not the name"),
            ("https://me sh", "not the name"),
            ("https://a:b:80", "not the name"),
            ("https://[mesh]:80", "not the name"),
            ("http://mesh.example", "--insecure-http"),
            ("http://127.mesh.example", "--insecure-http"),
        ] {
            let problem = normalize_url(given, false).unwrap_err();
            assert!(problem.contains(expected), "{given}: {problem}");
        }
    }

    #[test]
    fn files_of_a_hub_are_named_after_host_and_port() {
        assert_eq!(file_name("https://mesh.example:3456"), "mesh.example_3456");
        assert_eq!(file_name("http://[::1]:3456"), "___1__3456");
        assert_eq!(file_name("https://mesh.example"), "mesh.example_443");
        assert_eq!(file_name("http://mesh.example"), "mesh.example_80");
        assert_eq!(file_name("https://my_hub"), "my__hub_443");
    }
}
