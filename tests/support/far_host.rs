//! A machine whose sessions use a mesh at a hub: a home of its own with a key, and real sessions in it.
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use claude_mesh::model::access_key::{KeyHolder, KeyScope};

use super::{Hub, World};

/// Returns the home of a host whose sessions reach a hub by its URL.
pub(crate) fn far_host(hub: &Hub, name: &str) -> World {
    far_host_at(hub, hub.url(), name)
}

/// Returns the home of a host whose sessions reach a hub by this URL, which may be that of a relay.
pub(crate) fn far_host_at(hub: &Hub, url: &str, name: &str) -> World {
    let world = World::new();
    join_home(&world.home(), url, &far_key(hub, name));
    world
}

/// Creates the key of a host. Returns its text.
pub(crate) fn far_key(hub: &Hub, name: &str) -> String {
    hub.key_of(KeyHolder::Host(name.to_owned()), KeyScope::Write, "keys")
}

/// Lets the sessions below a home use a mesh at a hub.
pub(crate) fn join_home(home: &Path, url: &str, key: &str) {
    join_folder(home, home, url, key);
}

/// Lets the sessions below a folder use a mesh at a hub, by the map in a home.
pub(crate) fn join_folder(home: &Path, folder: &Path, url: &str, key: &str) {
    let map = format!("{{\"meshes\": {{\"{}/**\": \"{url}\"}}}}", folder.display());
    let authority = url.split_once("://").unwrap().1.replace(':', "_");
    for (path, content) in [
        (".claude-mesh/config.json".to_owned(), map.as_str()),
        (format!(".claude-mesh/keys/{authority}.key"), key),
    ] {
        let path = home.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        set_mode(&path, 0o600);
    }
    set_mode(&home.join(".claude-mesh"), 0o700);
    set_mode(&home.join(".claude-mesh/keys"), 0o700);
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
