//! A mesh in the middle of its work, as a person meets it at a board: for pictures, and for checks of a whole page.
use serde_json::{Value, json};

use super::{InFlight, Session, World, wait_until};

/// Sessions that work, wait, ask and hold claims.
pub(crate) struct PopulatedMesh {
    frontend: Session,
    backend: Session,
    docs: Session,
    infra: Session,
    _billing: Session,
}

impl PopulatedMesh {
    pub(crate) fn open(world: &World) -> Self {
        world.cli(&world.home(), &["wall", "clients/acme", "acme"]);
        let frontend = world.session("frontend");
        let backend = world.session("backend");
        let docs = world.session("docs");
        let infra = world.session("infra");
        let billing = world.session("clients/acme/billing");
        for (session, status, prompt) in [
            (&frontend, "busy", "Build the settings page"),
            (&backend, "busy", "Fix the flaky login test"),
            (&docs, "waiting", "Publish the documents of 0.4"),
            (&infra, "idle", "Rotate the certificates of staging"),
            (&billing, "idle", "Round invoices to whole cents"),
        ] {
            session.register(status);
            session.hook(
                "UserPromptSubmit",
                json!({ "prompt": prompt, "prompt_id": "turn-1" }),
            );
        }
        let mesh = Self {
            frontend,
            backend,
            docs,
            infra,
            _billing: billing,
        };
        mesh.add_tasks_and_memories();
        mesh.add_claims();
        mesh.add_conversation();
        mesh
    }

    /// Lets two sessions ask the person, one after the other. The calls wait.
    pub(crate) fn ask_person(&self) -> [InFlight<'_>; 2] {
        let login = "The login test fails only when two sessions share a cookie jar. Shall I forbid that in the API, \
            which breaks callers, or lock the jar?";
        let release = "Publish 0.4 today, or wait for the benchmark of the search?";
        [
            self.ask_person_from(&self.backend, login),
            self.ask_person_from(&self.docs, release),
        ]
    }

    /// Lets a session ask the person, and waits until the question is stored.
    fn ask_person_from<'a>(&'a self, session: &'a Session, question: &str) -> InFlight<'a> {
        let open = || self.infra.call("mesh_status", json!({}))["questions"]["open"].as_u64();
        let before = open();
        let asked = session.start(
            "ask_peer",
            json!({ "to": "person", "question": question, "timeout_seconds": 600, "if_offline": "wait" }),
        );
        wait_until("the question is stored", || open() > before);
        asked
    }

    /// Lets a session ask an idle one, which does not read it yet. The call waits.
    pub(crate) fn ask_idle_session(&self) -> InFlight<'_> {
        let question = "Until when are the certificates of staging?";
        self.backend
            .start("ask_peer", json!({ "to": "infra", "question": question }))
    }

    /// Lets the idle session read its questions.
    pub(crate) fn deliver_to_idle_session(&self) {
        assert_eq!(self.infra.questions().len(), 1);
    }

    fn add_tasks_and_memories(&self) {
        let create = |fields: Value| {
            let created = self.frontend.call("create_task", fields);
            created["task"]["task_id"].as_str().unwrap().to_owned()
        };
        create(json!({ "title": "Write the page on roles", "assigned_to": "docs" }));
        create(json!({ "title": "Compare the index with the old one", "priority": "high" }));
        let settings = create(
            json!({ "title": "Settings page: show and change the port", "assigned_to": "frontend" }),
        );
        let certificates = create(
            json!({ "title": "Rotate the certificates of staging", "assigned_to": "infra" }),
        );
        let tokens = create(
            json!({ "title": "Login: move tokens to the session store", "assigned_to": "backend" }),
        );
        for (task, statuses) in [
            (&settings, &["in_progress"][..]),
            (&certificates, &["in_progress", "in_review"]),
            (&tokens, &["in_progress", "in_review", "done"]),
        ] {
            for status in statuses {
                self.frontend
                    .call("update_task", json!({ "task_id": task, "status": status }));
            }
        }
        let fact = "The staging database listens on 5433 since the move; 5432 is the old one.";
        self.backend.call(
            "remember",
            json!({ "text": fact, "key": "staging-db", "tags": ["db"], "scope": "mesh" }),
        );
    }

    fn add_claims(&self) {
        let claim = |session: &Session, resource: &str, more: Value| {
            let mut arguments = json!({ "resource": resource });
            for (key, value) in more.as_object().into_iter().flatten() {
                arguments[key] = value.clone();
            }
            session.call("claim", arguments);
        };
        let note = json!({ "note": "moves the lock out of the loop", "lease_seconds": 600 });
        claim(&self.backend, "session store", note);
        let shared = json!({ "mode": "shared", "lease_seconds": 3600 });
        claim(&self.docs, "staging", shared.clone());
        claim(&self.frontend, "staging", shared);
        for session in [&self.docs, &self.frontend] {
            claim(session, "session store", json!({ "wait": "queue" }));
        }
    }

    fn add_conversation(&self) {
        let question = "Which port does the staging database use now?";
        let asked = self.frontend.start(
            "ask_peer",
            json!({ "to": "backend", "question": question, "timeout_seconds": 60 }),
        );
        let id = self.backend.next_question();
        self.backend
            .send_reply(&id, "5433 since the move; 5432 is the old one.");
        asked.result();
        self.docs.call(
            "post",
            json!({ "to": "*", "subject": "Staging", "body": "The staging database restarts at 15:00 for two minutes." }),
        );
    }
}
