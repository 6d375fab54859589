//! One caller: opens a session in its project, calls tools and hooks in random order, and opens the next when it is killed.
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::Run;
use super::history::What;
use crate::support::{Session, fault_reports::hook_payload};

/// Callers compete for these.
const RESOURCES: [&str; 3] = ["port:5432", "deploy", "release"];

pub(super) struct Worker {
    number: usize,
    workers: usize,
    /// Client and server of its session.
    processes: Mutex<[Option<i32>; 2]>,
    texts: AtomicU64,
}

impl Worker {
    pub(super) fn new(number: usize, workers: u64) -> Self {
        Self {
            number,
            workers: usize::try_from(workers).unwrap(),
            processes: Mutex::default(),
            texts: AtomicU64::new(0),
        }
    }

    /// Returns a process that may be killed: mostly the server, sometimes the client.
    pub(super) fn victim(&self) -> Option<i32> {
        let [client, server] = *self.processes.lock().unwrap();
        if fastrand::u8(..4) == 0 {
            client
        } else {
            server
        }
    }

    pub(super) fn work(&self, run: &Run) {
        while !run.is_over() {
            let session = run.world.bare_session(&format!("w{}", self.number), &[]);
            run_hook(&session, "SessionStart");
            let client = i32::try_from(session.pid()).ok();
            *self.processes.lock().unwrap() = [client, session.server_pid()];
            while !run.is_over() && self.step(run, &session).is_some() {}
            *self.processes.lock().unwrap() = [None, None];
            drop(session);
        }
    }

    /// Does one random thing. Returns `None` if the session was killed.
    fn step(&self, run: &Run, session: &Session) -> Option<()> {
        match fastrand::u8(..100) {
            0..18 => self.ask(run, session),
            18..45 => self.answer_all(run, session),
            45..60 => self.post(run, session),
            60..70 => self.claim_and_release(run, session),
            70..82 => self.compare_and_set(run, session),
            82..87 => self.create_task(run, session),
            87..92 => self.remember(run, session),
            _ => {
                let event = if fastrand::bool() {
                    "UserPromptSubmit"
                } else {
                    "Stop"
                };
                run_hook(session, event);
                Some(())
            }
        }
    }

    fn text(&self, what: &str) -> String {
        let count = self.texts.fetch_add(1, Ordering::Relaxed);
        format!("{what} {} of w{}", count, self.number)
    }

    fn other(&self) -> String {
        let step = fastrand::usize(1..self.workers);
        format!("w{}", (self.number + step) % self.workers)
    }

    fn ask(&self, run: &Run, session: &Session) -> Option<()> {
        let question = self.text("question");
        let call = json!({ "to": self.other(), "question": question, "timeout_seconds": 2 });
        run.history
            .record(self.number, What::Ask { question }, || {
                session.try_call("ask_peer", call)
            })
            .map(drop)
    }

    fn answer_all(&self, run: &Run, session: &Session) -> Option<()> {
        let inbox = session.try_call("poll_inbox", json!({}))?;
        for question in inbox["questions"].as_array().into_iter().flatten() {
            let question_id = question["question_id"].as_str()?.to_owned();
            let answer = format!("answer to {}", question["question"].as_str()?);
            let call = json!({ "question_id": question_id, "answer": answer });
            let what = What::Reply {
                question_id,
                answer,
            };
            run.history.record(self.number, what, || {
                session.try_call("reply_to_peer", call)
            })?;
        }
        Some(())
    }

    fn post(&self, run: &Run, session: &Session) -> Option<()> {
        let body = self.text("message");
        let call = json!({ "to": self.other(), "body": body });
        run.history
            .record(self.number, What::Post { body }, || {
                session.try_call("post", call)
            })
            .map(drop)
    }

    fn claim_and_release(&self, run: &Run, session: &Session) -> Option<()> {
        let resource = fastrand::choice(RESOURCES)?.to_owned();
        let call = json!({ "resource": resource });
        let what = What::Claim {
            resource: resource.clone(),
        };
        let claimed = run
            .history
            .record(self.number, what, || session.try_call("claim", call))?;
        let Some(fence) = granted_fence(&claimed) else {
            return Some(());
        };
        std::thread::sleep(std::time::Duration::from_millis(fastrand::u64(..10)));
        let call = json!({ "resource": resource });
        run.history
            .record(self.number, What::Release { resource, fence }, || {
                session.try_call("release", call)
            })
            .map(drop)
    }

    fn compare_and_set(&self, run: &Run, session: &Session) -> Option<()> {
        let read = json!({ "action": "get", "key": "leader", "namespace": "shared" });
        let read = run
            .history
            .record(self.number, What::Read, || session.try_call("state", read))?;
        let expected = read["version"].as_i64()?;
        let value = self.text("value");
        let call = json!({
            "action": "set", "key": "leader", "namespace": "shared", "value": value, "expected_version": expected,
        });
        let what = What::CompareAndSet { expected, value };
        run.history
            .record(self.number, what, || session.try_call("state", call))
            .map(drop)
    }

    fn create_task(&self, run: &Run, session: &Session) -> Option<()> {
        let title = self.text("task");
        let call = json!({ "title": title });
        run.history
            .record(self.number, What::CreateTask { title }, || {
                session.try_call("create_task", call)
            })
            .map(drop)
    }

    fn remember(&self, run: &Run, session: &Session) -> Option<()> {
        let text = self.text("memory");
        let call = json!({ "text": text });
        run.history
            .record(self.number, What::Remember { text }, || {
                session.try_call("remember", call)
            })
            .map(drop)
    }
}

/// Runs a hook, which may be killed.
fn run_hook(session: &Session, event: &str) {
    let own_id = session.client_session.lock().unwrap().clone();
    let mut payload: Value = serde_json::from_str(&hook_payload(event)).unwrap();
    payload["session_id"] = own_id.into();
    session.raw_hook(event, payload.to_string().as_bytes());
}

/// Returns the fencing token of a claim, if it was granted and not only asked for.
pub(super) fn granted_fence(result: &Value) -> Option<i64> {
    result["fence"]
        .as_i64()
        .filter(|_| result["status"] == "granted")
}

/// Returns whether a call was refused.
pub(super) fn is_refused(result: &Value) -> bool {
    result.get("error").is_some()
}
