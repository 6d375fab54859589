//! A mesh on a PostgreSQL server: what is refused and why, many writers at once, wake-ups by notification, lost connections.
use std::sync::mpsc;
use std::time::Duration;

use claude_mesh::mesh::{JoinRequest, Mesh, MeshOptions, PostgresPlace, SessionHandle};
use claude_mesh::model::peer::Address;
use claude_mesh::platform::id::{QuestionId, SessionId};
use claude_mesh::platform::{Fault, FaultKind};
use claude_mesh::store::{PasswordSource, PostgresLocation};

use crate::support::{PostgresServer, WAIT_TIMEOUT};

/// A schema of the server that is dropped at the end.
struct Schema {
    server: PostgresServer,
    name: String,
    folder: tempfile::TempDir,
}

impl Schema {
    fn new(what: &str) -> Option<Self> {
        Some(Self {
            server: PostgresServer::find(what)?,
            name: PostgresServer::unique_schema(),
            folder: tempfile::tempdir().unwrap(),
        })
    }

    fn place(&self, more: &str) -> PostgresPlace {
        self.place_at(self.server.location(&self.name, more))
    }

    fn place_at(&self, location: PostgresLocation) -> PostgresPlace {
        PostgresPlace::new(location, self.folder.path().join("mesh.db"))
    }

    fn mesh(&self) -> Mesh {
        Mesh::connect(&self.place(""), &MeshOptions::default()).unwrap()
    }

    /// Returns the URL with another user, and another database.
    fn url_of(&self, user: &str, database: &str) -> String {
        let (_, host) = self.server.url.split_once('@').unwrap();
        let (host, _) = host.split_once('/').unwrap();
        format!("postgres://{user}@{host}/{database}?schema={}", self.name)
    }

    /// Returns why a location cannot be connected to.
    fn fault(&self, url: &str) -> Fault {
        let location = PostgresLocation::parse(url).unwrap();
        let place = self.place_at(location);
        Mesh::connect(&place, &MeshOptions::default()).unwrap_err()
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let admin = self.server.admin();
            admin.execute(&format!(
                "SET client_min_messages TO warning; DROP SCHEMA IF EXISTS {} CASCADE",
                self.name
            ));
        }
    }
}

fn register(mesh: &mut Mesh, schema: &Schema, name: &str, instance: u32) -> SessionHandle {
    let project = schema.folder.path().join(name);
    std::fs::create_dir_all(&project).unwrap();
    let request = JoinRequest::here(&project).unwrap().instance(instance);
    mesh.register(&request).unwrap()
}

#[test]
fn unusable_server_is_refused_by_kind_with_a_hint() {
    let Some(schema) = Schema::new("refusals of a PostgreSQL server") else {
        return;
    };
    let cases = [
        (
            schema.url_of("locked", "mesh"),
            FaultKind::Permission,
            "password",
        ),
        (
            schema.url_of("reader", "mesh"),
            FaultKind::Permission,
            "lacks a right",
        ),
        (
            schema.url_of("mesh", "nowhere"),
            FaultKind::Other,
            "does not exist",
        ),
        (
            format!("postgres://mesh@127.0.0.1:1/mesh?schema={}", schema.name),
            FaultKind::Unreachable,
            "refused",
        ),
    ];
    for (url, kind, expected) in cases {
        let fault = schema.fault(&url);
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.contains(expected), "{fault}");
        assert!(
            fault
                .message
                .starts_with("cannot use postgres://127.0.0.1:"),
            "{fault}"
        );
        assert!(!fault.hint.is_empty(), "{fault}");
    }
}

#[test]
fn wrong_password_is_refused_and_the_right_one_is_not_shown() {
    let Some(schema) = Schema::new("passwords of PostgreSQL") else {
        return;
    };
    let admin = schema.server.admin();
    admin.execute(&format!(
        "CREATE SCHEMA {} AUTHORIZATION locked",
        schema.name
    ));
    let passfile = schema.folder.path().join("pgpass");
    let location = |password: &str| {
        std::fs::write(&passfile, format!("*:*:mesh:locked:{password}\n")).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&passfile, private).unwrap();
        PostgresLocation::parse(&schema.url_of("locked", "mesh"))
            .unwrap()
            .with_password(&PasswordSource::PassFile(passfile.clone()))
            .unwrap()
    };
    let wrong = schema.place_at(location("hunter2"));
    let fault = Mesh::connect(&wrong, &MeshOptions::default()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permission, "{fault}");
    assert!(fault.hint.contains("PGPASSFILE"), "{}", fault.hint);
    assert!(!format!("{fault:?}{wrong:?}").contains("hunter2"));
    let right = schema.place_at(location("correct"));
    Mesh::connect(&right, &MeshOptions::default()).unwrap();
}

#[test]
fn foreign_newer_or_limited_schema_is_refused_unchanged() {
    let Some(schema) = Schema::new("foreign schemas of PostgreSQL") else {
        return;
    };
    let (admin, name) = (schema.server.admin(), &schema.name);
    let own = || schema.fault(&schema.url_of("mesh", "mesh"));
    admin.execute(&format!(
        "CREATE SCHEMA {name}; CREATE TABLE {name}.invoice (id int)"
    ));
    assert_eq!(own().kind, FaultKind::ForeignFile);
    admin.execute(&format!("CREATE TABLE {name}.meta (key text, value text)"));
    assert_eq!(own().kind, FaultKind::ForeignFile);
    let tables = format!("SELECT count(*) FROM pg_tables WHERE schemaname = '{name}'");
    assert_eq!(admin.text(&tables), "2");
    admin.execute(&format!("DROP SCHEMA {name} CASCADE"));
    drop(schema.mesh());
    admin.execute(&format!(
        "UPDATE {name}.meta SET value = '99' WHERE key = 'min_reader'"
    ));
    let newer = own();
    assert_eq!(newer.kind, FaultKind::NewerSchema);
    assert!(
        newer.message.contains("this program knows up to"),
        "{newer}"
    );
    admin.execute(&format!("DROP SCHEMA {name} CASCADE"));
    let role = format!("limited_{name}");
    admin.execute(&format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT 0"));
    let crowded = schema.fault(&schema.url_of(&role, "mesh"));
    assert_eq!(crowded.kind, FaultKind::Busy, "{crowded}");
    assert!(crowded.hint.contains("max_connections"), "{}", crowded.hint);
    admin.execute(&format!(
        "ALTER ROLE {role} CONNECTION LIMIT 5; ALTER ROLE {role} SET default_transaction_read_only TO on"
    ));
    let standby = schema.fault(&schema.url_of(&role, "mesh"));
    assert_eq!(standby.kind, FaultKind::Permission);
    assert!(standby.message.contains("read-only"), "{standby}");
    admin.execute(&format!("DROP ROLE {role}"));
}

#[test]
fn database_without_trigrams_says_who_can_create_them() {
    let Some(schema) = Schema::new("a database without pg_trgm") else {
        return;
    };
    let (admin, bare) = (schema.server.admin(), format!("bare_{}", schema.name));
    admin.execute(&format!("CREATE DATABASE {bare}"));
    let (_, address) = schema.server.url.rsplit_once('@').unwrap();
    let (host, _) = address.split_once('/').unwrap();
    let inside = PostgresServer {
        url: format!("postgres://mesh@{host}/{bare}"),
    };
    inside.admin().execute(&format!(
        "CREATE SCHEMA {} AUTHORIZATION reader",
        schema.name
    ));
    let fault = schema.fault(&schema.url_of("reader", &bare));
    assert_eq!(fault.kind, FaultKind::Permission);
    assert!(
        fault.hint.contains("CREATE EXTENSION pg_trgm"),
        "{}",
        fault.hint
    );
    admin.execute(&format!("DROP DATABASE {bare} WITH (FORCE)"));
}

#[test]
fn server_certificate_is_checked_against_the_given_roots() {
    let Some(schema) = Schema::new("TLS to PostgreSQL") else {
        return;
    };
    let data = schema.server.admin().text("SHOW data_directory");
    let certificate = std::path::Path::new(&data).with_file_name("server.crt");
    let more = format!("&sslmode=verify-full&sslrootcert={}", certificate.display());
    let mut mesh = Mesh::connect(&schema.place(&more), &MeshOptions::default()).unwrap();
    register(&mut mesh, &schema, "ada", 1);
    let secure = "SELECT bool_and(ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE application_name = 'claude-mesh' AND ssl";
    assert_eq!(schema.server.admin().text(secure), "t");
    let unknown = schema.url_of("mesh", "mesh") + "&sslmode=verify-full";
    let fault = schema.fault(&unknown);
    assert!(fault.message.contains("TLS"), "{fault}");
}

#[test]
fn writers_on_many_connections_get_ids_in_commit_order() {
    let Some(schema) = Schema::new("writers on PostgreSQL") else {
        return;
    };
    let place = schema.place("");
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let (place, folder) = (place.clone(), schema.folder.path().to_owned());
            std::thread::spawn(move || {
                // The first of them creates the mesh.
                let mut mesh = Mesh::connect(&place, &MeshOptions::default()).unwrap();
                let project = folder.join(format!("p{number}"));
                std::fs::create_dir_all(&project).unwrap();
                let request = JoinRequest::here(&project).unwrap().instance(number + 1);
                let me = mesh.register(&request).unwrap();
                for step in 0..10 {
                    let event = serde_json::json!({ "step": step });
                    let event =
                        claude_mesh::mesh::ProjectEvent::of(&project, "project.step", &event);
                    mesh.emit(&me, &event).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let admin = schema.server.admin();
    admin.execute(&format!("SET search_path TO {}", schema.name));
    assert_eq!(
        admin.text("SELECT count(*) FROM event WHERE type = 'project.step'"),
        "80"
    );
    let gaps = "SELECT count(*) = max(seq) AND min(seq) = 1 FROM event";
    assert_eq!(admin.text(gaps), "t", "numbers without a gap");
    let order = "SELECT count(*) FROM (SELECT at_ms, lag(at_ms) OVER (ORDER BY seq) AS before FROM event) e WHERE at_ms < before";
    assert_eq!(admin.text(order), "0", "time does not run back");
}

#[test]
fn commit_wakes_a_listener_also_after_its_connection_was_lost() {
    let Some(schema) = Schema::new("notifications of PostgreSQL") else {
        return;
    };
    let mut mesh = schema.mesh();
    let (ada, bo) = (
        register(&mut mesh, &schema, "ada", 1),
        register(&mut mesh, &schema, "bo", 2),
    );
    let hub = schema.place("");
    let (sender, woken) = mpsc::channel::<Option<SessionId>>();
    let listener = hub
        .listen(move |session| {
            let _ = sender.send(session);
        })
        .unwrap();
    let mut other = Mesh::connect(&hub, &MeshOptions::default()).unwrap();
    let before = other.change_mark().unwrap();
    let draft = claude_mesh::mesh::QuestionDraft::of("which port?");
    mesh.ask(&ada, &[Address::parse("bo").unwrap()], &draft)
        .unwrap();
    let wait_for = |wanted: Option<SessionId>| loop {
        let session = woken.recv_timeout(WAIT_TIMEOUT).expect("it is woken");
        if session == wanted {
            return;
        }
    };
    wait_for(Some(bo.session));
    assert_ne!(other.change_mark().unwrap(), before);
    schema.server.admin().execute(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN claude_mesh_' || (SELECT oid FROM pg_namespace WHERE nspname = '{}')",
        schema.name
    ));
    wait_for(None);
    // Every connection of the mesh is lost too; the next operation connects again.
    let killed = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = 'claude-mesh' AND query NOT LIKE 'LISTEN %'";
    schema.server.admin().text(killed);
    let reply = claude_mesh::mesh::Reply {
        question: pending_question(&mut mesh, &bo),
        text: "8080",
        decline: false,
        corrects: false,
        force: false,
        fork: None,
    };
    mesh.reply(&bo, reply).unwrap();
    wait_for(Some(ada.session));
    drop(listener);
}

fn pending_question(mesh: &mut Mesh, me: &SessionHandle) -> QuestionId {
    mesh.inbox(me).unwrap().questions[0].delivery.question.id
}

#[test]
fn mesh_works_on_the_threads_of_either_runtime() {
    let Some(schema) = Schema::new("runtimes around PostgreSQL") else {
        return;
    };
    let work = || {
        let mut mesh = schema.mesh();
        register(&mut mesh, &schema, "ada", 1);
        mesh.status().unwrap().peers
    };
    let several = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let one = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    several.block_on(async { work() });
    several.block_on(async { tokio::task::block_in_place(work) });
    one.block_on(async { work() });
}

#[test]
fn lock_that_others_hold_is_waited_for_and_reported_busy() {
    let Some(schema) = Schema::new("the lock of a mesh on PostgreSQL") else {
        return;
    };
    let mut mesh = schema.mesh();
    let ada = register(&mut mesh, &schema, "ada", 1);
    let admin = schema.server.admin();
    let key = admin.text(&format!(
        "SELECT oid FROM pg_namespace WHERE nspname = '{}'",
        schema.name
    ));
    let class = 0x434d_7368;
    admin.execute(&format!(
        "BEGIN; SELECT pg_advisory_xact_lock({class}, {key})"
    ));
    for timeout in [Duration::ZERO, Duration::from_millis(50)] {
        mesh.set_lock_timeout(timeout);
        let busy = mesh.set_activity(&ada, "busy").unwrap_err();
        let claude_mesh::model::Error::Fault(fault) = busy else {
            panic!("{busy}");
        };
        assert_eq!(fault.kind, FaultKind::Busy, "{fault}");
    }
    mesh.inbox(&ada).unwrap();
    admin.execute("COMMIT");
    mesh.set_activity(&ada, "busy").unwrap();
}
