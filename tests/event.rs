//! The event log: one order for all readers, read by number and by time, subscribed to, written to.

use serde_json::{Value, json};

use crate::support::event_calls::{emit, event_types, events, events_in};
use crate::support::{Session, World};

// Requirement: Sharing 7
#[test]
fn operations_are_logged_and_type_globs_filter_events() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    bo.send_reply(&bo.next_question(), "5433");
    ask.result();
    bo.call(
        "state",
        json!({ "action": "set", "key": "port", "value": 5433 }),
    );
    let all = events(&ada, json!({}));
    let seqs: Vec<i64> = events_in(&all)
        .iter()
        .map(|event| event["seq"].as_i64().unwrap())
        .collect();
    assert!(seqs.is_sorted() && seqs[0] == 1, "{seqs:?}");
    assert_eq!(all["next"], *seqs.last().unwrap());
    let joined_types =
        |types: Value| event_types(&events(&ada, json!({ "types": types }))).join(" ");
    assert_eq!(joined_types(json!(["peer.*"])), "peer.joined peer.joined");
    assert_eq!(joined_types(json!(["*.changed"])), "state.changed");
    assert_eq!(
        joined_types(json!([])),
        joined_types(json!(null)),
        "a filter without types returns all"
    );
    let refused = events(&ada, json!({ "types": "project.*" }))["error"]["message"].clone();
    assert_eq!(
        refused,
        r#""types": wrong type: the text "project.*", expected a list"#
    );
    assert!(
        joined_types(json!(["question.asked", "question.answered"])).starts_with("question.asked")
    );
    assert_eq!(joined_types(json!(["task.*"])), "");
    let keys: Vec<&String> = events_in(&all)[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["seq", "type", "at", "by", "subject", "data"]);
}

/// Returns type, actor, subject and some data of the events since another.
fn since(session: &Session, after: &Value, types: &str, key: &str) -> Vec<[Value; 4]> {
    let page = events(session, json!({ "types": [types], "after": after }));
    let reported = events_in(&page).iter().map(|event| {
        ["type", "by", "subject"]
            .map(|name| event[name].clone())
            .into_iter()
            .chain([event["data"][key].clone()])
            .collect::<Vec<_>>()
            .try_into()
            .unwrap()
    });
    reported.collect()
}

#[test]
fn rename_question_and_claim_events_carry_actor_and_reason() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    bo.call("register", json!({ "name": "store" }));
    let start = json!(0);
    assert_eq!(
        since(&ada, &start, "peer.renamed", "was"),
        [["peer.renamed", "store", "store", "bo"].map(|text| json!(text))]
    );
    let asked = |question: &str| {
        let ask = ada.start("ask_peer", json!({ "to": "store", "question": question }));
        ask.wait_for_progress("store: stored");
        let id = bo.next_question();
        let no = json!({ "question_id": id, "answer": "ask cy", "decline": true });
        bo.call("reply_to_peer", no);
        assert_eq!(ask.result()["status"], "declined");
        id
    };
    let declined = asked("may I push?");
    let reported = since(&ada, &start, "question.declined", "none");
    assert_eq!(
        reported[0][..3],
        ["question.declined", "store", &declined].map(|text| json!(text))
    );
    assert_eq!(reported.len(), 1);
    let quiet = world.cli(&world.home(), &["quiet", "store"]);
    assert_eq!(quiet.code, Some(0), "{quiet:?}");
    let held = ada.call("ask_peer", json!({ "to": "store", "question": "and now?" }));
    assert_eq!(held["status"], "held");
    let id = held["question_id"].as_str().unwrap();
    let reported = since(&ada, &start, "question.held", "reason");
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert_eq!(reported[0][2], id);
    assert_eq!(reported[0][3], held["reason"]);
    let claim = |session: &Session| {
        let claimed = session.call("claim", json!({ "resource": "deploy", "wait": "queue" }));
        claimed["claim_id"].clone()
    };
    let (first, second) = (claim(&ada), claim(&bo));
    ada.call("release", json!({ "resource": "deploy" }));
    let page = events(&ada, json!({ "types": ["claim.*"], "after": 0 }));
    let reported: Vec<Value> = events_in(&page)
        .iter()
        .map(|event| {
            assert_eq!(event["subject"], "deploy");
            json!([event["type"], event["by"], event["data"]])
        })
        .collect();
    let granted = |id: &Value, fence| json!({ "claim_id": id, "mode": "exclusive", "fence": fence, "lease_seconds": 120 });
    assert_eq!(
        reported,
        [
            json!(["claim.granted", "ada", granted(&first, 1)]),
            json!(["claim.queued", "store", { "claim_id": second, "mode": "exclusive", "place": 1 }]),
            json!(["claim.released", "ada", { "claim_id": first, "mode": "exclusive", "fence": 1, "was": "held", "why": "released" }]),
            json!(["claim.granted", "store", granted(&second, 2)]),
        ]
    );
}

#[test]
fn events_next_cursor_advances_past_unmatched_events() {
    let world = World::new();
    let ada = world.session("ada");
    for number in 0..30 {
        emit(
            &ada,
            if number % 3 == 0 {
                "project.fizz"
            } else {
                "project.noise"
            },
            json!(number),
        );
    }
    let (mut after, mut seen) = (json!(0), Vec::new());
    for _ in 0..6 {
        let page = events(
            &ada,
            json!({ "types": ["project.fizz"], "after": after, "limit": 2 }),
        );
        seen.extend(
            events_in(&page)
                .iter()
                .map(|event| event["data"].as_i64().unwrap()),
        );
        after = page["next"].clone();
    }
    assert_eq!(seen, [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]);
    let last = events(&ada, json!({ "after": 0, "limit": 500 }))["next"].clone();
    assert_eq!(after, last, "past those that did not match");
    let none = events(&ada, json!({ "types": ["task.*"], "after": 0 }));
    assert_eq!((events_in(&none).len(), &none["next"]), (0, &last));
    let empty = events(&ada, json!({ "after": last }));
    assert_eq!((events_in(&empty).len(), &empty["next"]), (0, &last));
    let newest = events(&ada, json!({ "types": ["project.fizz"], "limit": 2 }));
    let newest: Vec<&Value> = events_in(&newest)
        .iter()
        .map(|event| &event["data"])
        .collect();
    assert_eq!(
        newest,
        [24, 27],
        "without a start, the newest events are returned, oldest first"
    );
}

// Requirement: Sharing 7
#[test]
fn events_since_is_exact_to_the_millisecond() {
    let world = World::new();
    let ada = world.session("ada");
    for number in 0..5 {
        emit(&ada, "project.step", json!(number));
        let moment = events(&ada, json!({ "limit": 1 }))["events"][0]["at"].clone();
        crate::support::wait_until("the clock advances", || {
            let now = claude_mesh::platform::Clock::now(&claude_mesh::platform::SystemClock::new());
            claude_mesh::platform::clock::rfc3339(now.wall_ms).as_str() > moment.as_str().unwrap()
        });
    }
    let all = events(&ada, json!({ "types": ["project.*"] }));
    let third = events_in(&all)[2]["at"].as_str().unwrap();
    let since = |time: &str| {
        let page = events(&ada, json!({ "types": ["project.*"], "since": time }));
        events_in(&page)
            .iter()
            .map(|event| event["data"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(since(third), [2, 3, 4]);
    let at_ms = claude_mesh::platform::clock::parse_rfc3339(third).unwrap();
    assert_eq!(
        since(&claude_mesh::platform::clock::rfc3339(at_ms + 1)),
        [3, 4]
    );
    assert_eq!(since("2999-01-01T00:00:00Z"), [0; 0]);
    assert_eq!(since("1999-01-01T00:00:00+02:00").len(), 5);
}

// Requirement: Sharing 7
#[test]
fn poll_inbox_returns_each_subscribed_event_once() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let received = |session: &Session| -> Vec<i64> {
        let inbox = session.call("poll_inbox", json!({}));
        events_in(&inbox)
            .iter()
            .map(|event| event["data"].as_i64().unwrap())
            .collect()
    };
    emit(&bo, "project.step", json!(0));
    let subscribed = events(
        &ada,
        json!({ "action": "subscribe", "types": ["project.step"] }),
    );
    assert_eq!(subscribed["types"], json!(["project.step"]));
    for number in 1..=60 {
        emit(&bo, "project.step", json!(number));
        emit(&bo, "project.noise", json!(number));
    }
    assert_eq!(
        received(&ada),
        (1..=50).collect::<Vec<_>>(),
        "a page has at most fifty events"
    );
    assert_eq!(received(&ada), (51..=60).collect::<Vec<_>>(), "the rest");
    assert_eq!(received(&ada), [0; 0], "once");
    assert_eq!(
        received(&bo),
        [0; 0],
        "a session that did not subscribe receives nothing"
    );
    let more = events(
        &ada,
        json!({ "action": "subscribe", "types": ["project.noise"] }),
    );
    assert_eq!(more["types"], json!(["project.step", "project.noise"]));
    let left = events(
        &ada,
        json!({ "action": "unsubscribe", "types": ["project.step"] }),
    );
    assert_eq!(left["types"], json!(["project.noise"]));
    emit(&bo, "project.step", json!(61));
    emit(&bo, "project.noise", json!(62));
    assert_eq!(received(&ada), [62]);
    assert_eq!(
        events(&ada, json!({ "action": "unsubscribe" }))["types"],
        json!([])
    );
    emit(&bo, "project.noise", json!(63));
    assert_eq!(received(&ada), [0; 0]);
    let back = events(
        &ada,
        json!({ "action": "subscribe", "types": ["project.noise"], "after": 0 }),
    );
    assert_eq!(back["next"], 0);
    assert_eq!(received(&ada).len(), 50, "from the given number on");
}

#[test]
fn large_event_pages_stay_within_the_result_size_limit() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    events(
        &ada,
        json!({ "action": "subscribe", "types": ["project.*"] }),
    );
    for number in 0..8 {
        emit(
            &bo,
            "project.long",
            json!(format!("{number}{}", "x".repeat(60_000))),
        );
    }
    let first = |event: &Value| event["data"].as_str().unwrap()[..1].to_owned();
    let (mut read, mut after) = (Vec::new(), json!(0));
    while read.len() < 8 {
        let page = events(&ada, json!({ "types": ["project.*"], "after": after }));
        assert!(page.to_string().len() <= 200_000);
        assert_eq!(
            page["truncated"] == true,
            read.len() + events_in(&page).len() < 8
        );
        read.extend(events_in(&page).iter().map(first));
        after = page["next"].clone();
    }
    let mut received = Vec::new();
    while received.len() < 8 {
        received.extend(
            events_in(&ada.call("poll_inbox", json!({})))
                .iter()
                .map(first),
        );
    }
    assert_eq!(read, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(received, read);
}

// Requirement: Beyond 4
#[test]
fn concurrent_writers_give_all_readers_one_event_order() {
    let world = World::new();
    let writers: Vec<Session> = (0..4).map(|n| world.session(&format!("w{n}"))).collect();
    let readers = [world.session("r0"), world.session("r1")];
    let follow = |reader: &Session| {
        let (mut seen, mut after) = (Vec::new(), json!(0));
        while seen.len() < 400 {
            let wait = json!({ "action": "wait", "types": ["project.*"], "after": after });
            let page = events(reader, wait);
            seen.extend(events_in(&page).iter().cloned());
            after = page["next"].clone();
        }
        seen
    };
    let orders = std::thread::scope(|scope| {
        for writer in &writers {
            scope.spawn(move || {
                for number in 0..100 {
                    emit(writer, "project.step", json!(number));
                }
            });
        }
        readers
            .each_ref()
            .map(|reader| scope.spawn(|| follow(reader)))
            .map(|thread| thread.join().unwrap())
    });
    assert_eq!(orders[0], orders[1]);
    let seqs: Vec<i64> = orders[0]
        .iter()
        .map(|event| event["seq"].as_i64().unwrap())
        .collect();
    assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]));
    for writer in 0..4 {
        let own = orders[0]
            .iter()
            .filter(|event| event["by"] == format!("w{writer}"));
        let numbers: Vec<i64> = own.map(|event| event["data"].as_i64().unwrap()).collect();
        assert_eq!(
            numbers,
            (0..100).collect::<Vec<_>>(),
            "the events of each writer are complete and in order"
        );
    }
    let people = world.cli(
        &world.home(),
        &[
            "events",
            "--types",
            "project.*",
            "--after",
            "0",
            "--limit",
            "500",
            "--json",
        ],
    );
    assert_eq!(people.json()["events"], json!(orders[0]));
}

#[test]
fn events_page_is_truncated_only_when_more_events_match() {
    let world = World::new();
    let ada = world.session("ada");
    for _ in 0..2 {
        ada.call("events", json!({ "action": "emit", "type": "project.a" }));
        ada.call("state", json!({ "action": "set", "key": "k", "value": 1 }));
    }
    let reads = |after: &Value| {
        let page = ada.call(
            "events",
            json!({ "types": ["project.a"], "limit": 1, "after": after }),
        );
        assert_eq!(page["events"].as_array().unwrap().len(), 1, "{page}");
        (page["truncated"].clone(), page["next"].clone())
    };
    let (truncated, next) = reads(&json!(0));
    assert_eq!(truncated, true);
    let (truncated, next) = reads(&next);
    assert_eq!(truncated, Value::Null);
    // Events that arrived meanwhile are not skipped.
    ada.call("events", json!({ "action": "emit", "type": "project.a" }));
    reads(&next);
}
