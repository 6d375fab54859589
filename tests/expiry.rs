//! Expiry under a manual clock: questions expire, old rows are removed, the event log keeps one order.
use std::process::{Command, Stdio};
use std::time::Duration;

use claude_mesh::mesh::{EraseOutcome, JoinRequest, Member, PeerScope, Reply, TaskFields};
use claude_mesh::model::peer::Address;
use claude_mesh::model::{Liveness, QuestionState, Refusal};
use claude_mesh::platform::process;

use crate::support::{DAY_MS, MeshFixture, all_events, bo, set_session_activity, skip};

#[test]
fn question_expires_after_seven_days_and_takes_a_late_answer() {
    let fixture = MeshFixture::new();
    let (mut ada, mut bo_member) = (fixture.member("ada", 1), fixture.member("bo", 2));
    let (asked, wait) = ada.ask(&bo(), "which port?", None).unwrap();
    let handle = ada.handle().clone();
    ada.mesh()
        .abandon_wait(&handle, &wait.unwrap(), &[])
        .unwrap();
    fixture.clock.advance_ms(7 * DAY_MS - 1);
    let handle = bo_member.handle().clone();
    assert_eq!(bo_member.mesh().inbox(&handle).unwrap().questions.len(), 1);
    fixture.clock.advance_ms(1);
    assert!(bo_member.mesh().inbox(&handle).unwrap().is_empty());
    ada.mesh().sweep().unwrap();
    let state = |ada: &mut Member| {
        ada.mesh().question_statuses(&[asked.question]).unwrap()[0]
            .question
            .state
    };
    assert_eq!(state(&mut ada), QuestionState::Expired);
    assert!(MeshFixture::kinds(&mut ada).contains(&"question.expired".to_owned()));
    let handle = ada.handle().clone();
    let notice = ada.mesh().inbox(&handle).unwrap().answers;
    assert_eq!(notice.len(), 1, "the asker is notified that no answer came");
    assert_eq!(notice[0].question.state, QuestionState::Expired);
    let replied = bo_member.answer(asked.question, "5433").unwrap();
    assert!(replied.late);
    assert_eq!(state(&mut ada), QuestionState::Answered);
}

#[test]
fn late_answer_is_listed_until_a_day_after_its_delivery() {
    let fixture = MeshFixture::new();
    let mut ada = fixture.member("ada", 1);
    drop(fixture.member("bo", 2));
    let (asked, _) = ada.ask(&bo(), "which port?", None).unwrap();
    fixture
        .member("bo", 2)
        .answer(asked.question, "5433")
        .unwrap();
    let handle = ada.handle().clone();
    fixture.clock.advance_ms(20 * DAY_MS);
    let inbox = ada.mesh().inbox(&handle).unwrap();
    assert_eq!(
        inbox.answers.len(),
        1,
        "an undelivered answer stays in the inbox"
    );
    ada.mesh()
        .mark_delivered(&handle, &inbox, None, claude_mesh::model::WakeState::Call)
        .unwrap();
    fixture.clock.advance_ms(DAY_MS);
    assert_eq!(ada.mesh().inbox(&handle).unwrap().answers.len(), 1);
    fixture.clock.advance_ms(1);
    assert_eq!(ada.mesh().inbox(&handle).unwrap().answers.len(), 0);
    assert_eq!(
        ada.mesh().question_statuses(&[asked.question]).unwrap()[0]
            .question
            .answer
            .as_deref(),
        Some("5433")
    );
}

// Requirement: Mesh 15
#[test]
fn closed_questions_are_removed_after_thirty_days() {
    let fixture = MeshFixture::new();
    let (mut ada, mut bo_member) = (fixture.member("ada", 1), fixture.member("bo", 2));
    let (old, _) = ada.ask(&bo(), "which port?", None).unwrap();
    bo_member.answer(old.question, "5433").unwrap();
    fixture.clock.advance_ms(29 * DAY_MS);
    let (open, _) = ada.ask(&bo(), "which schema?", None).unwrap();
    assert!(ada.mesh().sweep().unwrap().is_empty());
    fixture.clock.advance_ms(DAY_MS + 1);
    let reclaimed = ada.mesh().sweep().unwrap();
    assert_eq!(reclaimed.questions, 1);
    assert!(reclaimed.events >= 3);
    assert!(ada.mesh().question_statuses(&[old.question]).is_err());
    assert_eq!(
        ada.mesh().question_statuses(&[open.question]).unwrap()[0]
            .question
            .state,
        QuestionState::Open
    );
}

// Requirement: Beyond 4, Beyond 7
#[test]
fn event_log_has_every_step_of_a_question_in_order() {
    let fixture = MeshFixture::new();
    let (mut ada, mut bo_member) = (fixture.member("ada", 1), fixture.member("bo", 2));
    let (first, wait) = ada.ask(&bo(), "which port?", None).unwrap();
    bo_member.next_questions(Duration::ZERO).unwrap();
    bo_member.answer(first.question, "5433").unwrap();
    let handle = ada.handle().clone();
    ada.wait(&wait.unwrap(), Duration::ZERO, |_| true).unwrap();
    let (second, wait) = ada.ask(&bo(), "which schema?", None).unwrap();
    ada.mesh()
        .abandon_wait(&handle, &wait.unwrap(), &[second.question])
        .unwrap();
    drop(bo_member);
    let order = [
        "peer.joined",
        "peer.joined",
        "question.asked",
        "question.shown",
        "question.answered",
        "question.asked",
        "question.withdrawn",
        "peer.left",
    ];
    assert_eq!(MeshFixture::kinds(&mut ada), order);
    let events = ada.mesh().events(&all_events()).unwrap().events;
    assert!(events.is_sorted_by_key(|event| event.seq));
    assert_eq!(events[2].by, "ada");
    assert_eq!(events[2].subject, first.question.to_string());
}

#[test]
fn erased_question_leaves_no_text_in_the_database() {
    let fixture = MeshFixture::new();
    let (mut ada, mut bo_member) = (fixture.member("ada", 1), fixture.member("bo", 2));
    let marker = "xyzzy-leaked-marker";
    let (asked, _) = ada
        .ask(&bo(), &format!("is {marker} right?"), Some(marker))
        .unwrap();
    bo_member
        .answer(asked.question, &format!("{marker}, yes"))
        .unwrap();
    let me = ada.handle().clone();
    let mut erase = || ada.mesh().erase_question(&me, asked.question).unwrap();
    assert_eq!(
        [erase(), erase()],
        [EraseOutcome::Erased, EraseOutcome::NotFound]
    );
    for name in ["mesh.db", "mesh.db-wal"] {
        let content = std::fs::read(fixture.place.path().join(name)).unwrap_or_default();
        let found = content
            .windows(marker.len())
            .any(|window| window == marker.as_bytes());
        assert!(!found, "{name} still has the text");
    }
}

#[test]
fn erased_correction_leaves_no_text_in_free_pages() {
    let fixture = MeshFixture::new();
    if fixture.is_served() {
        return skip(
            "free pages",
            "a database server has no file that could be read",
        );
    }
    let (mut ada, mut bo_member) = (fixture.member("ada", 1), fixture.member("bo", 2));
    for number in 0..60 {
        let text = format!("{number} {}", "x".repeat(60_000));
        let (asked, _) = ada.ask(&bo(), &text, Some(&text)).unwrap();
        bo_member.answer(asked.question, "yes").unwrap();
    }
    let (asked, _) = ada.ask(&bo(), "which one?", None).unwrap();
    let me = bo_member.handle().clone();
    for (text, corrects) in [
        ("xyzzy-leaked ".repeat(4_000), false),
        ("none".into(), true),
    ] {
        let reply = Reply {
            question: asked.question,
            text: &text,
            decline: false,
            corrects,
            force: false,
            fork: None,
        };
        bo_member.mesh().reply(&me, reply).unwrap();
    }
    let rows = rusqlite::Connection::open(fixture.place.path().join("mesh.db")).unwrap();
    rows.execute("DELETE FROM question WHERE question LIKE '%xxx'", [])
        .unwrap();
    let free = || rows.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
    assert!(free().unwrap() > 1_000);
    let me = ada.handle().clone();
    let erased = ada.mesh().erase_question(&me, asked.question).unwrap();
    assert_eq!(erased, EraseOutcome::Erased);
    assert_eq!(free().unwrap(), 0);
    for name in ["mesh.db", "mesh.db-wal"] {
        let content = std::fs::read(fixture.place.path().join(name)).unwrap_or_default();
        let found = content.windows(12).any(|window| window == b"xyzzy-leaked");
        assert!(!found, "{name} still has the text");
    }
}

// Requirement: Beyond 16
#[test]
fn chain_of_waiting_questions_is_limited_to_eight() {
    let fixture = MeshFixture::new();
    let mut members: Vec<Member> = (0..11)
        .map(|number| fixture.member(&format!("p{number}"), number + 1))
        .collect();
    for number in 0..10_usize {
        let to = Address::parse(&format!("p{}", number + 1)).unwrap();
        let asked = members[number].ask(&to, "and you?", None);
        if number < 9 {
            asked.unwrap();
            members[number + 1]
                .next_questions(std::time::Duration::ZERO)
                .unwrap();
        } else {
            let refused = asked.unwrap_err();
            assert!(
                matches!(
                    refused,
                    claude_mesh::model::Error::Refused(Refusal::RateLimited { .. })
                ),
                "{refused}"
            );
        }
    }
}

#[test]
fn without_hooks_an_answered_question_counts_for_an_hour() {
    let fixture = MeshFixture::new();
    let mut members = [fixture.member("ada", 1), fixture.member("bo", 2)];
    let names = ["ada", "bo"].map(|name| Address::parse(name).unwrap());
    let mut rounds = 0;
    loop {
        let (asker, other) = (rounds % 2, (rounds + 1) % 2);
        match members[asker].ask(&names[other], "and you?", None) {
            Ok((asked, wait)) => {
                let answerer = &mut members[other];
                answerer.next_questions(std::time::Duration::ZERO).unwrap();
                answerer.answer(asked.question, "and you?").unwrap();
                let asker = &mut members[asker];
                asker
                    .wait(&wait.unwrap(), std::time::Duration::ZERO, |_| true)
                    .unwrap();
                rounds += 1;
            }
            Err(refused) => {
                assert!(
                    refused
                        .to_string()
                        .contains("number 9 in a chain of questions"),
                    "{refused}"
                );
                break;
            }
        }
    }
    assert_eq!(rounds, 9);
    fixture.clock.advance_ms(3_600_000);
    let still = members[1].ask(&names[0], "and you?", None);
    assert!(still.is_err());
    fixture.clock.advance_ms(1);
    members[1].ask(&names[0], "and you?", None).unwrap();
}

/// Returns the liveness of a peer.
fn liveness(member: &mut Member, name: &str) -> Liveness {
    let views = member.mesh().peers(None, PeerScope::Machine, true).unwrap();
    let view = views.iter().find(|view| view.peer.name.as_str() == name);
    view.unwrap().liveness
}

#[test]
fn wall_clock_jump_changes_no_liveness() {
    for jump_ms in [-3_600_000, 3_600_000] {
        let fixture = MeshFixture::new();
        let (mut ada, _bo) = (fixture.member("ada", 1), fixture.member("bo", 2));
        let mut client = Command::new("/bin/cat")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(client.id()).unwrap();
        let key = process::stat(pid).unwrap().key;
        let project = fixture.place.path().join("cy");
        std::fs::create_dir_all(&project).unwrap();
        let mut request = JoinRequest::here(&project).unwrap();
        request.process = key;
        ada.mesh().register(&request).unwrap();
        assert_eq!(liveness(&mut ada, "cy"), Liveness::Alive);
        client.kill().unwrap();
        client.wait().unwrap();
        fixture.clock.jump_wall_ms(jump_ms);
        assert_eq!(liveness(&mut ada, "cy"), Liveness::Dead);
        assert_eq!(liveness(&mut ada, "bo"), Liveness::Alive);
        ada.mesh().record_dead_sessions().unwrap();
        let kinds = MeshFixture::kinds(&mut ada);
        let ends = kinds.iter().filter(|kind| *kind == "peer.died").count();
        assert_eq!(ends, 1, "{kinds:?}");
    }
}

#[test]
fn remote_session_is_stale_after_the_clock_was_set_back() {
    let fixture = MeshFixture::new();
    let (mut ada, mut bo) = (fixture.member("ada", 1), fixture.member("bo", 2));
    let id = bo.handle().session;
    fixture.rows().execute(&format!(
        "UPDATE session SET host = 'far', boot = 'far' WHERE id = '{id}'"
    ));
    assert_eq!(liveness(&mut ada, "bo"), Liveness::Alive);
    fixture.clock.jump_wall_ms(-3_600_000);
    assert_eq!(liveness(&mut ada, "bo"), Liveness::Stale);
    ada.mesh().record_dead_sessions().unwrap();
    assert!(!MeshFixture::kinds(&mut ada).contains(&"peer.died".to_owned()));
    set_session_activity(&mut bo, "idle");
    assert_eq!(
        liveness(&mut ada, "bo"),
        Liveness::Alive,
        "the session has reported again"
    );
}

#[test]
fn wake_retries_for_an_undelivered_question_back_off() {
    let fixture = MeshFixture::new();
    if fixture.is_served() {
        return skip(
            "doorbells at once",
            "a database server wakes by a notification, which comes later",
        );
    }
    let [mut ada, idle_peer, mut cy] =
        [("ada", 1), ("bo", 2), ("cy", 3)].map(|(name, instance)| fixture.member(name, instance));
    let doorbells = fixture.place.path().join("mesh.db.d/bells");
    let doorbell = doorbells
        .join(idle_peer.handle().session.to_string())
        .join("bell");
    let doorbell_was_written = || std::fs::remove_file(&doorbell).is_ok();
    ada.ask(&bo(), "which port?", None).unwrap();
    assert!(doorbell_was_written(), "the asker writes the doorbell");
    let handle = cy.handle().clone();
    let mut written_after = |ms| {
        fixture.clock.advance_ms(ms);
        cy.mesh().inbox(&handle).unwrap();
        doorbell_was_written()
    };
    assert!(!written_after(1_999));
    assert!(written_after(1), "the question is two seconds old");
    assert!(!written_after(0) && !written_after(1_999));
    assert!(written_after(1), "the question is four seconds old");
    assert!(!written_after(3_999));
    assert!(written_after(1), "the question is eight seconds old");
    let minutes = 7 * 24 * 60;
    let writes = (0..minutes).filter(|_| written_after(60_000)).count();
    assert!(
        (5..=20).contains(&writes),
        "the doorbell was written {writes} times in seven days"
    );
}

#[test]
fn question_for_an_offline_peer_causes_no_repeated_writes() {
    let fixture = MeshFixture::new();
    let [mut ada, mut cy] =
        [("ada", 1), ("cy", 3)].map(|(name, instance)| fixture.member(name, instance));
    drop(fixture.member("bo", 2));
    ada.ask(&bo(), "which port?", None).unwrap();
    fixture.clock.advance_ms(3_000);
    let rows = fixture.rows();
    let mut commit_mark_after_poll = || -> i64 {
        let handle = cy.handle().clone();
        cy.mesh().inbox(&handle).unwrap();
        rows.commit_mark()
    };
    let first = commit_mark_after_poll();
    for _ in 0..10 {
        assert_eq!(commit_mark_after_poll(), first);
    }
}

/// Returns the names of all peers, also of those without a session.
fn mailboxes(member: &mut Member) -> Vec<String> {
    let all = member.mesh().peers(None, PeerScope::Machine, true).unwrap();
    let names = all.iter().map(|view| view.peer.name.to_string());
    names.collect()
}

#[test]
fn unused_peer_of_a_deleted_folder_is_removed_after_30_days() {
    let fixture = MeshFixture::new();
    let mut ada = fixture.member("ada", 1);
    for number in 0..55 {
        drop(fixture.member(&format!("here{number}"), 2));
    }
    for name in ["asked", "gone", "busy"] {
        drop(fixture.member(name, 2));
        std::fs::remove_dir(fixture.place.path().join(name)).unwrap();
    }
    let me = ada.handle().clone();
    let task = TaskFields {
        title: Some("one".into()),
        assigned_to: Some("busy".into()),
        ..TaskFields::default()
    };
    let project = fixture.place.path().join("ada");
    ada.mesh().create_task(&me, &project, &task).unwrap();
    fixture.clock.advance_ms(29 * DAY_MS);
    let asked = Address::parse("asked").unwrap();
    ada.ask(&asked, "are you there?", None).unwrap();
    let swept = |ada: &mut Member| {
        let sweeps = [(); 3].map(|()| ada.mesh().sweep().unwrap().mailboxes);
        sweeps.iter().sum::<usize>()
    };
    assert_eq!(swept(&mut ada), 0, "thirty days have not passed");
    fixture.clock.advance_ms(2 * DAY_MS);
    assert_eq!(swept(&mut ada), 1);
    let left = mailboxes(&mut ada);
    assert_eq!(left.len(), 58, "{left:?}");
    assert!(!left.contains(&"gone".to_owned()), "{left:?}");
    let events = MeshFixture::events(&mut ada);
    let reported = events.iter().find(|event| event.kind == "peer.forgotten");
    assert_eq!(reported.unwrap().subject, "gone");
}
