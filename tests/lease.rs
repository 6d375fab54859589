//! Leases under a manual clock: how long a claim holds without renewal, whatever the wall clock does.
use crate::support::{DAY_MS, MeshFixture, set_session_activity};
use claude_mesh::mesh::{ClaimFilter, ClaimOutcome, ClaimRequest, JoinRequest, Member};
use claude_mesh::model::{ClaimMode, PeerKind};

/// Claims "deploy" for ten seconds. Returns whether it was granted.
fn claims(member: &mut Member) -> bool {
    let wanted = ClaimRequest {
        resource: "deploy",
        mode: ClaimMode::Exclusive,
        lease_ms: 10_000,
        note: None,
        queue: false,
        wait: false,
    };
    let me = member.handle().clone();
    let claimed = member.mesh().claim(&me, &wanted).unwrap();
    matches!(claimed, ClaimOutcome::Granted(_))
}

/// Returns the holder of "deploy".
fn deploy_holder(member: &mut Member) -> Option<String> {
    let lines = member
        .mesh()
        .claims(ClaimFilter::Resource("deploy"))
        .unwrap();
    let claim = lines.first()?.holders.first()?;
    Some(claim.peer_name.to_string())
}

#[test]
fn lapsed_lease_of_a_busy_session_holds_for_ten_leases() {
    let fixture = MeshFixture::new();
    let (mut ada, mut bo) = (fixture.member("ada", 1), fixture.member("bo", 2));
    assert!(claims(&mut ada));
    set_session_activity(&mut ada, "busy");
    fixture.clock.advance_ms(60_000);
    assert!(!claims(&mut bo), "a busy session keeps its claim");
    assert!(claims(&mut ada), "a renewal starts the lease again");
    fixture.clock.advance_ms(99_999);
    assert!(!claims(&mut bo));
    assert_eq!(deploy_holder(&mut bo).as_deref(), Some("ada"));
    fixture.clock.advance_ms(1);
    assert!(claims(&mut bo), "the expired lease is removed");
}

#[test]
fn lapsed_lease_of_an_idle_session_expires_on_any_access() {
    let fixture = MeshFixture::new();
    let (mut ada, mut bo) = (fixture.member("ada", 1), fixture.member("bo", 2));
    for touch in ["claim", "claims", "list_peers", "guard", "sweep"] {
        assert!(claims(&mut ada), "{touch}");
        set_session_activity(&mut ada, "idle");
        fixture.clock.advance_ms(9_999);
        assert_eq!(deploy_holder(&mut bo).as_deref(), Some("ada"), "{touch}");
        fixture.clock.advance_ms(1);
        match touch {
            "claim" => assert!(claims(&mut bo)),
            "claims" => assert_eq!(deploy_holder(&mut bo), None),
            "list_peers" => {
                let views = bo
                    .mesh()
                    .peers(None, claude_mesh::mesh::PeerScope::Machine, false);
                let held: usize = views.unwrap().iter().map(|view| view.claims.len()).sum();
                assert_eq!(held, 0);
            }
            "guard" => assert!(
                bo.mesh()
                    .find_other_exclusive_holder(None, "deploy")
                    .unwrap()
                    .is_none()
            ),
            _ => assert_eq!(bo.mesh().sweep().unwrap().claims, 1),
        }
        fixture.clock.advance_ms(20_000);
        assert_eq!(deploy_holder(&mut ada), None, "{touch}");
    }
}

#[test]
fn wall_clock_jump_ends_no_lease() {
    let fixture = MeshFixture::new();
    let (mut ada, mut bo) = (fixture.member("ada", 1), fixture.member("bo", 2));
    assert!(claims(&mut ada));
    fixture.clock.jump_wall_ms(DAY_MS);
    assert!(!claims(&mut bo));
    fixture.clock.jump_wall_ms(-2 * DAY_MS);
    assert!(!claims(&mut bo));
}

#[test]
fn claim_of_an_earlier_boot_is_expired() {
    let fixture = MeshFixture::new();
    let (mut ada, mut bo) = (fixture.member("ada", 1), fixture.member("bo", 2));
    assert!(claims(&mut ada));
    fixture.rows().execute("UPDATE claim SET boot = 'earlier'");
    assert!(claims(&mut bo));
}

#[test]
fn claim_of_a_person_outlives_its_command_for_its_lease() {
    let fixture = MeshFixture::new();
    let mut bo = fixture.member("bo", 2);
    let command = |instance: u32| {
        let mut request = JoinRequest::here(fixture.place.path())
            .unwrap()
            .instance(instance);
        (request.kind, request.project) = (PeerKind::Person, None);
        fixture.mesh().join(&request).unwrap()
    };
    assert!(claims(&mut command(3)));
    assert!(!claims(&mut bo));
    assert!(claims(&mut command(4)), "the same person renews it");
    fixture.clock.advance_ms(9_999);
    assert!(!claims(&mut bo));
    fixture.clock.advance_ms(1);
    assert!(claims(&mut bo));
}
