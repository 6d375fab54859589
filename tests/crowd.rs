//! Many real processes at once: nobody loses an answer, nobody gets another's, nobody finds half a file.
use serde_json::json;

use crate::world::World;

#[test]
fn twenty_sessions_ask_one_peer_and_each_gets_its_own_answer() {
    let world = World::new();
    let answerer = world.session("answerer");
    let askers: Vec<_> = (0..20)
        .map(|number| world.session(&format!("asker{number}")))
        .collect();
    let asks: Vec<_> = askers
        .iter()
        .enumerate()
        .map(|(number, asker)| {
            asker.start(
                "ask_peer",
                json!({ "to": "answerer", "question": format!("{number}?") }),
            )
        })
        .collect();
    let mut answered = 0;
    crate::world::within("twenty questions are answered", || {
        for question in answerer.questions() {
            let text = question["question"]
                .as_str()
                .unwrap()
                .trim_end_matches('?')
                .to_owned();
            answerer.replies(
                question["question_id"].as_str().unwrap(),
                &format!("answer to {text}"),
            );
            answered += 1;
        }
        answered == 20
    });
    for (number, ask) in asks.iter().enumerate() {
        assert_eq!(ask.result()["answer"], format!("answer to {number}"));
    }
}

#[test]
fn fifty_processes_open_a_missing_database_and_all_sit_down() {
    let world = World::new();
    let windows: Vec<_> = (0..50)
        .map(|number| world.window(&format!("p{number}"), &[]))
        .collect();
    std::thread::scope(|scope| {
        for window in &windows {
            scope.spawn(|| window.hook("SessionStart", json!({ "source": "startup" })));
        }
    });
    let looker = world.session("looker");
    let peers = looker.call("list_peers", json!({}))["peers"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(peers, 50);
    let stray: Vec<_> = std::fs::read_dir(world.home().join(".claude-mesh"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".new-"))
        .collect();
    assert_eq!(stray, Vec::<String>::new());
}

#[test]
fn sessions_that_start_together_in_one_project_get_different_seats() {
    let world = World::new();
    let windows: Vec<_> = (0..12).map(|_| world.window("api", &[])).collect();
    std::thread::scope(|scope| {
        for window in &windows {
            scope.spawn(|| {
                window.hook("SessionStart", json!({ "source": "startup" }));
                window.discover();
            });
        }
    });
    let mut names: Vec<String> = windows.iter().map(crate::world::Session::name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 12);
    assert!(
        names.contains(&"api".to_owned()) && names.contains(&"api-12".to_owned()),
        "{names:?}"
    );
}

#[test]
fn writers_killed_in_the_middle_leave_a_sound_file_and_no_lost_question() {
    let world = World::new();
    let bo = world.session("bo");
    let mut asked = Vec::new();
    for round in 0..12 {
        let ada = world.session("ada");
        let sure = ada.start(
            "ask_peer",
            json!({ "to": "bo", "question": format!("sure {round}") }),
        );
        sure.wait_for_progress("bo: stored");
        asked.push(format!("sure {round}"));
        for burst in 0..8 {
            ada.start(
                "ask_peer",
                json!({ "to": "bo", "question": format!("maybe {round} {burst}") }),
            );
        }
        ada.kill();
    }
    let waiting: Vec<String> = bo
        .questions()
        .iter()
        .map(|question| question["question"].as_str().unwrap().to_owned())
        .collect();
    for question in asked {
        assert!(waiting.contains(&question), "lost: {question}");
    }
    let mut sorted = waiting.clone();
    sorted.dedup();
    assert_eq!(sorted.len(), waiting.len(), "none twice");
    let connection = rusqlite::Connection::open(world.database()).unwrap();
    let sound: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
}

#[test]
fn a_hook_does_not_wait_for_a_lock_that_is_held() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    ask.wait_for_progress("bo: stored");
    let holder = rusqlite::Connection::open(world.database()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let attached = bo
        .prompt("t1")
        .expect("printed though it could not be marked");
    assert!(attached.contains("which port?"));
    let log = std::fs::read_to_string(world.home().join(".claude-mesh/faults.log")).unwrap();
    assert!(log.contains("shown, but not marked"), "{log}");
    holder.execute_batch("ROLLBACK").unwrap();
    let question = &bo.questions()[0];
    assert_eq!(
        question["shown_times"], 1,
        "the unmarked showing is not claimed"
    );
}

#[test]
fn of_messages_that_many_processes_post_at_once_none_is_lost_none_comes_twice_and_all_read_one_order()
 {
    const WRITERS: usize = 8;
    const EACH: usize = 250;
    let world = World::new();
    let readers = [world.session("reader"), world.session("other")];
    for reader in &readers {
        reader.call("subscribe", json!({ "topics": ["all"] }));
    }
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| world.session(&format!("writer{number}")))
        .collect();
    std::thread::scope(|scope| {
        for writer in &writers {
            scope.spawn(move || {
                for number in 0..EACH {
                    let posted =
                        writer.call("post", json!({ "to": "#all", "body": number.to_string() }));
                    assert_eq!(posted["recipients"], 2, "{posted}");
                }
            });
        }
    });
    let [first, second] = readers.each_ref().map(|reader| {
        let (mut all, mut after) = (Vec::new(), serde_json::Value::Null);
        loop {
            let page = reader.call("list_messages", json!({ "limit": 100, "after": after }));
            assert_eq!(page["unread"], WRITERS * EACH);
            let page = page["messages"].as_array().unwrap().clone();
            let Some(last) = page.last() else { return all };
            after = last["message_id"].clone();
            all.extend(page);
        }
    });
    assert_eq!(first, second, "one order for all");
    let mut next = std::collections::HashMap::new();
    for message in &first {
        let from = message["from"].as_str().unwrap().to_owned();
        let number: usize = message["body"].as_str().unwrap().parse().unwrap();
        let expected = next.entry(from).or_insert(0);
        assert_eq!(number, *expected, "each once, in the order of its writer");
        *expected += 1;
    }
    assert_eq!(first.len(), WRITERS * EACH);
}
