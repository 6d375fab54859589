//! Real clients on two hosts that share a mesh through a hub: one asks, the other is idle, is woken and answers.
use super::asks::{answer, asks_backend};
use super::client::Lab;
use super::mesh::Mesh;
use super::scripted_api::{ScriptedApi, say};
use crate::support::{Hub, World, far_key, join_folder, wait_until};

/// Installs claude-mesh for a host, whose sessions use the mesh of a hub.
fn join(lab: &Lab, hub: &Hub, name: &str) {
    Mesh::install(lab);
    // The projects of a lab lie beside its home.
    let key = far_key(hub, name);
    join_folder(&lab.path("home"), &lab.path("."), hub.url(), &key);
}

fn wait_for_peer(hub: &Hub, name: &str) {
    let key = hub.board_key();
    wait_until("the peer can be asked", || {
        let (_, peer) = hub.get(&format!("/v1/peers/{name}"), &key);
        peer["peer"]["askable"] == true || peer["askable"] == true
    });
}

#[test]
fn idle_client_on_another_host_is_woken_and_answers() {
    // A lab changes the network of this thread, so the hub comes after both.
    let (Some(laptop), Some(desk)) = (Lab::new(), Lab::new()) else {
        return;
    };
    let world = World::new();
    let hub = Hub::start(&world);
    join(&laptop, &hub, "laptop");
    join(&desk, &hub, "desk");
    let idle = ScriptedApi::listen(|request| match request.peer_question_id() {
        Some(id) => answer(&id),
        None => say("back to my prompt"),
    });
    let asking = ScriptedApi::listen(asks_backend);
    let backend = desk.project("backend");
    let Some(terminal) = desk.session(&backend, &idle).interactive() else {
        return;
    };
    wait_for_peer(&hub, "backend");
    let frontend = laptop.project("frontend");
    let asker = laptop.session(&frontend, &asking).headless("ask backend");
    let result = asker.finish().result();
    assert!(result.contains("5433"), "{result}");
    terminal.wait_for("back to my prompt");
    for lab in [&laptop, &desk] {
        assert!(!lab.path("home/.claude-mesh/mesh.db").exists());
    }
}
