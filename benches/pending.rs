//! One question among a million old ones: reading the inbox, counting and sweeping must not slow down as the file grows.
use std::sync::Arc;
use std::time::Instant;

use claude_mesh::mesh::{JoinRequest, Mesh, SessionHandle};
use claude_mesh::model::peer::Address;
use claude_mesh::platform::SystemClock;

use crate::hook;
use crate::pin::{Pin, Side};
use crate::table::{Goal, Line, Samples, Table};
use crate::world::{BenchSession, BenchWorld, micros};

/// Old questions in the big file, each answered and delivered.
const OLD_QUESTIONS: u32 = 1_000_000;

pub(crate) fn measure(table: &mut Table, pin: Pin, rounds: usize) {
    table.group("pending (both files alternating)", pin);
    pin.on(Side::Near, || {
        let (mut small, mut big) = (BenchDatabase::new(pin), BenchDatabase::new(pin));
        fill(&big.world);
        let bytes = big.world.database().metadata().unwrap().len() as f64;
        table.note(&format!(
            "the big file: {OLD_QUESTIONS} answered questions, {:.0} MB",
            bytes / 1e6
        ));

        let (mut few, mut many) = (Samples::default(), Samples::default());
        for round in 0..rounds + 10 {
            let spans = [small.read_inbox(), big.read_inbox()];
            if round >= 10 {
                few.add(spans[0]);
                many.add(spans[1]);
            }
        }
        table.line(&Line::times(
            "Mesh::inbox, one question pending, empty file",
            &few,
        ));
        let many = Line::times("Mesh::inbox, one question pending, big file", &many);
        table.line(
            &many
                .baseline("the same, empty file", few.p50())
                .goal(Goal::Times(1.2)),
        );

        let (mut few, mut many) = (Samples::default(), Samples::default());
        for round in 0..rounds + 10 {
            let spans = [&small, &big]
                .map(|place| micros(hook::prompt(&place.world, &place.session, round).0));
            if round >= 10 {
                few.add(spans[0]);
                many.add(spans[1]);
            }
        }
        table.line(&Line::times(
            "inbox-poll, one question pending, empty file",
            &few,
        ));
        let many = Line::times("inbox-poll, one question pending, big file", &many);
        table.line(
            &many
                .baseline("the same, empty file", few.p50())
                .goal(Goal::Times(1.2)),
        );

        for (what, verb) in [
            (
                "Mesh::status",
                BenchDatabase::count as fn(&mut BenchDatabase) -> f64,
            ),
            ("Mesh::sweep, nothing has expired", BenchDatabase::sweep),
        ] {
            let (mut few, mut many) = (Samples::default(), Samples::default());
            for round in 0..rounds + 10 {
                let spans = [verb(&mut small), verb(&mut big)];
                if round >= 10 {
                    few.add(spans[0]);
                    many.add(spans[1]);
                }
            }
            table.line(&Line::times(format!("{what}, empty file"), &few));
            let many = Line::times(format!("{what}, big file"), &many);
            table.line(
                &many
                    .baseline("the same, empty file", few.p50())
                    .goal(Goal::Times(1.2)),
            );
        }
    });
}

/// A mesh in which one question is pending for a session.
struct BenchDatabase {
    session: BenchSession,
    mesh: Mesh,
    me: SessionHandle,
    world: BenchWorld,
}

impl BenchDatabase {
    fn new(pin: Pin) -> Self {
        let world = BenchWorld::new(pin);
        let session = world.session("cy", Side::Far);
        let clock = Arc::new(SystemClock::new());
        let open = || Mesh::open(&world.database(), clock.clone()).unwrap();
        let mut asker = open()
            .join(&JoinRequest::here(&world.project("bo")).unwrap())
            .unwrap();
        asker
            .ask(
                &Address::parse("cy").unwrap(),
                "which port does the API use?",
                None,
            )
            .unwrap();
        drop(asker);
        let mut mesh = open();
        let client = i32::try_from(session.client_pid()).unwrap();
        let process = claude_mesh::platform::process::stat(client).unwrap().key;
        let me = mesh
            .find_session_of_process(process)
            .unwrap()
            .expect("the session registers");
        Self {
            session,
            mesh,
            me,
            world,
        }
    }

    fn read_inbox(&mut self) -> f64 {
        let began = Instant::now();
        let inbox = self.mesh.inbox(&self.me).unwrap();
        let span = micros(began.elapsed());
        assert_eq!(inbox.questions.len(), 1);
        span
    }

    fn count(&mut self) -> f64 {
        let began = Instant::now();
        let status = self.mesh.status().unwrap();
        let span = micros(began.elapsed());
        assert_eq!(status.questions[0], 1);
        span
    }

    fn sweep(&mut self) -> f64 {
        let began = Instant::now();
        let reclaimed = self.mesh.sweep().unwrap();
        let span = micros(began.elapsed());
        assert!(reclaimed.is_empty());
        span
    }
}

/// Fills a file with questions between the same two peers, answered ten days ago and before.
fn fill(world: &BenchWorld) {
    let sql = world.sql();
    sql.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;")
        .unwrap();
    sql.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1),
              m AS (SELECT asker_peer, asker_session, target_peer, asked_at_ms - 864000000 AS until_ms FROM question WHERE state = 'open')
         INSERT INTO question (id, asker_peer, asker_session, target_peer, question, state, asked_at_ms, expires_at_ms, wake, shown_at_ms,
             shown_times, answer, answered_by, answered_at_ms, answered_session, closed_at_ms)
         SELECT printf('01A%023d', i), asker_peer, asker_session, target_peer, 'which port does service ' || i || ' use?', 'answered',
             until_ms - ?1 + i, until_ms + 604800000, 'hook', until_ms - ?1 + i, 1, 'it listens on 5433', 'session', until_ms - ?1 + i,
             asker_session, until_ms - ?1 + i
         FROM n CROSS JOIN m",
        [OLD_QUESTIONS],
    )
    .unwrap();
    sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
}
