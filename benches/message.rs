//! Many processes post at the same time: messages a second over all of them, the longest write, the growth of the WAL;
//! beside processes that do the same inserts in bare SQL. Afterwards every message is read back.
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use claude_mesh::mesh::{JoinRequest, Mesh, MessageDraft, MessageFilter};
use claude_mesh::model::{PeerKind, Recipient};
use claude_mesh::platform::SystemClock;
use claude_mesh::platform::id::MessageId;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::pin::{Pin, Side};
use crate::table::{Goal, Line, Table};
use crate::world::BenchWorld;

const WRITERS: usize = 32;
const PER_SECOND_MIN: f64 = 10_000.0;
const LONGEST_MS_MAX: f64 = 150.0;
const WAL_MB_MAX: f64 = 16.0;

pub(crate) fn measure(table: &mut Table, pin: Pin, messages: usize) {
    let each = messages.div_ceil(WRITERS);
    table.group(
        &format!("messages, {WRITERS} processes, {each} messages each"),
        pin,
    );
    let baseline = run(pin, "--part-of-sql-poster", each);
    let mail = run(pin, "--part-of-poster", each);
    let number = |what: &str, unit, value| Line::number(what, unit, value);
    table.line(&number(
        "baseline: the same inserts in bare SQL, all writers",
        "/s",
        baseline.rate,
    ));
    table.line(&number(
        "baseline: its longest single write",
        "ms",
        baseline.longest_ms,
    ));
    table.line(&number("baseline: its largest WAL", "MB", baseline.wal_mb));
    table.line(
        &number("messages posted, all writers", "/s", mail.rate)
            .baseline("the same inserts", baseline.rate)
            .goal(Goal::AtLeast(PER_SECOND_MIN)),
    );
    let median = number("    median single write", "ms", mail.median_ms);
    table.line(&median.baseline("the same inserts", baseline.median_ms));
    table.line(
        &number("    longest single write", "ms", mail.longest_ms)
            .goal(Goal::AtMost(LONGEST_MS_MAX)),
    );
    table.line(&number("    largest WAL", "MB", mail.wal_mb).goal(Goal::AtMost(WAL_MB_MAX)));
    table.note(&format!(
        "{} messages: none lost, none twice, and each of the {WRITERS} mailboxes reads its own in the order of the file",
        each * WRITERS
    ));
}

struct PosterFigures {
    rate: f64,
    median_ms: f64,
    longest_ms: f64,
    wal_mb: f64,
}

fn run(pin: Pin, part: &str, each: usize) -> PosterFigures {
    let world = BenchWorld::new(pin);
    let clock = Arc::new(SystemClock::new());
    Mesh::open(&world.database(), clock).unwrap();
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|number| Writer::start(&world, part, number, each))
        .collect();
    for writer in &mut writers {
        assert_eq!(writer.line(), "ready");
    }
    let (done, largest) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let watcher = {
        let (done, largest) = (Arc::clone(&done), Arc::clone(&largest));
        let wal = world.database().with_file_name("mesh.db-wal");
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                let bytes = wal.metadata().map_or(0, |metadata| metadata.len());
                largest.fetch_max(bytes, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        })
    };
    let began = Instant::now();
    for writer in &mut writers {
        writer.release_start();
    }
    let (mut longest, mut medians) = (0.0_f64, Vec::new());
    for writer in &mut writers {
        let said = writer.line();
        let (median, most) = said.split_once(' ').unwrap();
        medians.push(median.parse::<f64>().unwrap());
        longest = longest.max(most.parse().unwrap());
    }
    let span = began.elapsed();
    done.store(true, Ordering::Relaxed);
    watcher.join().unwrap();
    medians.sort_by(f64::total_cmp);
    check(&world.sql(), each);
    if part == "--part-of-poster" {
        check_as_read(&world, each);
    }
    PosterFigures {
        rate: (each * WRITERS) as f64 / span.as_secs_f64(),
        median_ms: medians[WRITERS / 2] / 1000.0,
        longest_ms: longest / 1000.0,
        wal_mb: largest.load(Ordering::Relaxed) as f64 / 1_048_576.0,
    }
}

/// Asserts that every message is stored once, in the posting order of each writer.
fn check(sql: &Connection, each: usize) {
    let mut next = vec![0; WRITERS];
    let mut statement = sql
        .prepare("SELECT from_name, body FROM message ORDER BY id")
        .unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    for row in rows {
        let (from, body): (String, String) = row.unwrap();
        let writer: usize = from.trim_start_matches('p').parse().unwrap();
        assert!(
            body.ends_with(&format!(" {}", next[writer])),
            "{from}: {body}"
        );
        next[writer] += 1;
    }
    assert_eq!(next, vec![each; WRITERS]);
}

/// Asserts that reading a mailbox page by page returns all its messages in the order of the file.
fn check_as_read(world: &BenchWorld, each: usize) {
    let sql = world.sql();
    let mut statement = sql
        .prepare("SELECT m.id FROM message m JOIN peer p ON p.id = m.to_peer WHERE p.name = ?1 ORDER BY m.id")
        .unwrap();
    let mut mesh = Mesh::open(&world.database(), Arc::new(SystemClock::new())).unwrap();
    for number in 0..WRITERS {
        let name = format!("p{number}");
        let me = mesh.register(&request(&world.project(&name))).unwrap();
        let stored: Vec<String> = statement
            .query_map([me.name.as_str()], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let (mut after, mut read): (Option<MessageId>, Vec<String>) = (None, Vec::new());
        loop {
            let wanted = MessageFilter {
                limit: 100,
                after,
                ..MessageFilter::default()
            };
            let page = mesh.messages(&me, &wanted).unwrap().messages;
            read.extend(page.iter().map(|message| message.id.to_string()));
            match page.last() {
                Some(last) => after = Some(last.id),
                None => break,
            }
        }
        assert_eq!(read.len(), each, "{name}");
        assert!(read == stored, "{name} reads another order than the file's");
    }
}

fn request(project: &std::path::Path) -> JoinRequest {
    let mut request = JoinRequest::here(project).unwrap();
    request.kind = PeerKind::Session;
    request
}

fn message_text(writer: usize, number: usize) -> String {
    format!("the build of service {writer} is green again, number {number}")
}

/// A process that posts to its neighbour as fast as it can, with the library.
pub(crate) fn poster(arguments: &[String]) {
    let (database, project, writer, each) = read(arguments);
    let mut mesh = Mesh::open(database.as_ref(), Arc::new(SystemClock::new())).unwrap();
    let me = mesh.register(&request(project.as_ref())).unwrap();
    let to = Recipient::parse(&format!("p{}", (writer + 1) % WRITERS)).unwrap();
    run_posts(each, |number| {
        mesh.post(&me, &MessageDraft::of(&to, &message_text(writer, number)))
            .unwrap();
    });
}

/// A process that does the same inserts in bare SQL, and waits for the lock with the busy timeout of `SQLite`.
pub(crate) fn sql_poster(arguments: &[String]) {
    let (database, _, writer, each) = read(arguments);
    let mut sql = Connection::open(database).unwrap();
    sql.execute_batch("PRAGMA synchronous = NORMAL").unwrap();
    sql.busy_timeout(Duration::from_secs(60)).unwrap();
    sql.set_prepared_statement_cache_capacity(64);
    sql.execute(
        "INSERT INTO peer (id, kind, name, wanted, project, seat, created_at_ms, last_seen_at_ms) VALUES (?1, 'session', ?2, ?2, ?2, 1, 1, 1)",
        params![format!("01K{writer:023}"), format!("p{writer}")],
    )
    .unwrap();
    let (from, to) = (
        format!("01K{writer:023}"),
        format!("01K{:023}", (writer + 1) % WRITERS),
    );
    run_posts(each, |number| {
        insert(&mut sql, (&from, &to), writer, number);
    });
}

fn insert(sql: &mut Connection, (from, to): (&str, &str), writer: usize, number: usize) {
    let tx = sql
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    let last: Option<String> = tx
        .prepare_cached("SELECT max(id) FROM message")
        .unwrap()
        .query_row([], |row| row.get(0))
        .unwrap();
    let last: u64 = last.map_or(0, |id| id[3..].parse().unwrap());
    let id = format!("01M{:023}", last + 1);
    tx.prepare_cached("INSERT INTO meta (key, value) VALUES ('last_id', ?1) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
        .unwrap()
        .execute([&id])
        .unwrap();
    tx.prepare_cached(
        "INSERT INTO message (id, from_peer, from_name, to_peer, type, body, posted_at_ms) VALUES (?1, ?2, ?3, ?4, 'text', ?5, 1)",
    )
    .unwrap()
    .execute(params![id, from, format!("p{writer}"), to, message_text(writer, number)])
    .unwrap();
    tx.prepare_cached("INSERT INTO event (type, at_ms, by_peer, subject, data) VALUES ('message.posted', 1, ?1, ?2, ?3)")
        .unwrap()
        .execute(params![from, id, r#"{"to":"p1","type":"text","bytes":40}"#])
        .unwrap();
    tx.commit().unwrap();
}

fn read(arguments: &[String]) -> (&str, &str, usize, usize) {
    let [database, project, writer, each] = arguments else {
        panic!("a database, a project, a number and a count are wanted")
    };
    (
        database,
        project,
        writer.parse().unwrap(),
        each.parse().unwrap(),
    )
}

/// Reports that it is ready, posts on command, and reports the median and the longest write in microseconds.
fn run_posts(each: usize, mut post: impl FnMut(usize)) {
    let mut out = std::io::stdout();
    writeln!(out, "ready").unwrap();
    std::io::stdin()
        .lock()
        .read_line(&mut String::new())
        .unwrap();
    let mut times: Vec<u128> = (0..each)
        .map(|number| {
            let began = Instant::now();
            post(number);
            began.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    writeln!(out, "{} {}", times[each / 2], times[each - 1]).unwrap();
}

/// A child process as the benchmark sees it.
struct Writer {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Writer {
    fn start(world: &BenchWorld, part: &str, number: usize, each: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .arg(part)
            .args([&world.database(), &world.project(&format!("p{number}"))])
            .args([number.to_string(), each.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = world.pin.on(Side::Far, || command.spawn().unwrap());
        Self {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn release_start(&mut self) {
        writeln!(self.stdin, "go").unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "a writer has ended");
        line.trim().to_owned()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
