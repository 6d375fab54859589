//! Every requirement with the tests that hold it. `cargo test --test suite requirements -- --nocapture` prints the table.
//!
//! A test names its requirements in a comment above `#[test]`: `// Requirement: Ask 1, Mesh 4`. There is no other list of tests.
use std::collections::BTreeMap;
use std::path::Path;

/// A part and the number of a requirement in it.
type Number = (String, usize);

/// The parts and their requirements, which are numbered from 1.
const REQUIREMENTS: [(&str, &[&str]); 6] = [
    (
        "Ask",
        &[
            "a question blocks until its answer or its timeout",
            "one database file, created and migrated by the first run, opened by every program, no daemon",
            "MESH_DB_PATH comes from the environment, else from a .env above the program",
            "the server and the hooks are separate programs",
            "it installs for the user or for one project, with bare program names in committed files",
            "the project is what the environment says, else the working directory",
            "a committed file names the project; without a name the folder does",
            "hooks register, deliver pending items, continue the turn, unregister",
            "a late end of an earlier conversation does not end a newer registration",
            "hooks exit 0 even on failure",
            "register, list, ask, reply, poll",
            "late answers are delivered, questions for offline peers are queued, wake-ups replace polling",
        ],
    ),
    (
        "Mesh",
        &[
            "no daemon and no port; a mesh for each folder, and a variable that overrides it",
            "presence, claims, messages and retention are tools and commands",
            "registering renews the session; after its death the epoch rises",
            "a peer is alive, stale for thirty seconds, then dead; dead peers are hidden unless asked for",
            "a claim is granted, denied or queued; claiming again renews it",
            "shared holders hold together, an exclusive holder alone",
            "the fencing token rises with every grant and survives everything",
            "release ends a claim or leaves the queue; the next tickets are promoted",
            "dead sessions and expired leases are reaped at the next access",
            "the list of claims shows holders and queues, the list of peers what each holds",
            "post a message to one peer, to all, to a topic",
            "listing messages moves no cursor",
            "marking messages as read moves the cursor forward only",
            "ids have one total order; each mailbox has a cursor",
            "gc removes expired rows and reports how many",
            "it works alone: lines of JSON, and a library with a clock of the caller",
            "deleting the folder resets the mesh",
            "every change is complete or absent; the lock of a crashed writer blocks no other",
            "two commands set it up",
        ],
    ),
    (
        "Sharing",
        &[
            "peers by machine, directory or repository, with their details",
            "a summary of 500 characters",
            "send to one peer or to all, as text, JSON, command or alert",
            "an inbox of unread or all messages, of one sender, with a limit",
            "state: get, set, list and delete, in the scope of the project",
            "advisory locks of files, with a reason and an end",
            "events: read by type and time, subscribe, unsubscribe",
            "a status with counters",
            "the same over HTTP",
            "a token on every route except health",
            "a limit on requests of a peer and on their size",
        ],
    ),
    (
        "Peers",
        &[
            "any client that speaks the protocol takes part",
            "each peer has its own id and a lasting name",
            "a message from one peer to another waits until it is read",
            "topics by name: subscribe, publish, every subscriber receives it",
            "a task is assigned to a peer, which is notified; its creator is notified of its end",
            "a memory that all peers search, with tags and expiry, across restarts",
            "who is present, under which lasting name, and what it works on",
            "several machines, one mesh",
            "a secret on every request, from registration on",
            "one file for all, opened by one server for each client",
            "a new peer gets a name, and other clients get their configuration",
        ],
    ),
    (
        "Tasks",
        &[
            "one board for models and people, in every client",
            "it starts by itself, with nothing to configure",
            "a key made at the start, required on every request",
            "a server that is supervised and restarted",
            "a lifecycle from todo to done, with rejection and its reason, and cancellation at the end of a project",
            "the fields of a task, and filters by them",
            "one peer creates, one works and reads why it was rejected, one reviews",
            "the same title twice is one task",
            "writes are serialized, and every read has one shape",
            "a stream of events over HTTP",
            "each change of a task, each message and each event of a project is in the event log",
            "tasks, messages and events over HTTP",
            "create, update, list, update in bulk, cancel stale tasks, post, recall",
            "tasks, messages and memories in one file, counted exactly",
            "any client that speaks the protocol connects",
        ],
    ),
    (
        "Beyond",
        &[
            "a question survives timeouts, restarts and being asked twice",
            "a deadlock of questions and claims is reported to the session that closes the cycle",
            "a waiting call is woken by a doorbell, without a daemon; the benchmark measures how fast",
            "one total order of all events",
            "a claim is checked where files are edited and commits are made",
            "the next session in a claim queue is woken when it is promoted",
            "the delivery state of a question is reported correctly",
            "compare-and-set on shared state",
            "names last, differ between worktrees and second sessions, and never lead to another peer",
            "hooks are small and wait for nothing; the benchmark measures how long they take",
            "the end of a turn is deferred a bounded number of times, and no question is lost by that",
            "the text of a hook stays within the limit of the client, the important first, each text once a turn",
            "a stream that continues where it was interrupted",
            "a server ends with its client, however that ends",
            "isolation: the content of another mesh does not exist here",
            "throttle: a budget of turns, quiet, pause, and no endless chain of questions",
            "an ask returns prior answers when no peer can answer now",
            "an upgrade does not break running sessions",
            "a busy peer answers from a fork of its session",
            "the person is a peer: asked by name, reached at the board, the command line or by a notification",
            "several machines, one mesh, with the same promises",
            "what was written without a network is sent once when it is back",
            "a guard for the commands of git in a claimed working tree",
            "a board shows how far each question came, and first what needs the person",
        ],
    ),
];

/// Requirements that no test holds yet, and why. The first test removes a requirement from this list.
const UNTESTED: &[(&str, usize, &str)] = &[
    (
        "Peers",
        8,
        "a mesh is one file on one machine; other machines reach it over HTTP, but none has a mesh in common",
    ),
    (
        "Beyond",
        21,
        "sessions of other machines are not in a mesh yet",
    ),
    ("Beyond", 22, "no session writes over a network yet"),
    (
        "Beyond",
        23,
        "the guard checks edits and commits, no other commands of git",
    ),
    (
        "Beyond",
        24,
        "the board has both; the tests in a browser check other things of it",
    ),
];

const MARK: &str = "// Requirement: ";

#[test]
fn every_requirement_has_a_test_or_a_reason() {
    let mut tests = tests();
    let mut problems = Vec::new();
    for (part, descriptions) in REQUIREMENTS {
        for (index, description) in descriptions.iter().enumerate() {
            let number = index + 1;
            let names = tests.remove(&(part.to_owned(), number)).unwrap_or_default();
            let reason = UNTESTED
                .iter()
                .find_map(|(p, n, why)| ((*p, *n) == (part, number)).then_some(*why));
            print_requirement(
                &format!("{part} {number:>2}  {description}"),
                &names,
                reason,
            );
            if names.is_empty() != reason.is_some() {
                problems.push(format!(
                    "{part} {number} ({description}): tests {names:?}, UNTESTED {reason:?}"
                ));
            }
        }
    }
    for ((part, number), names) in tests {
        problems.push(format!(
            "there is no requirement {part} {number}, named by {names:?}"
        ));
    }
    for (part, number, _) in UNTESTED {
        let descriptions = REQUIREMENTS.iter().find(|(name, _)| name == part);
        if descriptions.is_none_or(|(_, all)| *number == 0 || *number > all.len()) {
            problems.push(format!(
                "UNTESTED names {part} {number}, which does not exist"
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn requirement_comment_belongs_to_the_test_below_it() {
    let source = "
        // Requirement: Ask 1, Mesh 12
        #[cfg(unix)]
        #[test]
        fn one() {}

        #[test]
        fn two() {}

        // Requirement: Ask 1
        fn no_test() {}";
    let found = marked_tests(source);
    let expected = [("Ask", 1, "one"), ("Mesh", 12, "one"), ("Ask", 1, "")];
    assert_eq!(
        found,
        expected.map(|(part, number, name)| ((part.to_owned(), number), name.to_owned()))
    );
}

#[expect(
    clippy::print_stdout,
    reason = "the table is for a reader who runs this test with --nocapture"
)]
fn print_requirement(line: &str, names: &[String], reason: Option<&str>) {
    let reason = reason.map_or_else(String::new, |reason| {
        format!("            (not yet: {reason})\n")
    });
    println!("{line}");
    for name in names {
        println!("            {name}");
    }
    print!("{reason}");
}

/// Returns the tests of each requirement, in the suite and in the library.
fn tests() -> BTreeMap<Number, Vec<String>> {
    let mut found = BTreeMap::<Number, Vec<String>>::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in ["src", "tests"]
        .iter()
        .flat_map(|folder| crate::layers::files(&root.join(folder)))
    {
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if !is_source || path.ends_with(file!()) {
            continue;
        }
        for (number, name) in marked_tests(&std::fs::read_to_string(&path).unwrap()) {
            assert!(
                !name.is_empty(),
                "no test below `{MARK}` in {}",
                path.display()
            );
            found.entry(number).or_default().push(name);
        }
    }
    found
}

/// Returns each number in a requirement comment, and the test below it; no name if a function that is no test follows.
fn marked_tests(source: &str) -> Vec<(Number, String)> {
    let mut found = Vec::new();
    for after in source.split(MARK).skip(1) {
        let (numbers, below) = after.split_once('\n').unwrap_or((after, ""));
        let (attributes, function) = below.split_once("fn ").unwrap_or((below, ""));
        let name = if attributes.contains("#[test]") {
            function
        } else {
            ""
        };
        let name = name.split('(').next().unwrap_or_default();
        for number in numbers.split(", ") {
            let (part, number) = number.split_once(' ').expect("a part and a number");
            let number = number.trim().parse().expect("a number");
            found.push(((part.to_owned(), number), name.to_owned()));
        }
    }
    found
}
