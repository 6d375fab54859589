//! Names and addresses of peers: what is accepted has the form that the store and the prompts rely on, and is the same when it is
//! read again.
#![no_main]

use claude_mesh::model::PeerName;
use claude_mesh::model::access_key::KeyHolder;
use claude_mesh::model::peer::{Address, NAME_MAX, nearest};
use claude_mesh::platform::host_path::{HostPath, on_host};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (first, second) = text.split_once('\n').unwrap_or((text, "api"));
    check_name(&PeerName::fold(first));
    if let Ok(chosen) = PeerName::parse_chosen(first) {
        check_name(&chosen);
        assert!(chosen.is_chosen() && !chosen.is_person());
        assert_eq!(
            Address::parse(chosen.as_str()).map(|it| it.name().to_owned()),
            Ok(chosen.to_string())
        );
    }
    assert!(PeerName::for_person(first).is_person());
    let seats = PeerName::candidates(&PeerName::fold(first), 2, &[second.to_owned()]);
    for candidate in seats.take(4) {
        assert!(candidate.as_str().len() <= NAME_MAX, "{candidate}");
        assert!(candidate.as_str().ends_with("-2"), "{candidate}");
    }
    if let Ok(address) = Address::parse(first) {
        let name = address.name();
        assert!(
            !name.is_empty() && !name.chars().any(char::is_whitespace),
            "{name:?}"
        );
        let near = nearest(name, &[second.to_owned(), name.to_owned()]);
        assert!(
            near.len() <= 3 && near.iter().any(|it| it == name),
            "{near:?}"
        );
    }
    check_host(first, second);
});

fn check_name(name: &PeerName) {
    let text = name.as_str();
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    assert!(
        (1..=NAME_MAX).contains(&text.len()) && text.chars().all(is_allowed),
        "{text:?}"
    );
    assert_eq!(&PeerName::fold(text), name, "a folded name is folded again");
}

/// The path of another host is read as it was written, and never becomes one of this machine.
fn check_host(host: &str, path: &str) {
    if let Ok(KeyHolder::Host(host)) = KeyHolder::parse_host(host) {
        let stored = on_host(&host, &format!("/{path}"));
        let read = HostPath::parse(&stored).expect("it is a path of a host");
        assert_eq!(
            (read.host, read.path),
            (host.as_str(), format!("/{path}").as_str())
        );
        let joined = read.join(Path::new(path));
        let joined = HostPath::parse(&joined).expect("it stays one");
        assert_eq!(joined.host, host);
        assert!(
            !joined.path.split('/').any(|part| part == ".."),
            "{joined:?}"
        );
    }
}
