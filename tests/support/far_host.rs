//! A machine whose sessions use a mesh at a hub: a home of its own with a key, and real sessions in it.
use claude_mesh::model::access_key::{KeyHolder, KeyScope};

use super::{Hub, World, join_home};

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
