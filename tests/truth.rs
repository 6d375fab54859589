//! What is told of the way of a question, whatever fails on it: `delivery`, progress, the log.
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;
use std::time::Instant;

use claude_mesh::mesh::{Attention, Letterbox, Member, Rewake};
use claude_mesh::model::peer::Address;
use claude_mesh::model::throttle::NeedsPerson;
use claude_mesh::model::{Activity, Delivery, Event, WakeState};
use claude_mesh::platform::id::QuestionId;
use claude_mesh::platform::process;
use serde_json::{Value, json};

use crate::ring::{Rung, SERVER, asks, attached};
use crate::time::{Days, does};
use crate::world::{Session, World, program, within};

/// Has a member ask another, and waits for nothing.
#[track_caller]
fn asked(from: &mut Member, to: &str, text: &str) -> QuestionId {
    let to = Address::parse(to).unwrap();
    from.ask(&to, text, None).unwrap().0.question
}

/// There is nothing to do, for so long at most.
fn rests(after_ms: Option<i64>) -> Attention {
    Attention::Rest {
        after_ms,
        needs_person: None,
    }
}

/// The server of a member looks after it, as at every ring of its bell.
fn attends(member: &mut Member) -> Attention {
    let me = member.sitting().clone();
    member.mesh().attend(&me, || Letterbox::Open).unwrap()
}

/// The same where a line is due.
#[track_caller]
fn rings(member: &mut Member) {
    let attention = attends(member);
    assert!(matches!(attention, Attention::Post { .. }), "{attention:?}");
}

/// Returns how far a question came, as its asker is told.
fn delivery(asker: &mut Member, id: QuestionId) -> Delivery {
    asker.mesh().standings(&[id]).unwrap()[0].delivery.clone()
}

/// Returns what the log says of waking: which kind, the number of the ring, and whether the question rides on it.
fn wakes(member: &mut Member) -> Vec<(String, Value, Value)> {
    let is_wake = |event: &Event| {
        ["rung", "queued", "not_woken"]
            .iter()
            .any(|end| event.kind.ends_with(end))
    };
    let wakes = Days::events(member).into_iter().filter(is_wake);
    wakes
        .map(|event| {
            let data = &event.data;
            (event.kind, data["ring"].clone(), data["rides"].clone())
        })
        .collect()
}

#[test]
fn the_log_tells_each_ring_and_what_came_of_it() {
    let days = Days::new();
    let mut world = World::new();
    let database = days.place.path().join("mesh.db");
    world.set("MESH_DB_PATH", database.to_str().unwrap());
    let (mut ada, mut bo) = (days.member("ada", 1), days.member("bo", 2));
    does(&mut bo, "idle");
    let id = asked(&mut ada, "bo", "which port?");
    rings(&mut bo);
    days.clock.advance_ms(3_000);
    rings(&mut bo);
    days.clock.advance_ms(3_000);
    assert_eq!(attends(&mut bo), rests(None));
    let told = delivery(&mut ada, id);
    assert_eq!(told.wake, WakeState::Failed);
    let rung = |ring: u32| ("question.rung".to_owned(), json!(ring), json!(false));
    let not_woken = ("question.not_woken".to_owned(), Value::Null, Value::Null);
    assert_eq!(wakes(&mut ada), [rung(1), rung(2), not_woken]);

    let log = |peer: &str| world.cli(&world.home(), &["log", "--peer", peer]).out;
    for told in [
        format!("bo is rung for the question of ada  {id}\n"),
        format!("bo is rung once more for the question of ada  {id}\n"),
        format!(
            "bo was not woken for the question of ada: the session was rung twice and did not start a turn  {id}\n"
        ),
    ] {
        assert!(log("ada").contains(&told), "{told} in {}", log("ada"));
        assert!(log("bo").contains(&told), "{told} in {}", log("bo"));
    }
}

#[test]
fn a_jump_of_the_wall_clock_makes_no_ring_early_or_late() {
    const HOUR_MS: i64 = 3_600_000;
    for jump_ms in [-HOUR_MS, HOUR_MS] {
        let days = Days::new();
        let (mut ada, mut bo) = (days.member("ada", 1), days.member("bo", 2));
        does(&mut bo, "idle");
        let id = asked(&mut ada, "bo", "which port?");
        rings(&mut bo);
        days.clock.jump_wall_ms(jump_ms);
        days.clock.advance_ms(2_999);
        let waits = rests(Some(1));
        assert_eq!(attends(&mut bo), waits);
        days.clock.advance_ms(1);
        rings(&mut bo);
        days.clock.jump_wall_ms(jump_ms);
        assert!(matches!(
            attends(&mut bo),
            Attention::Rest {
                after_ms: Some(_),
                ..
            }
        ));
        assert_eq!(delivery(&mut ada, id).wake, WakeState::Inbox);
        days.clock.advance_ms(3_000);
        attends(&mut bo);
        assert_eq!(delivery(&mut ada, id).wake, WakeState::Failed);
    }
}

#[test]
fn a_jump_of_the_wall_clock_holds_up_no_hook_that_waits() {
    let days = Days::new();
    let (mut ada, mut bo) = (days.member("ada", 1), days.member("bo", 2));
    does(&mut bo, "idle");
    asked(&mut ada, "bo", "which port?");
    rings(&mut bo);
    days.clock.jump_wall_ms(-3_600_000);
    let me = bo.sitting().clone();
    let mut hook = || bo.mesh().rewake(&me).unwrap();
    let after_ms = Some(3_000);
    assert_eq!(hook(), Rewake::Wait { after_ms }, "the line goes first");
    days.clock.advance_ms(3_000);
    assert_eq!(hook(), Rewake::Now);
}

#[test]
fn the_log_tells_that_a_busy_session_is_rung_once_and_what_rides_on_it() {
    let days = Days::new();
    let mut world = World::new();
    let database = days.place.path().join("mesh.db");
    world.set("MESH_DB_PATH", database.to_str().unwrap());
    let [mut ada, mut bo, mut cy] =
        [("ada", 1), ("bo", 2), ("cy", 3)].map(|(name, instance)| days.member(name, instance));
    does(&mut bo, "busy");
    asked(&mut ada, "bo", "which port?");
    rings(&mut bo);
    let second = asked(&mut cy, "bo", "which schema?");
    let waits = attends(&mut bo);
    assert!(
        matches!(
            waits,
            Attention::Rest {
                after_ms: Some(_),
                ..
            }
        ),
        "{waits:?}"
    );
    attends(&mut bo);
    let queued = |rides: bool| ("question.queued".to_owned(), json!(1), json!(rides));
    assert_eq!(wakes(&mut ada), [queued(false), queued(true)]);
    assert_eq!(delivery(&mut cy, second).wake, WakeState::Queued);
    let log = world.cli(&world.home(), &["log"]).out;
    for told in [
        "bo is rung for the question of ada, and reads it with its next step  ",
        "the question of cy rides on the ring that is out for bo  ",
    ] {
        assert!(log.contains(told), "{log}");
    }
}

#[test]
fn the_log_tells_what_else_a_session_is_rung_for() {
    let days = Days::new();
    let mut world = World::new();
    let database = days.place.path().join("mesh.db");
    world.set("MESH_DB_PATH", database.to_str().unwrap());
    let mut bo = days.member("bo", 2);
    does(&mut bo, "idle");
    let alert = ["post", "bo", "the disk is full", "--type", "alert"];
    assert_eq!(world.cli(&world.home(), &alert).code, Some(0));
    for _ in 0..2 {
        rings(&mut bo);
        days.clock.advance_ms(3_000);
    }
    attends(&mut bo);
    let kinds: Vec<String> = wakes(&mut bo).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, ["peer.rung", "peer.rung", "peer.not_woken"]);
    let log = world.cli(&world.home(), &["log"]).out;
    for told in [
        "  bo is rung for a message\n",
        "  bo is rung once more for a message\n",
        "  bo was not woken for a message: the session was rung twice",
    ] {
        assert!(log.contains(told), "{told} in {log}");
    }
}

#[test]
fn an_ask_in_a_sessions_shell_that_is_interrupted_tells_how_far_its_question_came() {
    let world = World::new();
    let (bo, _cy) = (world.session("bo"), world.session("cy"));
    let folder = world.project("ada");
    let made = world.command("mkfifo", &folder).arg("go").status();
    assert!(made.unwrap().success());
    let script = format!(
        "(read go < go; exec \"{}\" ask cy 'which schema?' --json > asked) & \"$SERVER\"; :",
        program("claude-mesh")
    );
    let ada = world.window_of("ada", &[], "/bin/sh", &script);
    ada.register("busy");
    ada.hook("SessionStart", json!({ "source": "startup" }));
    ada.discover();
    ada.call("mesh_status", json!({}));
    std::fs::write(folder.join("go"), "go\n").unwrap();
    within("it is asked", || {
        let open = "SELECT count(*) FROM wait_question";
        let count: i64 = world.rows().query_row(open, [], |row| row.get(0)).unwrap();
        count == 1
    });
    let _asks = asks(&bo, "ada", "which port?");
    let asked = || std::fs::read_to_string(folder.join("asked")).unwrap();
    within("it is interrupted", || asked().ends_with("}\n"));
    let interrupted: Value = serde_json::from_str(&asked()).unwrap();
    assert_eq!(interrupted["status"], "interrupted", "{interrupted}");
    assert_eq!(interrupted["questions"][0]["question"], "which port?");
    let delivery = &interrupted["answers"][0]["delivery"];
    assert!(delivery["stored_at"].is_string(), "{interrupted}");
    assert_eq!(delivery["shown_times"], 0);
}

#[test]
fn an_interrupted_wait_tells_how_far_its_own_questions_came() {
    let world = World::new();
    let [ada, bo, cy, dee] = ["ada", "bo", "cy", "dee"].map(|name| world.session(name));
    let waits = asks(&ada, "cy", "which schema?");
    waits.wait_for_progress("cy: stored");
    assert!(cy.prompt("t1").unwrap().contains("which schema?"));
    waits.wait_for_progress("cy: shown");
    let _asks = asks(&bo, "ada", "which port?");
    let interrupted = waits.result();
    assert_eq!(interrupted["status"], "interrupted");
    let delivery = &interrupted["delivery"];
    assert_eq!(
        (&delivery["wake"], &delivery["shown_times"]),
        (&json!("hook"), &json!(1)),
        "{interrupted}"
    );
    assert!(delivery["stored_at"].is_string() && delivery["shown_at"].is_string());
    ada.replies(&ada.next_question(), "5433");

    let question = json!({ "to": ["cy", "dee"], "question": "which table?" });
    let waits = ada.start("ask_peer", question);
    waits.wait_for_progress("dee: stored");
    let _asks = asks(&bo, "ada", "which host?");
    let interrupted = waits.result();
    assert_eq!(interrupted["status"], "interrupted");
    let shown: Vec<&Value> = interrupted["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["delivery"]["shown_times"])
        .collect();
    assert_eq!(shown, [&json!(0), &json!(0)], "{interrupted}");
    drop((cy, dee));
}

/// Asks an idle session that no line reaches. Returns the reason, as progress and result tell it.
#[track_caller]
fn why_not_woken(ada: &Session, to: &str) -> String {
    let ask = ada.start(
        "ask_peer",
        json!({ "to": to, "question": "which port?", "timeout_seconds": 1 }),
    );
    let told = ask.wait_for_progress("not woken");
    let delivery = &ask.result()["delivery"];
    assert_eq!(delivery["wake"], "failed");
    assert_eq!(delivery["shown_times"], 0);
    let problem = delivery["wake_problem"].as_str().unwrap().to_owned();
    assert!(told.contains(&problem), "{told}: {problem}");
    problem
}

#[test]
fn an_asker_is_told_that_the_settings_of_the_peer_refuse_lines() {
    let world = World::new();
    let ada = world.session("ada");
    let socket = world.home().join("bo.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let socket = ("CLAUDE_CODE_MESSAGING_SOCKET", socket.to_str().unwrap());
    let bo = world.session_with("bo", &[socket]);
    bo.register("idle");
    let problem = why_not_woken(&ada, "bo");
    assert!(
        problem.starts_with("its inbox socket refused the line: ") && !problem.contains("likely"),
        "{problem}"
    );
    drop(bo);

    let refusing = r#"{ "crossSessionInbound": "refuse" }"#;
    let settings = world.write("bo/.claude/settings.json", refusing);
    let bo = world.session_with("bo", &[socket]);
    bo.register("idle");
    let problem = why_not_woken(&ada, "bo");
    let likely = format!(
        "; likely because crossSessionInbound is \"refuse\" in {}",
        settings.display()
    );
    assert!(problem.ends_with(&likely), "{problem}");
}

#[test]
fn an_asker_is_told_that_the_client_of_the_peer_is_too_old_to_be_woken() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    bo.register_with("idle", json!({ "version": "2.1.200" }));
    let problem = why_not_woken(&ada, "bo");
    assert!(problem.contains("no inbox socket"), "{problem}");
    let likely =
        "; likely because its Claude Code is 2.1.200, and such lines are taken from 2.1.224 on";
    assert!(problem.ends_with(likely), "{problem}");
}

#[test]
fn a_session_whose_settings_refuse_lines_is_told_so_after_the_second_ring() {
    let days = Days::new();
    let home = days.place.path().join("home");
    let mut ada = days.member("ada", 1);
    let mut bo = days.member_with("bo", 2, Some(home.clone()));
    let own = process::stat(process::own_pid()).unwrap().key;
    let entry = json!({ "procStart": own.started.to_string(), "status": "idle" });
    std::fs::create_dir_all(home.join("sessions")).unwrap();
    let file = home.join(format!("sessions/{}.json", own.pid));
    std::fs::write(file, entry.to_string()).unwrap();
    let settings = home.join("settings.json");
    std::fs::write(&settings, r#"{ "crossSessionInbound": "refuse" }"#).unwrap();
    let id = asked(&mut ada, "bo", "which port?");
    for _ in 0..2 {
        rings(&mut bo);
        days.clock.advance_ms(3_000);
    }
    attends(&mut bo);
    let problem = format!(
        "the session was rung twice and did not start a turn; likely because crossSessionInbound is \"refuse\" in {}",
        settings.display()
    );
    assert_eq!(delivery(&mut ada, id).wake_problem, Some(problem));
}

#[test]
fn a_line_that_the_client_drops_is_posted_again_and_never_called_failed() {
    let world = World::new();
    let ada = world.session("ada");
    let mut first = true;
    let bo = Rung::open_as(&world, "bo", "idle", &[], SERVER, move || {
        !std::mem::replace(&mut first, false)
    });
    let ask = asks(&ada, "bo", "which port?");
    let line = bo.bell();
    assert!(attached(&bo.reads(&line, "t1")).contains("which port?"));
    ask.wait_for_progress("bo: shown");
    let told = ada.progress(ask.id);
    assert!(!told.iter().any(|it| it.contains("not woken")), "{told:?}");
    let log = world.cli(&world.home(), &["log"]).out;
    assert!(log.contains("bo is rung once more"), "{log}");
}

#[test]
fn lines_are_posted_no_faster_than_the_inbox_takes_them() {
    let mut world = World::new();
    world.set("CLAUDE_MESH_WAKE_BUDGET", "1000");
    let ada = world.session("ada");
    let (mut room, mut then) = (25.5_f64, Instant::now());
    let bo = Rung::open_as(&world, "bo", "idle", &[], SERVER, move || {
        room = (room + then.elapsed().as_secs_f64() * 0.5).min(25.5) - 1.0;
        then = Instant::now();
        room >= 0.0
    });
    for turn in 1..=27 {
        bo.session.register("idle");
        let ask = asks(&ada, "bo", &format!("question {turn}"));
        let line = bo.bell();
        assert!(attached(&bo.reads(&line, &format!("t{turn}"))).contains("question"));
        bo.session.replies(&bo.session.next_question(), "yes");
        assert_eq!(ask.result()["status"], "answered");
    }
    let read = json!({ "types": ["question.rung", "question.not_woken"], "after": 0 });
    let rings = ada.call("events", read);
    let rings = rings["events"].as_array().unwrap();
    assert_eq!(rings.len(), 27);
    assert!(rings.iter().all(|it| it["data"]["ring"] == 1), "{rings:?}");
}

#[test]
fn where_the_inbox_is_full_the_line_waits_and_nothing_is_said_of_a_ring() {
    let days = Days::new();
    let (mut ada, mut bo) = (days.member("ada", 1), days.member("bo", 2));
    does(&mut bo, "idle");
    let id = asked(&mut ada, "bo", "which port?");
    let me = bo.sitting().clone();
    let full = |for_ms| move || Letterbox::Full { for_ms };
    for for_ms in [2_000, 1_000] {
        let waits = rests(Some(for_ms));
        assert_eq!(bo.mesh().attend(&me, full(for_ms)).unwrap(), waits);
        assert_eq!(delivery(&mut ada, id).wake, WakeState::None);
        days.clock.advance_ms(60_000);
    }
    rings(&mut bo);
    days.clock.advance_ms(60_000);
    bo.mesh().attend(&me, full(2_000)).unwrap();
    assert_eq!(delivery(&mut ada, id).wake, WakeState::Inbox);
    rings(&mut bo);
    days.clock.advance_ms(3_000);
    attends(&mut bo);
    assert_eq!(delivery(&mut ada, id).wake, WakeState::Failed);
}

#[test]
fn a_session_at_work_without_an_inbox_is_not_called_failed_before_it_is_idle() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    bo.register("busy");
    let ask = asks(&ada, "bo", "which port?");
    let told = ask.wait_for_progress("bo: ");
    assert!(told.ends_with("not shown yet, working"), "{told}");
    bo.register("idle");
    ask.wait_for_progress("not woken: its Claude Code has no inbox socket");
    let log = world.cli(&world.home(), &["log"]).out;
    assert!(!log.contains("is rung"), "{log}");
}

/// Returns how far the only open question came, as everybody sees it while its asker waits.
#[track_caller]
fn way(world: &World) -> Value {
    let open = world
        .cli(&world.home(), &["inbox", "--all", "--json"])
        .json();
    let [question] = open["questions"].as_array().unwrap().as_slice() else {
        panic!("{open}");
    };
    question["delivery"].clone()
}

#[test]
fn of_two_calls_of_one_session_the_newer_one_is_interrupted_and_the_other_gets_its_answer() {
    let world = World::new();
    let [ada, bo, cy] = ["ada", "bo", "cy"].map(|name| world.session(name));
    let older = asks(&ada, "cy", "which schema?");
    older.wait_for_progress("cy: stored");
    let newer = asks(&ada, "cy", "which table?");
    newer.wait_for_progress("cy: stored");
    let asked = asks(&bo, "ada", "which port?");
    let interrupted = newer.result();
    assert_eq!(interrupted["status"], "interrupted");
    assert_eq!(interrupted["questions"][0]["question"], "which port?");
    asked.wait_for_progress("ada: shown");
    assert!(older.is_open());
    ada.replies(&ada.next_question(), "5433");
    assert_eq!(asked.result()["answer"], "5433");
    for question in cy.questions() {
        cy.replies(question["question_id"].as_str().unwrap(), "public");
    }
    assert_eq!(older.result()["answer"], "public");
    let id = interrupted["question_id"].clone();
    let await_reply = json!({ "question_id": id });
    assert_eq!(ada.call("await_reply", await_reply)["answer"], "public");
}

#[test]
fn a_session_that_is_busy_or_at_a_dialog_for_a_minute_is_never_called_failed() {
    for activity in ["busy", "waiting"] {
        let days = Days::new();
        let (mut ada, mut bo) = (days.member("ada", 1), days.member("bo", 2));
        does(&mut bo, activity);
        let id = asked(&mut ada, "bo", "which port?");
        rings(&mut bo);
        for _ in 0..30 {
            days.clock.advance_ms(2_000);
            let waits = Attention::Rest {
                after_ms: Some(2_000),
                needs_person: (activity == "waiting").then_some(NeedsPerson::Dialog),
            };
            assert_eq!(attends(&mut bo), waits, "one line is enough");
            let told = delivery(&mut ada, id);
            assert_eq!((told.wake, told.shown_at_ms), (WakeState::Queued, None));
            assert_eq!(told.peer_activity, Activity::of(activity));
        }
        // Its turn has ended, and nobody has read the line: now it counts.
        does(&mut bo, "idle");
        rings(&mut bo);
        assert_eq!(delivery(&mut ada, id).wake, WakeState::Inbox);
    }
}

#[test]
fn a_hook_that_is_killed_before_its_words_were_read_loses_no_question() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    bo.register("busy");
    let ask = asks(&ada, "bo", "which port?");
    ask.wait_for_progress("bo: stored");
    // Nobody reads what the hook says: it hangs with it, after its commit.
    let (_reader, mut full) = UnixStream::pair().unwrap();
    full.set_nonblocking(true).unwrap();
    while full.write(&[0; 4096]).is_ok() {}
    full.set_nonblocking(false).unwrap();
    let mut hook = bo
        .hook_command("claude-mesh-inbox-poll")
        .stdin(Stdio::piped())
        .stdout(OwnedFd::from(full))
        .spawn()
        .unwrap();
    let id = bo.client_session.lock().unwrap().clone();
    let prompt = json!({
        "hook_event_name": "UserPromptSubmit", "session_id": id, "prompt": "go on", "prompt_id": "t1",
    });
    let mut stdin = hook.stdin.take().unwrap();
    stdin.write_all(prompt.to_string().as_bytes()).unwrap();
    drop(stdin);
    within("it is committed", || way(&world)["shown_times"] == 1);
    hook.kill().unwrap();
    hook.wait().unwrap();

    let told = way(&world);
    assert_eq!(
        (&told["wake"], &told["shown_times"]),
        (&json!("hook"), &json!(1))
    );
    assert!(ask.is_open());
    let kept = bo.stop("t1", false).unwrap();
    assert!(kept.contains("which port?"), "the end of that turn: {kept}");
    assert_eq!(way(&world)["shown_times"], 2);
    let brought = bo.prompt("t2").unwrap();
    assert!(brought.contains("which port?"), "the next turn: {brought}");
    bo.replies(&bo.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}

#[test]
fn a_model_that_ignores_a_question_has_been_shown_it_and_nothing_more() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = Rung::open(&world, "bo", "idle");
    let ask = asks(&ada, "bo", "which port?");
    let line = bo.bell();
    assert_eq!(
        (&way(&world)["wake"], &way(&world)["shown_times"]),
        (&json!("inbox"), &json!(0))
    );
    bo.reads(&line, "t1");
    let is_shown = |way_of: &str, times: u32| {
        let told = way(&world);
        let (wake, shown) = (&told["wake"], &told["shown_times"]);
        assert_eq!((wake, shown), (&json!(way_of), &json!(times)));
        assert_eq!(told["wake_problem"], Value::Null);
        assert!(ask.is_open());
    };
    is_shown("inbox", 1);
    assert!(bo.session.stop("t1", false).is_some());
    is_shown("hook", 2);
    assert!(bo.session.stop("t1", true).is_some());
    is_shown("hook", 3);
    assert_eq!(bo.session.stop("t1", true), None, "it lets go");
    bo.session.register("idle");
    assert!(bo.session.prompt("t2").unwrap().contains("which port?"));
    is_shown("hook", 4);
    assert!(bo.session.stop("t2", false).is_some());
    is_shown("hook", 5);
    assert_eq!(bo.session.stop("t2", true), None);
    let recalled = bo.session.prompt("t3").unwrap();
    assert!(recalled.contains("01"), "a line of it: {recalled}");
    let told = ask.wait_for_progress("bo: shown");
    assert!(told.starts_with("bo: shown "), "{told}");
    bo.session.replies(&bo.session.next_question(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
}
