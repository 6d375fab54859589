//! Results as JSON, under the keys that other programs build on: the same for the tools of the server, the command line and
//! the hooks. Each noun has a file.
mod claim;
mod memory;
mod message;
mod peer;
mod question;
mod state;
mod status;
mod task;

pub use crate::tools::output::claim::{claim, claim_queue, granted, released};
pub use crate::tools::output::memory::{
    memory, prior_answers, prior_answers_only, remembered, version,
};
pub use crate::tools::output::message::{message, posted, topic_subscribers};
pub use crate::tools::output::peer::{peer, ranked};
pub use crate::tools::output::question::{
    QuestionEnd, QuestionResult, delivery, late_answer, question_between, waiting,
};
pub use crate::tools::output::state::{deletion, entries, entry};
pub use crate::tools::output::status::status;
pub use crate::tools::output::task::{
    task, task_counts, task_created, task_updated, tasks_updated, unstarted_task,
};
