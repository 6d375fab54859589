//! Sessions that register at a peer by its name, as the callers of a hub do.
use claude_mesh::mesh::{JoinRequest, OthersHere, PeerScope};
use claude_mesh::model::{Error, PeerKind, PeerName, Refusal};
use claude_mesh::platform::process;

use crate::support::MeshFixture;

/// Returns a request of a further session of this process at a peer of that name.
fn at_peer(name: PeerName, instance: u32) -> JoinRequest {
    JoinRequest {
        named_peer: Some(name),
        ..JoinRequest::of(process::this_process(), PeerKind::Session, None).instance(instance)
    }
}

fn named(name: &str, instance: u32) -> JoinRequest {
    at_peer(PeerName::parse_chosen(name).unwrap(), instance)
}

#[test]
fn session_joins_a_named_peer_beside_its_local_session() {
    let fixture = MeshFixture::new();
    let mut ada = fixture.member("ada", 0);
    let local = ada.handle().clone();
    let remote = ada.mesh().register(&named("ada", 1)).unwrap();
    assert_eq!((remote.peer, &remote.project), (local.peer, &local.project));
    assert_ne!(remote.session, local.session);
    assert!(remote.joined);
    let again = ada.mesh().register(&named("ada", 1)).unwrap();
    assert_eq!((again.session, again.joined), (remote.session, false));
    ada.mesh().unregister(remote.session, "lease").unwrap();
    assert!(ada.mesh().refresh(&local).unwrap().is_some());
}

#[test]
fn earlier_name_of_a_peer_leads_to_it() {
    let fixture = MeshFixture::new();
    let mut ada = fixture.member("ada", 0);
    let me = ada.handle().clone();
    let description = claude_mesh::mesh::PeerDescription {
        name: Some("countess".into()),
        ..Default::default()
    };
    ada.mesh().describe(&me, &description).unwrap();
    let remote = ada.mesh().register(&named("ada", 1)).unwrap();
    assert_eq!((remote.peer, remote.name.as_str()), (me.peer, "countess"));
}

#[test]
fn missing_named_peer_is_created_without_a_project() {
    let fixture = MeshFixture::new();
    let mut ada = fixture.member("ada", 0);
    let me = ada.handle().clone();
    let robot = ada.mesh().register(&named("robot", 1)).unwrap();
    let found = (robot.name.as_str(), robot.kind, robot.project.as_deref());
    assert_eq!(found, ("robot", PeerKind::Session, None));
    let peers = ada
        .mesh()
        .peers(Some(&me), PeerScope::Machine, false)
        .unwrap();
    assert!(peers.iter().any(|view| view.peer.id == robot.peer));
    ada.mesh().unregister(robot.session, "lease").unwrap();
    let again = ada.mesh().register(&named("robot", 2)).unwrap();
    assert_eq!(again.peer, robot.peer, "the peer stays");
}

#[test]
fn named_peer_of_a_person_or_a_run_is_refused() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let person = JoinRequest::of(process::this_process(), PeerKind::Person, None);
    let person = mesh.register(&person).unwrap().name;
    let absent_person = PeerName::for_person("no-such-host");
    let run = PeerName::for_run(&person, 7);
    for name in [person, absent_person, run] {
        let refused = mesh.register(&at_peer(name, 1));
        assert!(
            matches!(refused, Err(Error::Refused(Refusal::Conflict { .. }))),
            "{refused:?}"
        );
    }
}

#[test]
fn others_here_are_named_up_to_twelve_and_counted() {
    let fixture = MeshFixture::new();
    let mut me = fixture.member("zoe", 0);
    let others = |me: &mut claude_mesh::mesh::Member| {
        let handle = me.handle().clone();
        me.mesh().others_here(&handle).unwrap()
    };
    assert_eq!(others(&mut me), OthersHere::default());
    let names: Vec<String> = (0..40).map(|number| format!("s{number:02}")).collect();
    for (number, count, more) in [(1, 1, 0), (12, 12, 0), (15, 12, 3), (40, 12, 28)] {
        for (instance, name) in (1..).zip(&names).take(number) {
            me.mesh().register(&named(name, instance)).unwrap();
        }
        let found = others(&mut me);
        let found_names: Vec<&str> = found.named.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found_names, &names[..count], "of {number}");
        assert_eq!((found.more, found.count()), (more, number), "of {number}");
    }
}
