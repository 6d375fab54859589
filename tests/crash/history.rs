//! What the callers did, when, and what they got as the result.
use std::sync::Mutex;
use std::time::Instant;

use serde_json::Value;

/// One call. `result` is `None` if the program was killed before it answered.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) caller: usize,
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) what: What,
    pub(super) result: Option<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Ask { question: String },
    Reply { question_id: String, answer: String },
    Post { body: String },
    Claim { resource: String },
    Release { resource: String, fence: i64 },
    Read,
    CompareAndSet { expected: i64, value: String },
    CreateTask { title: String },
    Remember { text: String },
}

#[derive(Debug)]
pub(super) struct History {
    records: Mutex<Vec<Record>>,
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            records: Mutex::default(),
        }
    }

    /// Records a call around `call`. Returns its result.
    pub(super) fn record(
        &self,
        caller: usize,
        what: What,
        call: impl FnOnce() -> Option<Value>,
    ) -> Option<Value> {
        let began = Instant::now();
        let result = call();
        let record = Record {
            caller,
            began,
            ended: Instant::now(),
            what,
            result: result.clone(),
        };
        self.records.lock().unwrap().push(record);
        result
    }

    pub(super) fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }
}
