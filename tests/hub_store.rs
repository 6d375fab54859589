//! Hubs whose mesh is on a PostgreSQL server: several serve it together, and it outlives each of them.
use std::time::Duration;

use serde_json::json;

use crate::support::{Hub, OtherHost, World, print_to_stderr, wait_until};

/// Returns the URL of a schema for one test; `None`, loudly, without a server.
fn schema(name: &str) -> Option<String> {
    let Ok(server) = std::env::var("CLAUDE_MESH_TEST_POSTGRES") else {
        print_to_stderr("SKIPPED: CLAUDE_MESH_TEST_POSTGRES names no server");
        return None;
    };
    Some(format!("{server}?schema={name}_{}", std::process::id()))
}

#[test]
fn sessions_at_two_hubs_of_one_mesh_ask_each_other() {
    let Some(store) = schema("two_hubs") else {
        return;
    };
    let (one, two) = (World::new(), World::new());
    let (hub_one, hub_two) = (Hub::start_on(&one, &store), Hub::start_on(&two, &store));
    let (laptop, desk) = (
        OtherHost::new(&hub_one, "laptop"),
        OtherHost::new(&hub_two, "desk"),
    );
    let (web, api) = (laptop.join("/work/web", 10), desk.join("/work/api", 10));
    std::thread::scope(|scope| {
        let question = json!({ "to": "api", "question": "which port?" });
        let asked = scope.spawn(|| web.call("ask_peer", question));
        let id = api.next_question();
        let replied = api.call(
            "reply_to_peer",
            json!({ "question_id": id, "answer": "5433" }),
        );
        assert_eq!(replied["asker_waiting"], true, "{replied}");
        assert_eq!(asked.join().unwrap()["answer"], "5433");
    });
    let port = json!({ "resource": "port:1" });
    assert_eq!(web.call("claim", port.clone())["status"], "granted");
    assert_eq!(api.call("claim", port)["status"], "denied");
}

#[test]
fn session_goes_on_at_another_hub_with_its_claim() {
    let Some(store) = schema("next_hub") else {
        return;
    };
    let (one, two) = (World::new(), World::new());
    let hub_one = Hub::start_on(&one, &store);
    let hub_two = Hub::start_on(&two, &store);
    let laptop = OtherHost::new(&hub_one, "laptop");
    let web = laptop.join("/work/web", 10);
    assert_eq!(
        web.call("claim", json!({ "resource": "port:1" }))["status"],
        "granted"
    );
    let (id, key) = (web.id.clone(), laptop.key.clone());
    hub_one.kill();
    let laptop = OtherHost::with_key(&hub_two, key);
    let web = laptop.join("/work/web", 10);
    assert_eq!(web.id, id, "the same session");
    let desk = OtherHost::new(&hub_two, "desk");
    let api = desk.join("/work/api", 10);
    assert_eq!(
        api.call("claim", json!({ "resource": "port:1" }))["status"],
        "denied"
    );
    let claims = web.call("claims", json!({ "resource": "port:1" }));
    assert_eq!(claims["claims"][0]["holders"][0]["peer"], "web", "{claims}");
}

#[test]
fn revoked_key_is_refused_by_every_hub_within_seconds() {
    let Some(store) = schema("revoked") else {
        return;
    };
    let (one, two) = (World::new(), World::new());
    let (hub_one, hub_two) = (Hub::start_on(&one, &store), Hub::start_on(&two, &store));
    let laptop = OtherHost::new(&hub_one, "laptop");
    let at_two = OtherHost::with_key(&hub_two, laptop.key.clone());
    assert_eq!(at_two.send("/v1/remote", None, &[]).0, 200);
    let revoked = one.cli(&one.home(), &["key", "revoke", "laptop", "--store", &store]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    for host in [&laptop, &at_two] {
        wait_until("the key is refused", || {
            host.send("/v1/remote", None, &[]).0 == 401
        });
    }
}

/// A store that cannot be used is refused with what is wrong; the password is in no message.
#[test]
fn unusable_store_is_refused_with_the_reason() {
    let world = World::new();
    let password = "postgres://mesh:secret@127.0.0.1/mesh";
    for (url, expected) in [
        ("mysql://h/d", "postgres://"),
        (password, "password"),
        (
            "postgres://mesh@127.0.0.1:1/mesh?sslmode=disable",
            "127.0.0.1",
        ),
    ] {
        let output = world.cli(
            &world.home(),
            &["serve", "--addr", "127.0.0.1:0", "--store", url],
        );
        assert_ne!(output.code, Some(0), "{url}");
        let said = format!("{}{}", output.out, output.err);
        assert!(said.contains(expected), "{url}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

/// The first hub forgets the session after its own lease of two minutes, and must not end it.
#[test]
fn session_that_moved_to_another_hub_keeps_its_claims() {
    const LONGER_THAN_THE_LEASE: Duration = Duration::from_secs(135);
    let Some(store) = schema("moved") else {
        return;
    };
    let (one, two) = (World::new(), World::new());
    let (hub_one, hub_two) = (Hub::start_on(&one, &store), Hub::start_on(&two, &store));
    let laptop = OtherHost::new(&hub_one, "laptop");
    let id = laptop.join("/work/web", 10).id;
    let laptop = OtherHost::with_key(&hub_two, laptop.key);
    let web = laptop.join("/work/web", 10);
    let claim = json!({ "resource": "port:1", "lease_seconds": 600 });
    assert_eq!(web.call("claim", claim)["status"], "granted");
    let stream = web.open_stream();
    std::thread::sleep(LONGER_THAN_THE_LEASE);
    assert_eq!(laptop.join("/work/web", 10).id, id, "the same session");
    let claims = web.call("claims", json!({ "resource": "port:1" }));
    assert_eq!(claims["claims"][0]["holders"][0]["peer"], "web", "{claims}");
    drop(stream);
}
