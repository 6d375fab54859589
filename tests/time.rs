//! What time does: questions expire, old things go, the log keeps one order. The clock is set by hand.
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use claude_mesh::mesh::{
    Arrival, ClaimFilter, Claimed, Claiming, Forgotten, Member, Mesh, Opening, Reply, Scope,
    TaskFields, Wait,
};
use claude_mesh::model::event::Filter;
use claude_mesh::model::peer::Address;
use claude_mesh::model::{Event, Liveness, Mode, PeerKind, QuestionState, Refusal};
use claude_mesh::platform::Clock;
use claude_mesh::platform::clock::SetClock;
use claude_mesh::platform::process;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// A mesh of members of this process, whose clock is set by hand.
pub(crate) struct Days {
    pub(crate) place: tempfile::TempDir,
    pub(crate) clock: Arc<SetClock>,
}

impl Days {
    pub(crate) fn new() -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
            clock: Arc::new(SetClock::at(1_800_000_000_000)),
        }
    }

    pub(crate) fn member(&self, name: &str, instance: u32) -> Member {
        self.member_with(name, instance, None)
    }

    /// Seats a member whose client has a registry.
    pub(crate) fn member_with(
        &self,
        name: &str,
        instance: u32,
        registry: Option<PathBuf>,
    ) -> Member {
        let project = self.place.path().join(name);
        std::fs::create_dir_all(&project).unwrap();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let opening = Opening {
            registry,
            ..Opening::default()
        };
        let database = self.place.path().join("mesh.db");
        let mesh = Mesh::open_with(&database, clock, &opening).unwrap();
        mesh.join(&Arrival::here(&project).unwrap().instance(instance))
            .unwrap()
    }

    /// Returns all that has happened.
    pub(crate) fn events(member: &mut Member) -> Vec<Event> {
        member.mesh().events(&whole()).unwrap().events
    }

    fn kinds(member: &mut Member) -> Vec<String> {
        let events = Self::events(member).into_iter();
        events.map(|event| event.kind).collect()
    }
}

fn whole() -> Filter {
    Filter {
        after: Some(0),
        limit: 10_000,
        ..Filter::default()
    }
}

fn bo() -> Address {
    Address::parse("bo").unwrap()
}

#[test]
fn a_question_nobody_answers_expires_after_seven_days_and_a_late_answer_is_still_taken() {
    let days = Days::new();
    let (mut ada, mut bo_sits) = (days.member("ada", 1), days.member("bo", 2));
    let (asked, wait) = ada.ask(&bo(), "which port?", None).unwrap();
    let seat = ada.sitting().clone();
    ada.mesh().abandon(&seat, &wait.unwrap(), &[]).unwrap();
    days.clock.advance_ms(7 * DAY_MS - 1);
    let seat = bo_sits.sitting().clone();
    assert_eq!(bo_sits.mesh().inbox(&seat).unwrap().questions.len(), 1);
    days.clock.advance_ms(1);
    assert!(bo_sits.mesh().inbox(&seat).unwrap().is_empty());
    ada.mesh().sweep().unwrap();
    let state = |ada: &mut Member| {
        ada.mesh().standings(&[asked.question]).unwrap()[0]
            .question
            .state
    };
    assert_eq!(state(&mut ada), QuestionState::Expired);
    assert!(Days::kinds(&mut ada).contains(&"question.expired".to_owned()));
    let seat = ada.sitting().clone();
    let notice = ada.mesh().inbox(&seat).unwrap().answers;
    assert_eq!(notice.len(), 1, "the asker is told that nobody answered");
    assert_eq!(notice[0].question.state, QuestionState::Expired);
    let replied = bo_sits.answer(asked.question, "5433").unwrap();
    assert!(replied.late);
    assert_eq!(state(&mut ada), QuestionState::Answered);
}

#[test]
fn a_late_answer_is_listed_until_a_day_after_it_was_shown() {
    let days = Days::new();
    let mut ada = days.member("ada", 1);
    drop(days.member("bo", 2));
    let (asked, _) = ada.ask(&bo(), "which port?", None).unwrap();
    days.member("bo", 2).answer(asked.question, "5433").unwrap();
    let seat = ada.sitting().clone();
    days.clock.advance_ms(20 * DAY_MS);
    let inbox = ada.mesh().inbox(&seat).unwrap();
    assert_eq!(inbox.answers.len(), 1, "unseen, it waits");
    ada.mesh()
        .mark_shown(&seat, &inbox, None, claude_mesh::model::WakeState::Call)
        .unwrap();
    days.clock.advance_ms(DAY_MS);
    assert_eq!(ada.mesh().inbox(&seat).unwrap().answers.len(), 1);
    days.clock.advance_ms(1);
    assert_eq!(ada.mesh().inbox(&seat).unwrap().answers.len(), 0);
    assert_eq!(
        ada.mesh().standings(&[asked.question]).unwrap()[0]
            .question
            .answer
            .as_deref(),
        Some("5433")
    );
}

#[test]
fn what_is_over_goes_after_thirty_days_and_what_is_open_stays() {
    let days = Days::new();
    let (mut ada, mut bo_sits) = (days.member("ada", 1), days.member("bo", 2));
    let (old, _) = ada.ask(&bo(), "which port?", None).unwrap();
    bo_sits.answer(old.question, "5433").unwrap();
    days.clock.advance_ms(29 * DAY_MS);
    let (open, _) = ada.ask(&bo(), "which schema?", None).unwrap();
    assert!(ada.mesh().sweep().unwrap().is_empty());
    days.clock.advance_ms(DAY_MS + 1);
    let reclaimed = ada.mesh().sweep().unwrap();
    assert_eq!(reclaimed.questions, 1);
    assert!(reclaimed.events >= 3);
    assert!(ada.mesh().standings(&[old.question]).is_err());
    assert_eq!(
        ada.mesh().standings(&[open.question]).unwrap()[0]
            .question
            .state,
        QuestionState::Open
    );
}

#[test]
fn every_step_of_a_question_is_in_the_log_in_its_order() {
    let days = Days::new();
    let (mut ada, mut bo_sits) = (days.member("ada", 1), days.member("bo", 2));
    let (first, wait) = ada.ask(&bo(), "which port?", None).unwrap();
    bo_sits.next_questions(Duration::ZERO).unwrap();
    bo_sits.answer(first.question, "5433").unwrap();
    let seat = ada.sitting().clone();
    ada.wait(&wait.unwrap(), Duration::ZERO, |_| true).unwrap();
    let (second, wait) = ada.ask(&bo(), "which schema?", None).unwrap();
    ada.mesh()
        .abandon(&seat, &wait.unwrap(), &[second.question])
        .unwrap();
    drop(bo_sits);
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
    assert_eq!(Days::kinds(&mut ada), order);
    let events = ada.mesh().events(&whole()).unwrap().events;
    assert!(events.is_sorted_by_key(|event| event.seq));
    assert_eq!(events[2].by, "ada");
    assert_eq!(events[2].subject, first.question.to_string());
}

#[test]
fn a_forgotten_question_leaves_nothing_of_its_text_in_the_file() {
    let days = Days::new();
    let (mut ada, mut bo_sits) = (days.member("ada", 1), days.member("bo", 2));
    let marker = "xyzzy-leaked-marker";
    let (asked, _) = ada
        .ask(&bo(), &format!("is {marker} right?"), Some(marker))
        .unwrap();
    bo_sits
        .answer(asked.question, &format!("{marker}, yes"))
        .unwrap();
    let me = ada.sitting().clone();
    let mut forgets = || ada.mesh().forget_question(&me, asked.question).unwrap();
    assert_eq!(
        [forgets(), forgets()],
        [Forgotten::Entirely, Forgotten::Nothing]
    );
    for name in ["mesh.db", "mesh.db-wal"] {
        let content = std::fs::read(days.place.path().join(name)).unwrap_or_default();
        let found = content
            .windows(marker.len())
            .any(|window| window == marker.as_bytes());
        assert!(!found, "{name} still holds it");
    }
}

#[test]
fn nothing_of_a_corrected_answer_is_left_either_however_much_is_free_in_the_file() {
    let days = Days::new();
    let (mut ada, mut bo_sits) = (days.member("ada", 1), days.member("bo", 2));
    for number in 0..60 {
        let text = format!("{number} {}", "x".repeat(60_000));
        let (asked, _) = ada.ask(&bo(), &text, Some(&text)).unwrap();
        bo_sits.answer(asked.question, "yes").unwrap();
    }
    let (asked, _) = ada.ask(&bo(), "which one?", None).unwrap();
    let me = bo_sits.sitting().clone();
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
        };
        bo_sits.mesh().reply(&me, reply).unwrap();
    }
    let rows = rusqlite::Connection::open(days.place.path().join("mesh.db")).unwrap();
    rows.execute("DELETE FROM question WHERE question LIKE '%xxx'", [])
        .unwrap();
    let free = || rows.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
    assert!(free().unwrap() > 1_000);
    let me = ada.sitting().clone();
    let forgotten = ada.mesh().forget_question(&me, asked.question).unwrap();
    assert_eq!(forgotten, Forgotten::Entirely);
    assert_eq!(free().unwrap(), 0);
    for name in ["mesh.db", "mesh.db-wal"] {
        let content = std::fs::read(days.place.path().join(name)).unwrap_or_default();
        let found = content.windows(12).any(|window| window == b"xyzzy-leaked");
        assert!(!found, "{name} still holds it");
    }
}

#[test]
fn a_chain_of_questions_that_wait_for_each_other_ends_at_eight() {
    let days = Days::new();
    let mut members: Vec<Member> = (0..11)
        .map(|number| days.member(&format!("p{number}"), number + 1))
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
fn where_no_hook_tells_of_turns_an_answered_question_counts_for_an_hour() {
    let days = Days::new();
    let mut members = [days.member("ada", 1), days.member("bo", 2)];
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
                assert!(refused.to_string().contains("the 9th"), "{refused}");
                break;
            }
        }
    }
    assert_eq!(rounds, 9);
    days.clock.advance_ms(3_600_000);
    let still = members[1].ask(&names[0], "and you?", None);
    assert!(still.is_err());
    days.clock.advance_ms(1);
    members[1].ask(&names[0], "and you?", None).unwrap();
}

/// Claims "deploy" for ten seconds. Returns whether it was granted.
fn claims(member: &mut Member) -> bool {
    let wanted = Claiming {
        resource: "deploy",
        mode: Mode::Exclusive,
        lease_ms: 10_000,
        note: None,
        queue: false,
        wait: false,
    };
    let me = member.sitting().clone();
    let claimed = member.mesh().claim(&me, &wanted).unwrap();
    matches!(claimed, Claimed::Granted(_))
}

/// A hook tells what a session does.
pub(crate) fn does(member: &mut Member, activity: &str) {
    let me = member.sitting().clone();
    member.mesh().set_activity(&me, activity).unwrap();
}

/// Returns who holds "deploy", as everybody sees it.
fn holder(member: &mut Member) -> Option<String> {
    let lines = member
        .mesh()
        .claims(ClaimFilter::Resource("deploy"))
        .unwrap();
    let claim = lines.first()?.holders.first()?;
    Some(claim.peer_name.to_string())
}

#[test]
fn a_lapsed_lease_is_honoured_while_its_session_works_for_ten_leases_after_the_last_claim() {
    let days = Days::new();
    let (mut ada, mut bo) = (days.member("ada", 1), days.member("bo", 2));
    assert!(claims(&mut ada));
    does(&mut ada, "busy");
    days.clock.advance_ms(60_000);
    assert!(!claims(&mut bo), "its build takes a while");
    assert!(claims(&mut ada), "claimed again, the count begins anew");
    days.clock.advance_ms(99_999);
    assert!(!claims(&mut bo));
    assert_eq!(holder(&mut bo).as_deref(), Some("ada"));
    days.clock.advance_ms(1);
    assert!(claims(&mut bo), "forgotten");
}

#[test]
fn a_lapsed_lease_of_an_idle_session_is_over_whoever_touches_it() {
    let days = Days::new();
    let (mut ada, mut bo) = (days.member("ada", 1), days.member("bo", 2));
    for touch in ["claim", "claims", "list_peers", "guard", "sweep"] {
        assert!(claims(&mut ada), "{touch}");
        does(&mut ada, "idle");
        days.clock.advance_ms(9_999);
        assert_eq!(holder(&mut bo).as_deref(), Some("ada"), "{touch}");
        days.clock.advance_ms(1);
        match touch {
            "claim" => assert!(claims(&mut bo)),
            "claims" => assert_eq!(holder(&mut bo), None),
            "list_peers" => {
                let views = bo
                    .mesh()
                    .peers(None, claude_mesh::mesh::Scope::Machine, false);
                let held: usize = views.unwrap().iter().map(|view| view.claims.len()).sum();
                assert_eq!(held, 0);
            }
            "guard" => assert!(bo.mesh().held_by_other(None, "deploy").unwrap().is_none()),
            _ => assert_eq!(bo.mesh().sweep().unwrap().claims, 1),
        }
        days.clock.advance_ms(20_000);
        assert_eq!(holder(&mut ada), None, "{touch}");
    }
}

#[test]
fn a_jump_of_the_wall_clock_ends_no_lease() {
    let days = Days::new();
    let (mut ada, mut bo) = (days.member("ada", 1), days.member("bo", 2));
    assert!(claims(&mut ada));
    days.clock.jump_wall_ms(DAY_MS);
    assert!(!claims(&mut bo));
    days.clock.jump_wall_ms(-2 * DAY_MS);
    assert!(!claims(&mut bo));
}

/// Begins to wait for what a member has asked bo.
fn waits(member: &mut Member, question: &str) -> Wait {
    member.ask(&bo(), question, None).unwrap().1.unwrap()
}

/// A question for the session of a wait interrupts it if that is due. Returns whether it did.
fn is_interrupted(member: &mut Member, wait: &Wait) -> bool {
    let me = member.sitting().clone();
    let interruption = member.mesh().interrupt_if_asked(&me, wait.id).unwrap();
    interruption.is_some()
}

#[test]
fn a_question_interrupts_the_newest_wait_at_once_and_the_next_newest_after_ten_seconds() {
    let days = Days::new();
    let [mut ada, _bo, mut cy] =
        [("ada", 1), ("bo", 2), ("cy", 3)].map(|(name, instance)| days.member(name, instance));
    let [first, second, third] =
        ["which port?", "which host?", "which user?"].map(|question| waits(&mut ada, question));
    let to = Address::parse("ada").unwrap();
    cy.ask(&to, "ready?", None).unwrap();
    assert!(!is_interrupted(&mut ada, &first) && !is_interrupted(&mut ada, &second));
    assert!(is_interrupted(&mut ada, &third));
    assert!(!is_interrupted(&mut ada, &second), "one subagent is enough");
    days.clock.advance_ms(9_999);
    assert!(!is_interrupted(&mut ada, &second));
    days.clock.advance_ms(1);
    assert!(!is_interrupted(&mut ada, &first));
    assert!(is_interrupted(&mut ada, &second));
    days.clock.advance_ms(DAY_MS);
    assert!(!is_interrupted(&mut ada, &first), "twice is enough");

    // One that was answered meanwhile, or a wait that began knowing of it, is left alone.
    let late = waits(&mut ada, "which table?");
    let (asked, _) = cy.ask(&to, "and now?", None).unwrap();
    assert!(is_interrupted(&mut ada, &late));
    days.clock.advance_ms(1);
    let after = waits(&mut ada, "which column?");
    days.clock.advance_ms(10_000);
    assert!(!is_interrupted(&mut ada, &after));
    ada.mesh().end_wait(after.id).unwrap();
    ada.answer(asked.question, "yes").unwrap();
    assert!(!is_interrupted(&mut ada, &first));
}

#[test]
fn a_jump_of_the_wall_clock_lets_no_wait_go_deaf() {
    for jump_ms in [-3_600_000, 3_600_000] {
        let days = Days::new();
        let [mut ada, _bo, mut cy] =
            [("ada", 1), ("bo", 2), ("cy", 3)].map(|(name, instance)| days.member(name, instance));
        let (first, second) = (
            waits(&mut ada, "which port?"),
            waits(&mut ada, "which host?"),
        );
        days.clock.jump_wall_ms(jump_ms);
        cy.ask(&Address::parse("ada").unwrap(), "ready?", None)
            .unwrap();
        assert!(is_interrupted(&mut ada, &second));
        days.clock.jump_wall_ms(jump_ms);
        days.clock.advance_ms(9_999);
        assert!(!is_interrupted(&mut ada, &first));
        days.clock.advance_ms(1);
        assert!(is_interrupted(&mut ada, &first));
    }
}

/// Returns what the mesh holds a peer for.
fn liveness(member: &mut Member, name: &str) -> Liveness {
    let views = member.mesh().peers(None, Scope::Machine, true).unwrap();
    let view = views.iter().find(|view| view.peer.name.as_str() == name);
    view.unwrap().liveness
}

#[test]
fn a_jump_of_the_wall_clock_kills_nobody_and_revives_nobody() {
    for jump_ms in [-3_600_000, 3_600_000] {
        let days = Days::new();
        let (mut ada, _bo) = (days.member("ada", 1), days.member("bo", 2));
        let mut client = Command::new("/bin/cat")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(client.id()).unwrap();
        let key = process::stat(pid).unwrap().key;
        let project = days.place.path().join("cy");
        std::fs::create_dir_all(&project).unwrap();
        let mut arrival = Arrival::here(&project).unwrap();
        arrival.process = key;
        ada.mesh().sit(&arrival).unwrap();
        assert_eq!(liveness(&mut ada, "cy"), Liveness::Alive);
        client.kill().unwrap();
        client.wait().unwrap();
        days.clock.jump_wall_ms(jump_ms);
        assert_eq!(liveness(&mut ada, "cy"), Liveness::Dead);
        assert_eq!(liveness(&mut ada, "bo"), Liveness::Alive);
        ada.mesh().record_deaths().unwrap();
        let kinds = Days::kinds(&mut ada);
        let ends = kinds.iter().filter(|kind| *kind == "peer.died").count();
        assert_eq!(ends, 1, "{kinds:?}");
    }
}

#[test]
fn a_session_of_another_host_is_neither_alive_nor_dead_after_the_clock_was_set_back() {
    let days = Days::new();
    let (mut ada, mut bo) = (days.member("ada", 1), days.member("bo", 2));
    let rows = rusqlite::Connection::open(days.place.path().join("mesh.db")).unwrap();
    let far = "UPDATE session SET host = 'far', boot = 'far' WHERE id = ?1";
    rows.execute(far, [bo.sitting().session.to_string()])
        .unwrap();
    assert_eq!(liveness(&mut ada, "bo"), Liveness::Alive);
    days.clock.jump_wall_ms(-3_600_000);
    assert_eq!(liveness(&mut ada, "bo"), Liveness::Stale);
    ada.mesh().record_deaths().unwrap();
    assert!(!Days::kinds(&mut ada).contains(&"peer.died".to_owned()));
    does(&mut bo, "idle");
    assert_eq!(liveness(&mut ada, "bo"), Liveness::Alive, "heard of again");
}

#[test]
fn a_claim_of_another_boot_is_over() {
    let days = Days::new();
    let (mut ada, mut bo) = (days.member("ada", 1), days.member("bo", 2));
    assert!(claims(&mut ada));
    let rows = rusqlite::Connection::open(days.place.path().join("mesh.db")).unwrap();
    rows.execute("UPDATE claim SET boot = 'earlier'", [])
        .unwrap();
    assert!(claims(&mut bo));
}

#[test]
fn what_a_person_claims_outlives_the_command_and_lasts_for_its_lease() {
    let days = Days::new();
    let mut bo = days.member("bo", 2);
    let command = |instance: u32| {
        let mut arrival = Arrival::here(days.place.path()).unwrap().instance(instance);
        (arrival.kind, arrival.project) = (PeerKind::Person, None);
        let clock = Arc::clone(&days.clock) as Arc<dyn Clock>;
        let mesh = Mesh::open(&days.place.path().join("mesh.db"), clock).unwrap();
        mesh.join(&arrival).unwrap()
    };
    assert!(claims(&mut command(3)));
    assert!(!claims(&mut bo));
    assert!(claims(&mut command(4)), "the same person renews it");
    days.clock.advance_ms(9_999);
    assert!(!claims(&mut bo));
    days.clock.advance_ms(1);
    assert!(claims(&mut bo));
}

#[test]
fn what_nobody_hears_is_rung_for_ever_more_rarely() {
    let days = Days::new();
    let [mut ada, deaf, mut cy] =
        [("ada", 1), ("bo", 2), ("cy", 3)].map(|(name, instance)| days.member(name, instance));
    let bells = days.place.path().join("mesh.db.d/bells");
    let bell = bells.join(deaf.sitting().session.to_string()).join("bell");
    let rang = || std::fs::remove_file(&bell).is_ok();
    ada.ask(&bo(), "which port?", None).unwrap();
    assert!(rang(), "by the asker");
    let seat = cy.sitting().clone();
    let mut looks_after = |ms| {
        days.clock.advance_ms(ms);
        cy.mesh().inbox(&seat).unwrap();
        rang()
    };
    assert!(!looks_after(1_999));
    assert!(looks_after(1), "two seconds old");
    assert!(!looks_after(0) && !looks_after(1_999));
    assert!(looks_after(1), "four seconds old");
    assert!(!looks_after(3_999));
    assert!(looks_after(1), "eight seconds old");
    let minutes = 7 * 24 * 60;
    let rings = (0..minutes).filter(|_| looks_after(60_000)).count();
    assert!((5..=20).contains(&rings), "{rings} rings in seven days");
}

#[test]
fn what_waits_where_nobody_sits_is_not_written_to_at_every_look() {
    let days = Days::new();
    let [mut ada, mut cy] =
        [("ada", 1), ("cy", 3)].map(|(name, instance)| days.member(name, instance));
    drop(days.member("bo", 2));
    ada.ask(&bo(), "which port?", None).unwrap();
    days.clock.advance_ms(3_000);
    let rows = rusqlite::Connection::open(days.place.path().join("mesh.db")).unwrap();
    let mut looks = || -> i64 {
        let seat = cy.sitting().clone();
        cy.mesh().inbox(&seat).unwrap();
        rows.query_row("PRAGMA data_version", [], |row| row.get(0))
            .unwrap()
    };
    let first = looks();
    for _ in 0..10 {
        assert_eq!(looks(), first);
    }
}

/// Returns the names of all mailboxes, also of those nobody sits at.
fn mailboxes(member: &mut Member) -> Vec<String> {
    let all = member.mesh().peers(None, Scope::Machine, true).unwrap();
    let names = all.iter().map(|view| view.peer.name.to_string());
    names.collect()
}

#[test]
fn a_mailbox_goes_thirty_days_after_its_last_session_if_its_folder_is_gone_and_nothing_waits() {
    let days = Days::new();
    let mut ada = days.member("ada", 1);
    for number in 0..55 {
        drop(days.member(&format!("here{number}"), 2));
    }
    for name in ["asked", "gone", "busy"] {
        drop(days.member(name, 2));
        std::fs::remove_dir(days.place.path().join(name)).unwrap();
    }
    let me = ada.sitting().clone();
    let task = TaskFields {
        title: Some("one".into()),
        assigned_to: Some("busy".into()),
        ..TaskFields::default()
    };
    let project = days.place.path().join("ada");
    ada.mesh().create_task(&me, &project, &task).unwrap();
    days.clock.advance_ms(29 * DAY_MS);
    let asked = Address::parse("asked").unwrap();
    ada.ask(&asked, "are you there?", None).unwrap();
    let swept = |ada: &mut Member| {
        let sweeps = [(); 3].map(|()| ada.mesh().sweep().unwrap().mailboxes);
        sweeps.iter().sum::<usize>()
    };
    assert_eq!(swept(&mut ada), 0, "thirty days are not over");
    days.clock.advance_ms(2 * DAY_MS);
    assert_eq!(swept(&mut ada), 1);
    let left = mailboxes(&mut ada);
    assert_eq!(left.len(), 58, "{left:?}");
    assert!(!left.contains(&"gone".to_owned()), "{left:?}");
    let events = Days::events(&mut ada);
    let told = events.iter().find(|event| event.kind == "peer.forgotten");
    assert_eq!(told.unwrap().subject, "gone");
}
