//! Writers on a PostgreSQL server, beside bare statements with a notification: in one mesh, where each waits for the others,
//! and each in a mesh of its own. `CLAUDE_MESH_TEST_POSTGRES` names the server; without it nothing is measured.
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use claude_mesh::mesh::{
    JoinRequest, Mesh, MeshOptions, MessageDraft, PostgresPlace, SessionHandle,
};
use claude_mesh::model::message::Recipient;
use claude_mesh::store::PostgresLocation;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

use crate::pin::Pin;
use crate::table::{Goal, Line, Table};

const WRITERS: usize = 32;
/// How long each number is measured.
const SPAN: Duration = Duration::from_secs(3);
/// The goals: messages beside bare statements, and the least writer beside the most.
const ONE_MESH_MIN: f64 = 0.45;
const MANY_MESHES_MIN: f64 = 0.8;
const FAIRNESS_MIN: f64 = 0.5;

/// A connection without the library.
struct Bare {
    runtime: Runtime,
    client: Client,
}

impl Bare {
    fn connect(url: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        });
        Self { runtime, client }
    }

    fn run(&self, sql: &str) {
        self.runtime
            .block_on(self.client.batch_execute(sql))
            .unwrap();
    }
}

/// What the writers of one run have done.
struct Run {
    /// Operations a second of all.
    rate: f64,
    /// The count of the least writer, divided by that of the most.
    fairness: f64,
}

pub(crate) fn measure(table: &mut Table, pin: Pin) {
    table.group("postgres", pin);
    let Ok(url) = std::env::var("CLAUDE_MESH_TEST_POSTGRES") else {
        table.note("skipped: CLAUDE_MESH_TEST_POSTGRES names no server");
        return;
    };
    let bare = bare_inserts(&url);
    let rate = |what: String, rate: f64| Line::number(what, "1/s", rate);
    table.line(&rate(
        format!("baseline: INSERT and NOTIFY by {WRITERS} clients"),
        bare.rate,
    ));
    for writers in [1, 8, WRITERS] {
        let run = messages(&url, writers, false);
        let what = format!("messages of {writers} writers in one mesh");
        table.line(&rate(what, run.rate).baseline("INSERT and NOTIFY", bare.rate));
        if writers == WRITERS {
            let ratio = Line::number("    beside the baseline", "×", run.rate / bare.rate);
            table.line(&ratio.goal(Goal::AtLeast(ONE_MESH_MIN)));
        }
        if writers > 1 {
            let fairness = Line::number("    least writer beside the most", "×", run.fairness);
            table.line(&fairness.goal(Goal::AtLeast(FAIRNESS_MIN)));
        }
    }
    let many = messages(&url, WRITERS, true);
    let what = format!("messages of {WRITERS} writers in {WRITERS} meshes");
    table.line(&rate(what, many.rate).baseline("INSERT and NOTIFY", bare.rate));
    let ratio = Line::number("    beside the baseline", "×", many.rate / bare.rate);
    table.line(&ratio.goal(Goal::AtLeast(MANY_MESHES_MIN)));
    let fairness = Line::number("    least writer beside the most", "×", many.fairness);
    table.line(&fairness.goal(Goal::AtLeast(FAIRNESS_MIN)));
}

/// Runs operations on several threads at once. `prepare` makes the operation of a thread.
fn run(writers: usize, prepare: impl Fn(usize) -> Box<dyn FnMut() + Send> + Sync) -> Run {
    let start = Arc::new(Barrier::new(writers));
    let counts: Vec<u32> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers)
            .map(|number| {
                let (start, prepare) = (Arc::clone(&start), &prepare);
                scope.spawn(move || {
                    let mut operation = prepare(number);
                    operation();
                    start.wait();
                    let began = Instant::now();
                    let mut count = 0_u32;
                    while began.elapsed() < SPAN {
                        operation();
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    Run {
        rate: f64::from(counts.iter().sum::<u32>()) / SPAN.as_secs_f64(),
        fairness: f64::from(*least) / f64::from(*most),
    }
}

fn bare_inserts(url: &str) -> Run {
    let admin = Bare::connect(url);
    admin.run("CREATE TABLE IF NOT EXISTS public.bench_floor (at BIGINT, body TEXT)");
    let body = "x".repeat(200);
    let sql =
        format!("INSERT INTO public.bench_floor VALUES (1, '{body}'); NOTIFY bench_floor, 'it'");
    let outcome = run(WRITERS, |_| {
        let (bare, sql) = (Bare::connect(url), sql.clone());
        Box::new(move || bare.run(&sql))
    });
    admin.run("DROP TABLE public.bench_floor");
    outcome
}

fn messages(url: &str, writers: usize, in_own_meshes: bool) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let schema = |number: usize| {
        let mesh = if in_own_meshes { number } else { 0 };
        format!("bench_{}_{mesh}", std::process::id())
    };
    let outcome = run(writers, |number| {
        let location = PostgresLocation::parse(&format!("{url}?schema={}", schema(number)));
        let path = folder.path().join(format!("{number}.db"));
        let place = PostgresPlace::new(location.unwrap(), path);
        let mut mesh = Mesh::connect(&place, &MeshOptions::default()).unwrap();
        let me = register(&mut mesh, folder.path(), &format!("w{number}"));
        let reader = register(&mut mesh, folder.path(), &format!("r{number}"));
        let to = Recipient::parse(reader.name.as_str()).unwrap();
        let body = "the build is green again ".repeat(8);
        Box::new(move || drop(mesh.post(&me, &MessageDraft::of(&to, &body)).unwrap()))
    });
    let admin = Bare::connect(url);
    for number in 0..writers {
        admin.run(&format!(
            "SET client_min_messages TO warning; DROP SCHEMA IF EXISTS {} CASCADE",
            schema(number)
        ));
    }
    outcome
}

fn register(mesh: &mut Mesh, folder: &Path, name: &str) -> SessionHandle {
    let project = folder.join(name);
    std::fs::create_dir_all(&project).unwrap();
    // Sessions of one process differ by their instance; the names of the writers end with a number.
    let number: u32 = name[1..].parse().unwrap();
    let instance = 2 * number + u32::from(name.starts_with('w'));
    let request = JoinRequest::here(&project).unwrap().instance(instance + 1);
    mesh.register(&request).unwrap()
}
