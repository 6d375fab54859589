//! Replies that are kept because the hub is out of reach: where, for how long, and what becomes of them.
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Hub, Network, Relay, Session, World, far_host, far_host_at, wait_until};

/// A hub behind a relay, with a session of this machine that asks.
struct Place {
    world: World,
    relay: Relay,
    hub: Hub,
}

impl Place {
    fn new() -> Self {
        let (world, relay) = (World::new(), Relay::new());
        let hub = Hub::start_with(&world, &["--public-url", &relay.url()]);
        relay.lead_to(hub.url());
        Self { world, relay, hub }
    }

    fn laptop(&self) -> World {
        far_host_at(&self.hub, &self.relay.url(), "laptop")
    }
}

/// Returns the kept replies of a home.
fn kept(world: &World) -> Vec<PathBuf> {
    let spool = world.home().join(".claude-mesh/run/spool");
    let Ok(folders) = std::fs::read_dir(spool) else {
        return Vec::new();
    };
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "json"));
    files.sort();
    files
}

/// Replies while the hub is out of reach. Returns the error of the call.
#[track_caller]
fn reply_in_vain(session: &Session, question: &str, answer: &str) -> Value {
    let refused = session.send_reply(question, answer);
    assert_eq!(refused["error"]["code"], "storage", "{refused}");
    refused["error"].clone()
}

fn findings(world: &World) -> Vec<Value> {
    let printed = world.cli(&world.home(), &["doctor", "--json"]).json();
    let all = printed["findings"].as_array().unwrap().clone();
    all.into_iter()
        .filter(|finding| finding["text"].as_str().unwrap().contains("run/spool"))
        .collect()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn kept_reply_is_sent_once_when_the_hub_is_back() {
    let place = Place::new();
    let (laptop, local) = (place.laptop(), place.world.session("local"));
    let bo = laptop.session("bo");
    let ask = local.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let question = bo.next_question();
    place.relay.set(Network::Cut);
    let error = reply_in_vain(&bo, &question, "5433");
    let files = kept(&laptop);
    let [file] = files.as_slice() else {
        panic!("{files:?}")
    };
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(file.to_str().unwrap()), "{message}");
    assert!(message.contains("out of reach since"), "{message}");
    assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700));
    assert!(ask.is_open(), "the asker goes on waiting");
    reply_in_vain(&bo, &question, "5433");
    assert_eq!(kept(&laptop), files, "the same reply is kept once");
    let found = findings(&laptop);
    assert_eq!(found[0]["severity"], "note", "{found:?}");
    place.relay.set(Network::Up);
    assert_eq!(ask.result()["answer"], "5433");
    wait_until("the file is removed", || kept(&laptop).is_empty());
    let notes = bo.call("mesh_status", json!({}))["notes"].clone();
    assert!(
        notes[0].as_str().unwrap().contains("was delivered"),
        "{notes}"
    );
    assert_eq!(findings(&laptop), Vec::<Value>::new());
}

#[test]
fn replies_are_sent_in_the_order_in_which_they_were_written() {
    let place = Place::new();
    let (laptop, local) = (place.laptop(), place.world.session("local"));
    let bo = laptop.session("bo");
    let ask = local.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let question = bo.next_question();
    place.relay.set(Network::Cut);
    reply_in_vain(&bo, &question, "5433");
    let correction = json!({ "question_id": question, "answer": "5434", "corrects": true });
    bo.call("reply_to_peer", correction);
    assert_eq!(kept(&laptop).len(), 2);
    place.relay.set(Network::Up);
    assert_eq!(ask.result()["answer"], "5433");
    wait_until("both are sent", || kept(&laptop).is_empty());
    let read = local.call("await_reply", json!({ "question_id": question }));
    assert_eq!(read["answer"], "5434", "{read}");
}

#[test]
fn next_session_of_the_machine_sends_what_an_ended_one_kept() {
    let place = Place::new();
    let (laptop, local) = (place.laptop(), place.world.session("local"));
    let bo = laptop.session("bo");
    let ask = local.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let question = bo.next_question();
    place.relay.set(Network::Cut);
    reply_in_vain(&bo, &question, "5433");
    bo.kill();
    place.relay.set(Network::Up);
    let _other = laptop.session("other");
    assert_eq!(ask.result()["answer"], "5433");
    wait_until("the file is removed", || kept(&laptop).is_empty());
}

#[test]
fn reply_under_a_revoked_key_stays_and_doctor_tells() {
    let place = Place::new();
    let (laptop, local) = (place.laptop(), place.world.session("local"));
    let bo = laptop.session("bo");
    let _ask = local.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let question = bo.next_question();
    place.relay.set(Network::Cut);
    reply_in_vain(&bo, &question, "5433");
    let listed = place
        .world
        .cli(&place.world.home(), &["key", "list", "--json"]);
    let keys = listed.json()["keys"].as_array().unwrap().clone();
    let own = keys.iter().find(|key| key["host"] == "laptop");
    let id = own.unwrap_or_else(|| panic!("{keys:?}"))["id"]
        .as_str()
        .unwrap();
    let revoked = place.world.cli(&place.world.home(), &["key", "revoke", id]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    place.relay.set(Network::Up);
    wait_until("doctor tells of the refusal", || {
        let found = findings(&laptop);
        found.iter().any(|finding| {
            finding["severity"] == "problem"
                && finding["text"].as_str().unwrap().contains("was revoked")
        })
    });
    assert_eq!(kept(&laptop).len(), 1);
}

#[test]
fn refused_reply_is_removed_and_reported() {
    let place = Place::new();
    let (laptop, local) = (place.laptop(), place.world.session("local"));
    let bo = laptop.session("bo");
    let ask = local.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let question = bo.next_question();
    place.relay.set(Network::Cut);
    reply_in_vain(&bo, &question, "5433");
    let first = place
        .world
        .cli(&place.world.home(), &["reply", &question, "5432"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(ask.result()["answer"], "5432", "the person was faster");
    place.relay.set(Network::Up);
    wait_until("the file is removed", || kept(&laptop).is_empty());
    let notes = bo.call("mesh_status", json!({}))["notes"].clone();
    assert!(
        notes[0].as_str().unwrap().contains("was refused"),
        "{notes}"
    );
}

#[test]
fn reply_with_a_secret_is_not_written_to_a_file() {
    let place = Place::new();
    let (laptop, local) = (place.laptop(), place.world.session("local"));
    let bo = laptop.session("bo");
    let _ask = local.start("ask_peer", json!({ "to": "bo", "question": "which key?" }));
    let question = bo.next_question();
    place.relay.set(Network::Cut);
    let error = reply_in_vain(&bo, &question, "AKIAIOSFODNN7EXAMPLE");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("could not be kept"), "{message}");
    assert_eq!(kept(&laptop), Vec::<PathBuf>::new());
}

#[test]
fn outcome_of_a_broken_call_is_looked_up_by_the_next_one() {
    let place = Place::new();
    let laptop = place.laptop();
    let ada = laptop.session("ada");
    let post = |body: &str| json!({ "to": "*", "body": body });
    place.relay.set(Network::Silent);
    let unknown = ada.call("post", post("deployed"));
    assert_eq!(unknown["error"]["code"], "storage", "{unknown}");
    let message = unknown["error"]["message"].as_str().unwrap();
    assert!(message.contains("not known whether"), "{message}");
    place.relay.set(Network::Up);
    let mut notes = Value::Null;
    wait_until("the outcome is known", || {
        notes = ada.call("mesh_status", json!({}))["notes"].clone();
        notes.is_array()
    });
    let note = notes[0].as_str().unwrap();
    assert!(note.contains("the call of post"), "{note}");
    let stored = place.hub.count_rows("message");
    assert_eq!(stored == 1, note.contains("was stored"), "{note}: {stored}");
}

#[test]
fn same_call_after_a_broken_one_is_carried_out_once() {
    let place = Place::new();
    let ada = place.laptop().session("ada");
    let post = json!({ "to": "*", "body": "deployed" });
    place.relay.set(Network::Silent);
    let unknown = ada.call("post", post.clone());
    assert_eq!(unknown["error"]["code"], "storage", "{unknown}");
    place.relay.set(Network::Up);
    let mut again = Value::Null;
    wait_until("the call is answered", || {
        again = ada.call("post", post.clone());
        again["error"].is_null()
    });
    assert!(again["message_id"].is_string(), "{again}");
    assert_eq!(place.hub.count_rows("message"), 1);
}

#[test]
fn hub_of_another_host_does_not_get_kept_replies() {
    let place = Place::new();
    let (laptop, local) = (place.laptop(), place.world.session("local"));
    let bo = laptop.session("bo");
    let _ask = local.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let question = bo.next_question();
    place.relay.set(Network::Cut);
    reply_in_vain(&bo, &question, "5433");
    let other_world = World::new();
    let other_hub = Hub::start(&other_world);
    let elsewhere = far_host(&other_hub, "laptop");
    let copied = elsewhere.home().join(".claude-mesh/run/spool");
    let authority = other_hub
        .url()
        .split_once("://")
        .unwrap()
        .1
        .replace(':', "_");
    let file = kept(&laptop).remove(0);
    let moved = elsewhere.write(
        &format!(".claude-mesh/run/spool/{authority}/01.json"),
        &std::fs::read_to_string(file).unwrap(),
    );
    std::fs::set_permissions(&copied, std::fs::Permissions::from_mode(0o700)).unwrap();
    let session = elsewhere.session("bo");
    session.call("mesh_status", json!({}));
    assert!(moved.exists(), "it is bound to another URL and key");
    assert!(!other_hub.log().contains("/v1/remote/replies"));
}
