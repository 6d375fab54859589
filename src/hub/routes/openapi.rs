//! Describes the REST routes as an `OpenAPI` 3.1 document, built from the routes and from the schemas of the tools.
use serde_json::{Map, Value, json};

use crate::hub::routes::rest_route::{Method, RestRoute, Special};
use crate::hub::routes::result_schemas::{self, reference};

const DESCRIPTION: &str = "The mesh of claude-mesh over HTTP. Parameters and results are those of its tools. \
    A path may begin with the name of the mesh of the key, such as /team/v1/peers.";

/// The refusals that any request may get, with their meaning.
const ERRORS: &[(&str, &str)] = &[
    (
        "400",
        "a parameter is missing, unknown or has an invalid value",
    ),
    ("401", "no key, or one that is wrong, expired or revoked"),
    (
        "403",
        "the key may not do this, or it belongs to another peer",
    ),
    (
        "404",
        "there is no such peer, question, message, task or mesh",
    ),
    ("429", "too many requests, or another limit of the mesh"),
    ("500", "the machine failed"),
    ("503", "the database is locked by another program"),
];
/// The same for requests that write.
const WRITE_ERRORS: &[(&str, &str)] = &[
    (
        "409",
        "the current state, or an earlier request with this Idempotency-Key, forbids it",
    ),
    ("413", "a text or the body is too large"),
    ("415", "the body is not application/json"),
    ("422", "a text looks like a secret"),
    ("501", "this mesh or session cannot do it"),
];

/// Returns the document.
pub(super) fn document(routes: &[RestRoute]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation(route);
    }
    paths.insert("/health".into(), health());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "claude-mesh",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "http://127.0.0.1:3456" }],
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
            "schemas": result_schemas::shared(),
            "responses": error_responses(),
        },
    })
}

fn operation(route: &RestRoute) -> Value {
    let schema = (route.entry().schema)();
    let mut parameters = path_parameters(route);
    if route.wait.is_some() {
        let seconds = json!({ "type": "integer", "minimum": 0, "maximum": 3600 });
        parameters.push(parameter(
            "query",
            "wait",
            &seconds,
            "how many seconds to wait",
        ));
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "description": description(route),
        "responses": responses(route),
    });
    if route.method.has_body() {
        operation["requestBody"] = request_body(route, &schema);
    } else {
        let required = |name: &str| is_required(&schema, name);
        for name in route.parameters() {
            let mut query = parameter("query", &name, &schema["properties"][&name], "");
            query["required"] = required(&name).into();
            parameters.push(query);
        }
    }
    add_headers(route, &mut parameters);
    operation["parameters"] = parameters.into();
    operation
}

/// Returns a name for generated clients, such as `get_v1_tasks_id`.
fn operation_id(route: &RestRoute) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    format!(
        "{}_{}",
        route.method.as_str().to_lowercase(),
        words.join("_")
    )
}

fn description(route: &RestRoute) -> String {
    let entry = route.entry();
    let scope = format!("Needs a key of scope `{}`.", route.scope.as_str());
    if entry.description.is_empty() {
        scope
    } else {
        format!("The tool `{}`. {scope}", entry.name)
    }
}

fn is_required(schema: &Map<String, Value>, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|required| required == name))
}

fn path_parameters(route: &RestRoute) -> Vec<Value> {
    let names = route.path_parameters.iter();
    names
        .map(|(name, _)| {
            let mut path = parameter("path", name, &json!({ "type": "string" }), "");
            path["required"] = true.into();
            path
        })
        .collect()
}

fn parameter(place: &str, name: &str, schema: &Value, description: &str) -> Value {
    let mut parameter = json!({ "name": name, "in": place, "schema": schema });
    if !description.is_empty() {
        parameter["description"] = description.into();
    }
    parameter
}

fn add_headers(route: &RestRoute, parameters: &mut Vec<Value>) {
    let text = || json!({ "type": "string" });
    if route.special == Special::EntityTag && route.method != Method::Get {
        parameters.push(parameter(
            "header",
            "If-Match",
            &text(),
            "the expected version",
        ));
    }
    if route.method != Method::Get {
        let key = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
        let description = "the same request again returns the stored response";
        parameters.push(parameter("header", "Idempotency-Key", &key, description));
    }
}

fn request_body(route: &RestRoute, schema: &Map<String, Value>) -> Value {
    let names = route.parameters();
    let property = |name: &String| {
        let property = schema["properties"][name].clone();
        if is_required(schema, name) {
            property
        } else {
            or_null(property)
        }
    };
    let properties: Map<String, Value> = names
        .iter()
        .map(|name| (name.clone(), property(name)))
        .collect();
    let required: Vec<&String> = names.iter().filter(|it| is_required(schema, it)).collect();
    let mut body = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        body["required"] = json!(required);
    }
    json!({
        "required": !required.is_empty(),
        "content": { "application/json": { "schema": body } },
    })
}

/// Lets `null` stand for an absent value, as requests are read.
fn or_null(mut schema: Value) -> Value {
    if schema["type"].is_string() {
        schema["type"] = json!([schema["type"], "null"]);
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.push(Value::Null);
    }
    if let Some(variants) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        variants.push(json!({ "type": "null" }));
    }
    schema
}

fn responses(route: &RestRoute) -> Value {
    let result = result_schemas::result(route.operation);
    let success = |description: &str| json!({ "description": description, "content": { "application/json": { "schema": result } } });
    let mut responses = json!({});
    responses[route.status.to_string()] = success("the result");
    if route.wait.is_some_and(|rule| rule.by_default) {
        responses["202"] = success("stored; without a wait there is no answer yet");
    }
    if route.operation == "create_task" {
        responses["200"] = success("an open task with this title exists");
    }
    if route.special == Special::EventStream {
        let stream = json!({ "schema": { "type": "string" } });
        responses["200"]["content"]["text/event-stream"] = stream;
    }
    let writes: &[_] = if route.method == Method::Get {
        &[]
    } else {
        WRITE_ERRORS
    };
    for (status, _) in ERRORS.iter().chain(writes) {
        responses[*status] =
            json!({ "$ref": format!("#/components/responses/{}", name_of(status)) });
    }
    responses
}

fn error_responses() -> Map<String, Value> {
    let errors = ERRORS.iter().chain(WRITE_ERRORS);
    errors
        .map(|(status, description)| {
            let content = json!({ "application/json": { "schema": reference("Error") } });
            let response = json!({ "description": description, "content": content });
            (name_of(status), response)
        })
        .collect()
}

/// Returns the name of a shared response.
fn name_of(status: &str) -> String {
    format!("Error{status}")
}

/// The one route without a key.
fn health() -> Value {
    let properties = json!({ "status": { "type": "string" }, "version": { "type": "string" } });
    let schema = json!({ "type": "object", "properties": properties });
    json!({ "get": {
        "operationId": "get_health",
        "summary": "Whether the hub runs",
        "security": [],
        "responses": { "200": {
            "description": "it runs",
            "content": { "application/json": { "schema": schema } },
        } },
    } })
}
