//! What the mod says to the server of its session, by calls of `poll_inbox` and `reply_to_peer`: which wake line it has
//! received, what a fork has answered, what no fork has answered.
//!
//! The parameters are in no schema, and count only in a call that a plugin has made: so no model passes its answer off as that
//! of a fork, and no plugin one as that of the session.
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::mesh::{ForkOffer, OfferedQuestion, PeerScope, PeerView};
use crate::model::fork::{ForkAnswer, ForkUsage};
use crate::model::{PeerKind, Refusal, Result};
use crate::platform::clock::parse_rfc3339;
use crate::platform::foreign_text::escape_reserved_tags;
use crate::tools::arguments;
use crate::tools::call::CallContext;
use crate::tools::entry::JsonObject;

/// What a fork says about its answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForkReplyParams {
    /// The time of the last message that it knew.
    as_of: String,
    /// Its tokens, as the Messages API has counted them.
    usage: Value,
}

/// What the mod wants. Without a field it only says that it is there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForkRequestParams {
    /// The nonce of a wake line that it has received: which questions are forks to answer?
    doorbell: Option<String>,
    /// The questions that no fork has answered.
    unanswered: Option<Vec<String>>,
}

/// Takes what the mod says out of the arguments of a call, so that no refusal of another parameter names it to a model.
pub(super) fn take_params<T: DeserializeOwned>(arguments: &mut JsonObject) -> Result<Option<T>> {
    match arguments.remove("fork") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(fork)) => arguments::read(fork).map(Some),
        Some(_) => Err(not_for_models()),
    }
}

/// Returns what a fork says about its answer; `None` if the session itself replies. Refuses one in the place of the other.
pub(super) fn checked_reply(
    fork: Option<&ForkReplyParams>,
    is_plain: bool,
    from_plugin: bool,
) -> Result<Option<ForkAnswer>> {
    match (fork, from_plugin) {
        (None, false) => Ok(None),
        (Some(_), false) => Err(not_for_models()),
        (None, true) => {
            let problem = "a plugin cannot answer for its session; \"fork\" is missing";
            Err(Refusal::argument(problem).into())
        }
        (Some(_), true) if !is_plain => {
            let problem = "a fork neither declines nor corrects";
            Err(Refusal::argument(problem).into())
        }
        (Some(fork), true) => {
            let as_of_ms = parse_rfc3339(&fork.as_of);
            let as_of_ms = as_of_ms.ok_or_else(|| {
                Refusal::argument(format!("\"as_of\" is no time: {:?}", fork.as_of))
            })?;
            Ok(Some(ForkAnswer {
                as_of_ms,
                usage: ForkUsage::of_value(&fork.usage),
            }))
        }
    }
}

/// Does what the mod wants.
pub(super) fn serve(request: &ForkRequestParams, call: &mut CallContext<'_>) -> Result<Value> {
    if !call.from_plugin {
        return Err(not_for_models());
    }
    call.mesh.note_mod();
    if let Some(unanswered) = &request.unanswered {
        let questions = unanswered.iter().map(|id| arguments::question_id(id));
        let questions = questions.collect::<Result<Vec<_>>>()?;
        call.mesh.give_up_forks(&call.me, &questions)?;
    }
    let offer = match &request.doorbell {
        Some(nonce) => call.mesh.offer_forks(&call.me, nonce)?,
        None => ForkOffer::default(),
    };
    let views = call.mesh.peers(Some(&call.me), PeerScope::Mesh, false)?;
    let is_other_session =
        |view: &&PeerView| view.peer.id != call.me.peer && view.peer.kind == PeerKind::Session;
    let waiting = call.mesh.inbox(&call.me)?.questions.len();
    Ok(json!({
        "you": call.me.name,
        "here": views.iter().filter(is_other_session).count(),
        "waiting": waiting,
        "questions": offer.questions.iter().map(offered_question).collect::<Vec<_>>(),
        "takes_line": offer.takes_line,
        "reads": offer.reads,
        "guard_socket": call.guard_socket,
    }))
}

fn offered_question(offered: &OfferedQuestion) -> Value {
    let question = &offered.question;
    json!({
        "question_id": question.id,
        "from": offered.from,
        "question": escape_reserved_tags(&question.question),
        "context": question.context.as_deref().map(escape_reserved_tags),
    })
}

fn not_for_models() -> crate::model::Error {
    Refusal::argument("\"fork\" is for the mod of claude-mesh; call without it").into()
}
