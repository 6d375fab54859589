//! Writers on a PostgreSQL server, beside bare statements with a notification: in one mesh, where each waits for the others,
//! and each in a mesh of its own.
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use claude_mesh::mesh::{JoinRequest, Mesh, MeshOptions, MessageDraft, SessionHandle};
use claude_mesh::model::message::Recipient;

use crate::database_server::DatabaseServer;
use crate::pin::Pin;
use crate::table::{Goal, Line, Table};

const WRITERS: usize = 32;
/// How long each number is measured.
const SPAN: Duration = Duration::from_secs(3);
/// The goals: messages beside bare statements, and the least writer beside the most.
const ONE_MESH_MIN: f64 = 0.45;
const MANY_MESHES_MIN: f64 = 0.8;
const FAIRNESS_MIN: f64 = 0.5;

/// What the writers of one run have done.
struct Run {
    /// Operations a second of all.
    rate: f64,
    /// The count of the least writer, divided by that of the most.
    fairness: f64,
}

pub(crate) fn measure(table: &mut Table, pin: Pin) {
    table.group("postgres", pin);
    let Some(server) = DatabaseServer::find() else {
        table.note("SKIPPED: CLAUDE_MESH_TEST_POSTGRES names no server, and none can be started");
        return;
    };
    let bare = bare_inserts(&server);
    let rate = |what: String, rate: f64| Line::number(what, "1/s", rate);
    table.line(&rate(
        format!("baseline: INSERT and NOTIFY by {WRITERS} clients"),
        bare.rate,
    ));
    for writers in [1, 8, WRITERS] {
        let run = messages(&server, writers, false);
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
    let many = messages(&server, WRITERS, true);
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

fn bare_inserts(server: &DatabaseServer) -> Run {
    let admin = server.connect();
    admin.run("CREATE TABLE IF NOT EXISTS public.bench_floor (at BIGINT, body TEXT)");
    let body = "x".repeat(200);
    let sql =
        format!("INSERT INTO public.bench_floor VALUES (1, '{body}'); NOTIFY bench_floor, 'it'");
    let outcome = run(WRITERS, |_| {
        let (bare, sql) = (server.connect(), sql.clone());
        Box::new(move || bare.run(&sql))
    });
    admin.run("DROP TABLE public.bench_floor");
    outcome
}

fn messages(server: &DatabaseServer, writers: usize, in_own_meshes: bool) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let meshes = if in_own_meshes { writers } else { 1 };
    let schemas: Vec<_> = (0..meshes).map(|_| server.schema()).collect();
    run(writers, |number| {
        let place = schemas[number % meshes].place(&folder.path().join(format!("{number}.db")));
        let mut mesh = Mesh::connect(&place, &MeshOptions::default()).unwrap();
        let me = register(&mut mesh, folder.path(), &format!("w{number}"));
        let reader = register(&mut mesh, folder.path(), &format!("r{number}"));
        let to = Recipient::parse(reader.name.as_str()).unwrap();
        let body = "the build is green again ".repeat(8);
        Box::new(move || drop(mesh.post(&me, &MessageDraft::of(&to, &body)).unwrap()))
    })
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
