//! Reads a request of a route: the arguments of its operation from path, query, body and headers, each strictly.
use axum::extract::{Query, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::hub::api_error::ApiError;
use crate::hub::routes::rest_route::{RestRoute, Special, find_entry};
use crate::model::Refusal;
use crate::tools::JsonObject;

/// The largest body in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The longest wait in seconds.
const WAIT_SECONDS_MAX: u32 = 3600;

/// A request that was read.
pub(super) struct RouteRequest {
    /// The operation that it calls.
    pub(super) operation: &'static str,
    pub(super) arguments: JsonObject,
    /// The parameters of the path by their names in the route.
    path_parameters: Vec<(String, String)>,
    /// Whether the wait of the operation ends at once.
    pub(super) ends_wait: bool,
    /// Method, path and body.
    pub(super) content: Vec<u8>,
}

impl RouteRequest {
    /// Reads a request; refuses what the route does not take.
    pub(super) async fn read(
        route: &RestRoute,
        path: &RawPathParams,
        request: Request,
    ) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, BODY_BYTES_MAX)
            .await
            .map_err(|_| too_large())?;
        let mut content = format!("{} {}\n", parts.method, parts.uri).into_bytes();
        content.extend_from_slice(&body);
        let mut read = Self {
            operation: route.operation,
            arguments: JsonObject::new(),
            path_parameters: path
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            ends_wait: false,
            content,
        };
        read.add_fixed(route);
        read.add_path(route);
        read.add_query(route, &parts)?;
        if route.method.has_body() {
            check_content_type(&parts.headers)?;
            read.add_body(route, &body)?;
        } else if !matches!(body.trim_ascii(), b"" | b"{}") {
            return Err(invalid("this route takes no body".into()));
        }
        if route.special == Special::EntityTag {
            read.add_expected_version(&parts.headers)?;
        }
        Ok(read)
    }

    /// Returns a parameter of the path.
    pub(super) fn path_parameter(&self, name: &str) -> &str {
        let mut parameters = self.path_parameters.iter();
        let found = parameters.find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    fn add_fixed(&mut self, route: &RestRoute) {
        for (name, value) in route.fixed {
            self.arguments.insert((*name).into(), (*value).into());
        }
    }

    fn add_path(&mut self, route: &RestRoute) {
        for (name, parameter) in route.path_parameters {
            if !parameter.is_empty() {
                let value = self.path_parameter(name).to_owned();
                self.arguments.insert((*parameter).into(), value.into());
            }
        }
    }

    fn add_query(&mut self, route: &RestRoute, parts: &Parts) -> Result<(), ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| invalid(format!("the query cannot be read: {error}")))?;
        let names = if route.method.has_body() {
            Vec::new()
        } else {
            route.parameters()
        };
        let schema = (route.entry().schema)();
        let mut wait = None;
        for (name, value) in pairs {
            if name == "wait" && route.wait.is_some() {
                wait = Some(value);
            } else if names.contains(&name) {
                let kind = ParameterKind::of(&schema["properties"][&name]);
                kind.insert(&mut self.arguments, name, value)?;
            } else {
                let known = route.wait.map(|_| "wait".to_owned());
                return Err(unknown(
                    "query parameter",
                    &name,
                    known.iter().chain(&names),
                ));
            }
        }
        self.add_wait(route, wait.as_deref())
    }

    fn add_wait(&mut self, route: &RestRoute, wait: Option<&str>) -> Result<(), ApiError> {
        let (Some(rule), Some(text)) = (route.wait, wait) else {
            return Ok(());
        };
        let seconds = text
            .parse::<u32>()
            .ok()
            .filter(|it| *it <= WAIT_SECONDS_MAX);
        let Some(seconds) = seconds else {
            return Err(invalid(format!(
                "\"wait\" must be a number of seconds from 0 to {WAIT_SECONDS_MAX}, got {text:?}"
            )));
        };
        if seconds == 0 {
            self.ends_wait = rule.by_default;
            return Ok(());
        }
        if let Some((name, value)) = rule.with {
            self.arguments.insert(name.into(), value.into());
        }
        self.operation = rule.operation.unwrap_or(route.operation);
        self.arguments.insert(rule.parameter.into(), seconds.into());
        Ok(())
    }

    fn add_body(&mut self, route: &RestRoute, body: &[u8]) -> Result<(), ApiError> {
        if body.is_empty() {
            return Ok(());
        }
        let object: JsonObject = serde_json::from_slice(body)
            .map_err(|error| invalid(format!("the body must be one JSON object: {error}")))?;
        let names = route.parameters();
        for (name, value) in object {
            if !names.contains(&name) {
                return Err(match name.as_str() {
                    "from" => invalid(
                        "\"from\" is not taken: the key decides who speaks; leave it out".into(),
                    ),
                    "timeout_seconds" | "wait_seconds" if route.wait.is_some() => invalid(format!(
                        "\"{name}\" is not taken: write ?wait=SECONDS in the address"
                    )),
                    _ => unknown("parameter", &name, names.iter()),
                });
            }
            self.arguments.insert(name, value);
        }
        Ok(())
    }

    /// Takes the expected version of a state entry from If-Match or If-None-Match.
    fn add_expected_version(&mut self, headers: &HeaderMap) -> Result<(), ApiError> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let version = match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
            (None, None) => return Ok(()),
            (None, Some("*")) => 0,
            (Some(tag), None) => tag.trim().trim_matches('"').parse::<u32>().map_err(|_| {
                invalid(format!(
                    "If-Match must be a version such as \"3\", got {tag:?}"
                ))
            })?,
            _ => return Err(invalid("give If-Match, or If-None-Match: *".into())),
        };
        let entry = find_entry(self.operation);
        let takes = self.arguments.get("action").is_some_and(|it| it != "get");
        if !takes || entry.name != "state" {
            return Err(invalid("If-Match belongs to a request that writes".into()));
        }
        let earlier = self
            .arguments
            .insert("expected_version".into(), version.into());
        if earlier.is_some() {
            return Err(invalid(
                "give If-Match or \"expected_version\", not both".into(),
            ));
        }
        Ok(())
    }
}

/// How a text of a query becomes a value. One that is not of its type stays a text, which the operation refuses by its name.
enum ParameterKind {
    Text,
    Integer,
    Boolean,
    /// Several texts; with `or_one` a single one stays a text.
    Texts {
        or_one: bool,
    },
}

impl ParameterKind {
    fn of(schema: &Value) -> Self {
        match schema["type"].as_str() {
            Some("integer") => Self::Integer,
            Some("boolean") => Self::Boolean,
            Some("array") => Self::Texts { or_one: false },
            None if schema["anyOf"].is_array() => Self::Texts { or_one: true },
            _ => Self::Text,
        }
    }

    fn insert(
        &self,
        arguments: &mut JsonObject,
        name: String,
        text: String,
    ) -> Result<(), ApiError> {
        let earlier = arguments.remove(&name);
        let value = match (self, earlier) {
            (Self::Texts { or_one }, earlier) => {
                let mut texts: Vec<Value> = match earlier {
                    Some(Value::Array(texts)) => texts,
                    Some(one) => vec![one],
                    None => Vec::new(),
                };
                texts.extend(text.split(',').map(Value::from));
                if *or_one && texts.len() == 1 {
                    texts.remove(0)
                } else {
                    texts.into()
                }
            }
            (_, Some(_)) => return Err(invalid(format!("\"{name}\" is given twice"))),
            (Self::Integer, None) => match text.parse::<i64>() {
                Ok(number) => number.into(),
                Err(_) => text.into(),
            },
            (Self::Boolean, None) => match text.parse::<bool>() {
                Ok(value) => value.into(),
                Err(_) => text.into(),
            },
            (Self::Text, None) => text.into(),
        };
        arguments.insert(name, value);
        Ok(())
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let has_body = headers
        .get(header::CONTENT_LENGTH)
        .map_or(headers.contains_key(header::TRANSFER_ENCODING), |length| {
            length != "0"
        });
    let content_type = headers.get(header::CONTENT_TYPE);
    if content_type.is_none() && !has_body {
        return Ok(());
    }
    let text = content_type.map_or("", |value| value.to_str().unwrap_or_default());
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        &format!("the body must be application/json, got {text:?}"),
        "Send the header Content-Type: application/json.",
    ))
}

fn invalid(problem: String) -> ApiError {
    Refusal::argument(problem).into()
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> ApiError {
    let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
    let expected = match known.as_slice() {
        [] => "none".into(),
        _ => known.join(", "),
    };
    let name = crate::platform::text::cut_chars(name, 60);
    invalid(format!(
        "\"{name}\": unknown {what} `{name}`, expected {expected}"
    ))
}

fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        &format!("the body has more than {BODY_BYTES_MAX} bytes"),
        "Send a shorter text; name the file that has the rest.",
    )
}
