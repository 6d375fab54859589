//! The URL of a hub and the text of an access key: an accepted URL is in its normal form and names files inside the folder of
//! keys; two hubs never share them.
#![no_main]

use std::path::Path;

use claude_mesh::platform::hub_location::{HubLocation, is_hub_url, keys_folder, normalize_url};
use claude_mesh::remote::fuzz_entry::id_of_key;
use libfuzzer_sys::fuzz_target;

const HOME: &str = "/home/ada/.claude-mesh";

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    check_key(text);
    let (first, second) = text
        .split_once('\n')
        .unwrap_or((text, "https://mesh.example"));
    for allows_http in [false, true] {
        let Ok(url) = normalize_url(first, allows_http) else {
            continue;
        };
        assert_eq!(
            normalize_url(&url, allows_http).as_deref(),
            Ok(url.as_str())
        );
        assert!(
            is_hub_url(&url) && !url.contains('@') && !url.ends_with('/'),
            "{url}"
        );
        let one = location(&url);
        if let Ok(other) = normalize_url(second, true) {
            let is_same_host =
                url.split_once("://").map(|it| it.1) == other.split_once("://").map(|it| it.1);
            let is_same_file = location(&other).key_file == one.key_file;
            assert!(
                !is_same_file || is_same_host || has_same_port(&url, &other),
                "{url} and {other}"
            );
        }
    }
});

fn location(url: &str) -> HubLocation {
    let hub = HubLocation::new(Path::new(HOME), url, String::new());
    for file in [&hub.key_file, &hub.certificate_file] {
        assert_eq!(
            file.parent(),
            Some(keys_folder(Path::new(HOME)).as_path()),
            "{url}"
        );
    }
    hub
}

/// `http://host:443` and `https://host` are one port of one host.
fn has_same_port(one: &str, other: &str) -> bool {
    let with_port = |url: &str| {
        let (scheme, rest) = url.split_once("://").expect("it is a URL");
        let has_port = rest.rsplit(']').next().is_some_and(|end| end.contains(':'));
        match scheme {
            _ if has_port => rest.to_owned(),
            "http" => format!("{rest}:80"),
            _ => format!("{rest}:443"),
        }
    };
    with_port(one) == with_port(other)
}

fn check_key(text: &str) {
    if let Some(id) = id_of_key(text) {
        assert!(text.is_ascii() && text.starts_with("cmk_"));
        assert!(
            text[4..].to_lowercase().starts_with(&id.to_lowercase()),
            "{text:?}"
        );
    }
}
