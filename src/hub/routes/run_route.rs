//! Runs a request of a route: checks the scope of the key, reads the arguments, calls the operation, and makes the response.
use std::sync::Arc;

use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::hub::api_error::ApiError;
use crate::hub::caller::Caller;
use crate::hub::routes::idempotent_request::{
    IDEMPOTENT_REPLAYED, IdempotentRequest, key_of_other_request, outcome_unknown,
};
use crate::hub::routes::rest_route::{RestRoute, Special, find_entry};
use crate::hub::routes::route_request::RouteRequest;
use crate::hub::state::Hub;
use crate::mesh::EarlierCall;
use crate::model::access_key::{KeyHolder, KeyScope};
use crate::platform::id::QuestionId;
use crate::tools::{awaited_questions, single_step};

/// The longest chat message in characters.
const CHAT_CHARS_MAX: usize = 2_000;

/// A route, and who calls it.
pub(super) struct RouteCall {
    pub(super) route: &'static RestRoute,
    pub(super) hub: Arc<Hub>,
    pub(super) caller: Caller,
}

impl RouteCall {
    /// Returns the response of a request.
    pub(super) async fn respond(
        &self,
        path: &RawPathParams,
        request: Request,
    ) -> Result<Response, ApiError> {
        self.caller.require(self.route.scope)?;
        let headers = request.headers().clone();
        let read = RouteRequest::read(self.route, path, request).await?;
        let keyed = if self.route.scope == KeyScope::Read {
            None
        } else {
            IdempotentRequest::of(&self.caller, &headers, &read.content)?
        };
        let Some(keyed) = keyed else {
            let (status, body) = self.run(read).await?;
            return Ok(self.response(status, &body));
        };
        let (status, body) = match keyed.find_earlier(&self.caller).await? {
            EarlierCall::None => self.run_once(read, keyed).await?,
            EarlierCall::Completed { status, response } => return Ok(replayed(status, &response)),
            // Only a call of a host is ended before it comes.
            EarlierCall::OtherCall | EarlierCall::Ended => return Err(key_of_other_request()),
            EarlierCall::Stored { questions } if !questions.is_empty() => {
                let awaited = self.await_questions(&read, &questions).await?;
                self.complete(&keyed, awaited).await
            }
            // A claim that is made twice is renewed.
            EarlierCall::Stored { .. } if self.route.operation == "claim" => {
                let claimed = self.run(read).await?;
                self.complete(&keyed, claimed).await
            }
            EarlierCall::Stored { .. } => return Err(outcome_unknown()),
        };
        Ok(self.response(status, &body))
    }

    /// Runs a request that names an idempotency key. It goes on if its client vanishes, unless it waits: then its wait ends,
    /// and a repetition waits again.
    async fn run_once(
        &self,
        request: RouteRequest,
        keyed: IdempotentRequest,
    ) -> Result<(StatusCode, Value), ApiError> {
        let marked = Self {
            route: self.route,
            hub: Arc::clone(&self.hub),
            caller: keyed.mark(&self.caller),
        };
        let run = async move {
            let result = marked.run(request).await?;
            Ok(marked.complete(&keyed, result).await)
        };
        if self.route.wait.is_some() {
            return run.await;
        }
        let ended = tokio::spawn(run).await;
        ended.unwrap_or_else(|_| Err(ApiError::internal()))
    }

    /// Stores the result of a request that names an idempotency key, and returns it.
    async fn complete(
        &self,
        keyed: &IdempotentRequest,
        (status, body): (StatusCode, Value),
    ) -> (StatusCode, Value) {
        keyed
            .complete(&self.caller, status, &body.to_string())
            .await;
        (status, body)
    }

    /// Waits for the answers to the questions that an earlier request with this idempotency key asked.
    async fn await_questions(
        &self,
        request: &RouteRequest,
        questions: &[QuestionId],
    ) -> Result<(StatusCode, Value), ApiError> {
        let awaited = awaited_questions(&request.arguments, questions);
        let operation = (find_entry("await_reply").handler)(awaited)?;
        let body = if request.ends_wait {
            self.caller.without_waiting().run(operation).await?
        } else {
            self.caller.run(operation).await?
        };
        Ok((self.status(&body, request.ends_wait), body))
    }

    fn response(&self, status: StatusCode, body: &Value) -> Response {
        let mut response = response(status, &body.to_string());
        if self.route.special == Special::EntityTag
            && let Some(version) = body["version"].as_i64()
            && let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\""))
        {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }

    /// Calls the operation and returns status and body.
    async fn run(&self, request: RouteRequest) -> Result<(StatusCode, Value), ApiError> {
        let route = self.route;
        let caller = &self.caller;
        match route.special {
            Special::OwnName => self.check_own_name(request.path_parameter("name")).await?,
            Special::Unregister if self.is_own_name(request.path_parameter("name")).await? => {
                let ended = caller.mesh().end_session(caller.session()).await?;
                return Ok((StatusCode::OK, json!({ "unregistered": ended })));
            }
            Special::Unregister => caller.require(KeyScope::Admin)?,
            Special::Meshes => return Ok((StatusCode::OK, self.meshes()?)),
            Special::Chat => check_chat(&request)?,
            Special::None | Special::EventStream | Special::EntityTag => {}
        }
        let ttl_seconds = request.arguments.get("ttl_seconds").and_then(Value::as_i64);
        let ends_wait = request.ends_wait;
        let operation = (find_entry(request.operation).handler)(request.arguments)?;
        let body = if ends_wait {
            caller.without_waiting().run(operation).await?
        } else {
            caller.run(operation).await?
        };
        if route.operation == "register"
            && let Some(seconds) = ttl_seconds
        {
            caller.session().set_ttl_ms(seconds.saturating_mul(1000));
        }
        Ok((self.status(&body, ends_wait), body))
    }

    /// Returns the status of a result.
    fn status(&self, body: &Value, ends_wait: bool) -> StatusCode {
        let is_reply = matches!(
            body["status"].as_str(),
            Some("answered" | "declined" | "known")
        );
        if ends_wait && !is_reply {
            return StatusCode::ACCEPTED;
        }
        if body["created"] == false {
            return StatusCode::OK;
        }
        StatusCode::from_u16(self.route.status).unwrap_or(StatusCode::OK)
    }

    async fn check_own_name(&self, name: &str) -> Result<(), ApiError> {
        if self.is_own_name(name).await? {
            return Ok(());
        }
        Err(ApiError::forbidden(
            &format!("the key does not speak for {name:?}"),
            "Write `me`, or use a key of that peer.",
        ))
    }

    /// Returns whether a name in a path is that of the caller.
    async fn is_own_name(&self, name: &str) -> Result<bool, ApiError> {
        let name = name.trim().to_lowercase();
        if name == "me" {
            return Ok(true);
        }
        let own = single_step(|call| Ok(json!(call.me.name)));
        Ok(self.caller.run(own).await? == name.as_str())
    }

    /// Lists all meshes of the hub for a board; for another key its own.
    fn meshes(&self) -> Result<Value, ApiError> {
        let locations = match self.caller.key().holder {
            KeyHolder::Board => self.hub.locations()?,
            _ => vec![self.caller.mesh().location.clone()],
        };
        let mesh = |location: &crate::platform::isolation::MeshLocation| json!({ "name": location.name, "path": location.database });
        let meshes: Vec<Value> = locations.iter().map(mesh).collect();
        Ok(json!({ "meshes": meshes }))
    }
}

fn check_chat(request: &RouteRequest) -> Result<(), ApiError> {
    let message = request.arguments.get("message").and_then(Value::as_str);
    let chars = message.map_or(0, |message| message.chars().count());
    if chars <= CHAT_CHARS_MAX {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        &format!("\"message\" has {chars} characters; the limit is {CHAT_CHARS_MAX}"),
        "Send a shorter text, or post it as a message.",
    ))
}

/// Returns a response that was stored.
fn replayed(status: u16, body: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = response(status, body);
    let replayed = HeaderValue::from_static("true");
    response.headers_mut().insert(IDEMPOTENT_REPLAYED, replayed);
    response
}

fn response(status: StatusCode, body: &str) -> Response {
    let content_type = (header::CONTENT_TYPE, "application/json");
    (status, [content_type], body.to_owned()).into_response()
}
