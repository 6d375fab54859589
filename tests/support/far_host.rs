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
    let key = hub.key_of(KeyHolder::Host(name.to_owned()), KeyScope::Write, "keys");
    let world = World::new();
    join(&world, url, &key);
    world
}

/// Lets the sessions of a home use a mesh at a hub.
pub(crate) fn join(world: &World, url: &str, key: &str) {
    let map = format!(
        "{{\"meshes\": {{\"{}/**\": \"{url}\"}}}}",
        world.home().display()
    );
    let authority = url.split_once("://").unwrap().1.replace(':', "_");
    for (path, content) in [
        (".claude-mesh/config.json".to_owned(), map.as_str()),
        (format!(".claude-mesh/keys/{authority}.key"), key),
    ] {
        let path = world.write(&path, content);
        set_mode(&path, 0o600);
    }
    set_mode(&world.home().join(".claude-mesh"), 0o700);
    set_mode(&world.home().join(".claude-mesh/keys"), 0o700);
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
