//! Access keys of the hub: verified, expired, revoked, rotated; sign-in links of its board; requests that are repeated.
use std::time::Duration;

use claude_mesh::mesh::{EarlierCall, KeyDraft, KeyedCaller, Mesh, MessageDraft, PeerDescription};
use claude_mesh::model::access_key::{AccessKey, KeyHolder, KeyProblem, KeyScope, LinkProblem};
use claude_mesh::model::{Error, PeerKind, PeerName, Recipient, Refusal};
use claude_mesh::platform::id::KeyId;
use claude_mesh::platform::process;

use crate::support::{DAY_MS, MeshFixture, all_events};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn draft(name: &str) -> KeyDraft {
    KeyDraft {
        holder: KeyHolder::Peer(PeerName::parse_chosen(name).unwrap()),
        scope: KeyScope::Write,
        project: Some("/projects/shop".into()),
        lifetime: None,
    }
}

fn verify(mesh: &mut Mesh, text: &str) -> Result<KeyId, KeyProblem> {
    mesh.verify_key(text).unwrap().map(|key| key.id)
}

fn ids(keys: &[AccessKey]) -> Vec<KeyId> {
    keys.iter().map(|key| key.id).collect()
}

/// Returns the types and subjects of the events about keys.
fn key_events(mesh: &mut Mesh) -> Vec<(String, String)> {
    let events = mesh.events(&all_events()).unwrap().events;
    let events = events.into_iter().filter(|it| it.kind.starts_with("key."));
    events.map(|it| (it.kind, it.subject)).collect()
}

#[test]
fn key_is_found_by_its_text_and_by_no_other() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let (text, key) = mesh.create_key(&draft("ada")).unwrap();
    let (other_text, other) = mesh.create_key(&draft("bo")).unwrap();
    assert_eq!(mesh.verify_key(&text).unwrap(), Ok(key.clone()));
    assert_eq!(key.holder.name(), "ada");
    assert_eq!(key.project.as_deref(), Some("/projects/shop"));
    assert_eq!(verify(&mut mesh, &other_text), Ok(other.id));
    let swapped = format!("{}{}", &text[..31], &other_text[31..]);
    let last = if text.ends_with('A') { "B" } else { "A" };
    let changed = format!("{}{last}", &text[..73]);
    let lowercase = text.replace(&key.id.to_string(), &key.id.to_string().to_lowercase());
    for wrong in ["", "cmk_", "x", &swapped, &changed, &lowercase] {
        assert_eq!(
            verify(&mut mesh, wrong),
            Err(KeyProblem::Unknown),
            "{wrong}"
        );
    }
    let elsewhere = MeshFixture::new();
    assert_eq!(
        verify(&mut elsewhere.mesh(), &text),
        Err(KeyProblem::Unknown)
    );
}

#[test]
fn no_file_of_the_mesh_contains_the_text_of_a_key() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let (text, _) = mesh.create_key(&draft("ada")).unwrap();
    let token = mesh.create_board_link().unwrap();
    for file in std::fs::read_dir(fixture.place.path()).unwrap() {
        let path = file.unwrap().path();
        let Ok(content) = std::fs::read(&path) else {
            continue;
        };
        for secret in [&text[31..], &token] {
            let found = content
                .windows(secret.len())
                .any(|it| it == secret.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}

#[test]
fn key_expires_at_its_time_and_is_removed_a_month_later() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let lifetime = Some(DAY);
    let (text, key) = mesh
        .create_key(&KeyDraft {
            lifetime,
            ..draft("ada")
        })
        .unwrap();
    let (kept, _) = mesh.create_key(&draft("ada")).unwrap();
    fixture.clock.advance_ms(DAY_MS - 1);
    assert_eq!(verify(&mut mesh, &text), Ok(key.id));
    fixture.clock.advance_ms(1);
    assert_eq!(verify(&mut mesh, &text), Err(KeyProblem::Expired));
    assert_eq!(mesh.sweep().unwrap().keys, 0);
    fixture.clock.advance_ms(31 * DAY_MS);
    assert_eq!(mesh.sweep().unwrap().keys, 1);
    assert_eq!(verify(&mut mesh, &text), Err(KeyProblem::Unknown));
    assert!(mesh.verify_key(&kept).unwrap().is_ok());
}

#[test]
fn name_revokes_all_its_keys_and_an_id_only_one() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let (text, first) = mesh.create_key(&draft("ada")).unwrap();
    let (_, second) = mesh.create_key(&draft("ada")).unwrap();
    let (_, third) = mesh.create_key(&draft("ada")).unwrap();
    let (bo_text, bo) = mesh.create_key(&draft("bo")).unwrap();
    let revoked = mesh.revoke_keys(&second.id.to_string()).unwrap();
    assert_eq!(ids(&revoked), [second.id]);
    let revoked = mesh.revoke_keys("ada").unwrap();
    assert_eq!(ids(&revoked), [first.id, third.id], "those left");
    assert!(mesh.revoke_keys("ada").unwrap().is_empty());
    assert!(mesh.revoke_keys("cy").unwrap().is_empty());
    assert_eq!(verify(&mut mesh, &text), Err(KeyProblem::Revoked));
    assert_eq!(verify(&mut mesh, &bo_text), Ok(bo.id));
    let events = key_events(&mut mesh);
    let event = |kind: &str, key: &AccessKey| (kind.to_owned(), key.id.to_string());
    assert_eq!(
        events[4..],
        [
            event("key.revoked", &second),
            event("key.revoked", &first),
            event("key.revoked", &third)
        ]
    );
}

#[test]
fn keys_of_a_renamed_peer_are_found_by_each_of_its_names() {
    let fixture = MeshFixture::new();
    let mut ada = fixture.member("ada", 0);
    let me = ada.handle().clone();
    let mesh = ada.mesh();
    let (_, key) = mesh.create_key(&draft("ada")).unwrap();
    let name = Some("countess".into());
    let description = claude_mesh::mesh::PeerDescription {
        name,
        ..Default::default()
    };
    mesh.describe(&me, &description).unwrap();
    assert_eq!(ids(&mesh.revoke_keys("countess").unwrap()), [key.id]);
}

#[test]
fn rotated_key_keeps_all_but_its_text() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let lifetime = Some(DAY);
    let (old_text, old) = mesh
        .create_key(&KeyDraft {
            lifetime,
            ..draft("ada")
        })
        .unwrap();
    fixture.clock.advance_ms(60_000);
    let (text, new) = mesh.rotate_key("ada").unwrap();
    assert_eq!(verify(&mut mesh, &old_text), Err(KeyProblem::Revoked));
    assert_eq!(verify(&mut mesh, &text), Ok(new.id));
    let same = AccessKey {
        id: new.id,
        created_at_ms: new.created_at_ms,
        ..old
    };
    assert_eq!(new, same);
    mesh.create_key(&draft("ada")).unwrap();
    let several = mesh.rotate_key("ada").unwrap_err();
    assert!(several.to_string().contains("2 valid keys"), "{several}");
    assert!(mesh.rotate_key(&old.id.to_string()).is_err(), "revoked");
    assert!(mesh.rotate_key("bo").is_err(), "unknown");
    assert!(mesh.rotate_key(&new.id.to_string()).is_ok());
}

#[test]
fn verifying_writes_nothing_and_touching_records_the_use() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let (text, key) = mesh.create_key(&draft("ada")).unwrap();
    fixture.clock.advance_ms(5_000);
    verify(&mut mesh, &text).unwrap();
    assert_eq!(mesh.keys().unwrap()[0], key);
    mesh.touch_key(key.id).unwrap();
    let used = mesh.keys().unwrap()[0].last_used_at_ms;
    assert_eq!(used, Some(key.created_at_ms + 5_000));
}

#[test]
fn key_for_the_name_of_a_person_is_refused() {
    let mut mesh = MeshFixture::new().mesh();
    let holder = KeyHolder::Peer(PeerName::for_person("lab"));
    let refused = mesh.create_key(&KeyDraft {
        holder,
        ..draft("ada")
    });
    assert!(
        matches!(
            refused,
            Err(Error::Refused(Refusal::InvalidArgument { .. }))
        ),
        "{refused:?}"
    );
}

#[test]
fn event_of_a_key_is_of_the_person_and_without_its_text() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let request =
        claude_mesh::mesh::JoinRequest::of(process::this_process(), PeerKind::Person, None);
    let person = mesh.register(&request).unwrap();
    let (text, key) = mesh.create_key(&draft("ada")).unwrap();
    let events = mesh.events(&all_events()).unwrap().events;
    let event = events.last().unwrap();
    assert_eq!(
        (event.kind.as_str(), &event.by),
        ("key.created", &person.name.to_string())
    );
    assert_eq!(event.subject, key.id.to_string());
    let data = serde_json::json!({ "holder": "peer", "name": "ada", "scope": "write" });
    assert_eq!(event.data, data);
    assert!(!format!("{event:?}").contains(&text[31..]));
}

#[test]
fn board_link_is_exchanged_once_for_a_key_of_twelve_hours() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let token = mesh.create_board_link().unwrap();
    let (text, key) = mesh.redeem_board_link(&token).unwrap().unwrap();
    assert_eq!(
        (&key.holder, key.scope),
        (&KeyHolder::Board, KeyScope::Admin)
    );
    assert_eq!(key.expires_at_ms, Some(key.created_at_ms + DAY_MS / 2));
    assert_eq!(verify(&mut mesh, &text), Ok(key.id));
    let mut redeem = |token: &str| mesh.redeem_board_link(token).unwrap().unwrap_err();
    assert_eq!(redeem(&token), LinkProblem::Used);
    assert_eq!(redeem("x"), LinkProblem::Unknown);
    assert!(mesh.rotate_key("board").is_err(), "sign in again");
    assert_eq!(ids(&mesh.revoke_keys("board").unwrap()), [key.id]);
}

#[test]
fn board_link_expires_after_a_minute() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let (late, just) = (
        mesh.create_board_link().unwrap(),
        mesh.create_board_link().unwrap(),
    );
    fixture.clock.advance_ms(59_999);
    assert!(mesh.redeem_board_link(&just).unwrap().is_ok());
    fixture.clock.advance_ms(1);
    let refused = mesh.redeem_board_link(&late).unwrap();
    assert_eq!(refused.unwrap_err(), LinkProblem::Expired);
    fixture.clock.advance_ms(DAY_MS + 1);
    assert_eq!(mesh.sweep().unwrap().keys, 2, "both links");
    let refused = mesh.redeem_board_link(&late).unwrap();
    assert_eq!(refused.unwrap_err(), LinkProblem::Unknown);
}

/// Carries out a call that names an idempotency key and changes something.
fn carry_out(mesh: &mut Mesh, key: KeyId, content: u8) -> claude_mesh::model::Result<()> {
    mesh.begin_call(KeyedCaller::access_key(key), ("once", [content; 32]));
    let changed = mesh.touch_key(key);
    mesh.end_call();
    changed
}

#[test]
fn repeated_request_gets_the_result_of_the_first() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let [ada, bo] = ["ada", "bo"].map(|name| mesh.create_key(&draft(name)).unwrap().1.id);
    let find = |key, content: u8| {
        let call = ("once", [content; 32]);
        let caller = KeyedCaller::access_key(key);
        fixture.mesh().find_earlier_call(caller, call).unwrap()
    };
    let complete = |key, content: u8, status: u16| {
        let (caller, call) = (KeyedCaller::access_key(key), ("once", [content; 32]));
        let completed = fixture
            .mesh()
            .complete_successful_call(caller, call, (status, "{}"));
        completed.unwrap();
    };
    let completed = |status| EarlierCall::Completed {
        status,
        response: "{}".into(),
    };
    assert_eq!(find(ada, 1), EarlierCall::None);
    carry_out(&mut mesh, ada, 1).unwrap();
    let questions = vec![];
    assert_eq!(find(ada, 1), EarlierCall::Stored { questions });
    assert_eq!(find(ada, 2), EarlierCall::OtherCall);
    assert_eq!(find(bo, 2), EarlierCall::None, "a key of its own");
    assert!(carry_out(&mut mesh, ada, 1).is_err(), "it is done once");
    complete(ada, 2, 500);
    complete(ada, 1, 201);
    assert_eq!(find(ada, 1), completed(201), "another has its own result");
    complete(bo, 3, 200);
    assert_eq!(find(bo, 3), completed(200), "it had nothing to change");
}

#[test]
fn result_of_a_request_is_kept_for_a_day() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let key = mesh.create_key(&draft("ada")).unwrap().1.id;
    let find = |content: u8| {
        let (caller, call) = (KeyedCaller::access_key(key), ("once", [content; 32]));
        fixture.mesh().find_earlier_call(caller, call).unwrap()
    };
    carry_out(&mut mesh, key, 1).unwrap();
    fixture.clock.advance_ms(DAY_MS);
    assert_eq!(find(2), EarlierCall::OtherCall);
    assert_eq!(mesh.sweep().unwrap().requests, 0);
    fixture.clock.advance_ms(1);
    assert_eq!(find(2), EarlierCall::None);
    carry_out(&mut mesh, key, 2).unwrap();
    assert_eq!(find(1), EarlierCall::OtherCall);
    fixture.clock.advance_ms(2 * DAY_MS);
    assert_eq!(mesh.sweep().unwrap().requests, 1);
}

#[test]
fn mark_of_a_mesh_changes_with_keys_names_and_ends() {
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let ada = mesh.register(&fixture.join_request("ada", 1)).unwrap();
    let bo = mesh.register(&fixture.join_request("bo", 2)).unwrap();
    let mut mark = mesh.change_mark().unwrap();
    let mut is_new = |mesh: &mut Mesh, what: &str| {
        let earlier = std::mem::replace(&mut mark, mesh.change_mark().unwrap());
        assert_ne!(mark, earlier, "{what}");
    };
    let (_, key) = mesh.create_key(&draft("ada")).unwrap();
    is_new(&mut mesh, "a key is created");
    mesh.revoke_keys(&key.id.to_string()).unwrap();
    is_new(&mut mesh, "a key is revoked");
    mesh.register(&fixture.join_request("cleo", 3)).unwrap();
    is_new(&mut mesh, "a session registers");
    mesh.unregister(bo.session, "it ends").unwrap();
    is_new(&mut mesh, "a session ends");
    let to = Recipient::parse("bo").unwrap();
    let mut other = fixture.mesh();
    other
        .post(&ada, &MessageDraft::of(&to, "another program"))
        .unwrap();
    is_new(&mut mesh, "another program commits");
}

/// On a database server each commit changes the mark.
#[test]
fn mark_of_a_file_stays_over_own_other_commits() {
    let fixture = MeshFixture::new();
    if fixture.is_served() {
        return;
    }
    let mut mesh = fixture.mesh();
    let ada = mesh.register(&fixture.join_request("ada", 1)).unwrap();
    mesh.register(&fixture.join_request("bo", 2)).unwrap();
    let to = Recipient::parse("bo").unwrap();
    let before = mesh.change_mark().unwrap();
    mesh.post(&ada, &MessageDraft::of(&to, "the build is green"))
        .unwrap();
    mesh.describe(&ada, &PeerDescription::default()).unwrap();
    assert_eq!(mesh.change_mark().unwrap(), before);
}
