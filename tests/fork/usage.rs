//! What forks have cost, wherever a person or a model looks.
use serde_json::json;

use super::{answer_from_fork, offer, offered, world_with};
use crate::support::{InboxSession, start_ask};

#[test]
fn usage_of_forks_is_shown_wherever_a_person_looks() {
    let world = world_with("CLAUDE_MESH_FORK=always\n");
    let ada = world.session("ada");
    let bo = InboxSession::open(&world, "bo", "idle");
    for text in ["which port?", "which host?"] {
        let ask = start_ask(&ada, "bo", text);
        let id = offered(&offer(&bo.session, &bo.next_wake_line())).remove(0);
        answer_from_fork(&bo.session, &id, "5433");
        assert_eq!(ask.result()["by"], "fork");
    }
    let run = |arguments: &[&str]| {
        let ran = world.cli(&world.home(), arguments);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran
    };
    let expected = json!({
        "answers": 2, "input_tokens": 14, "output_tokens": 6,
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": 1800,
    });
    let listed = run(&["peers", "--json"]).json()["peers"].clone();
    let of_bo = listed.as_array().unwrap().iter();
    let of_bo = of_bo.clone().find(|peer| peer["peer"] == "bo").unwrap();
    assert_eq!(of_bo["forks"], expected);
    assert_eq!(run(&["status", "--json"]).json()["forks"], expected);
    let peers = ada.call("list_peers", json!({}));
    assert_eq!(peers["peers"][0]["forks"], expected);
    assert_eq!(ada.call("mesh_status", json!({}))["forks"], expected);
    for (arguments, text) in [
        (&["peers"][..], "2 by forks"),
        (&["status"], "2 answers by forks, 1820 tokens"),
        (&["log"], "by a fork, 910 tokens"),
    ] {
        let said = run(arguments).out;
        assert!(said.contains(text), "{arguments:?}: {said}");
    }
}
