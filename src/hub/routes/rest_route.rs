//! Defines what a REST route is: the operation that it calls, and where the parameters of the operation come from. The
//! router and the `OpenAPI` document are built from the same routes.
use crate::hub::operations;
use crate::model::access_key::KeyScope;
use crate::tools::{self, ToolEntry};

/// The method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Returns whether the parameters that the path does not have come in a body; otherwise they come in the query.
    pub(super) fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// What a route does beside calling its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// Nothing.
    None,
    /// The name in the path must be that of the caller.
    OwnName,
    /// Ends the session of the caller, or removes another peer, which only a person may.
    Unregister,
    /// Lists the meshes of the key.
    Meshes,
    /// Streams events if the request accepts `text/event-stream`.
    EventStream,
    /// The version of a state entry is its entity tag.
    EntityTag,
    /// Checks the length of a chat message in characters.
    Chat,
}

/// How `?wait=SECONDS` is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct WaitRule {
    /// The parameter of the operation that gets the seconds.
    pub(super) parameter: &'static str,
    /// A parameter with its value that only a call that waits has.
    pub(super) with: Option<(&'static str, &'static str)>,
    /// The operation that waits, if it is not that of the route.
    pub(super) operation: Option<&'static str>,
    /// A call without `wait` waits too, as long as the operation does by default, and `wait=0` ends its wait at once.
    pub(super) by_default: bool,
}

/// One route.
#[derive(Debug, Clone, Copy)]
pub(super) struct RestRoute {
    pub(super) method: Method,
    /// With its parameters in braces, such as `/v1/tasks/{id}`.
    pub(super) path: &'static str,
    /// For people.
    pub(super) summary: &'static str,
    /// The name of the tool, or of the operation of the hub.
    pub(super) operation: &'static str,
    /// The names of path parameters, each with the parameter of the operation that gets it.
    pub(super) path_parameters: &'static [(&'static str, &'static str)],
    /// Parameters that have a fixed value.
    pub(super) fixed: &'static [(&'static str, &'static str)],
    /// The parameters that come from query or body; `None`: all that do not come from elsewhere.
    pub(super) accepted: Option<&'static [&'static str]>,
    /// Parameters of the operation that the route does not have.
    pub(super) omitted: &'static [&'static str],
    pub(super) wait: Option<WaitRule>,
    /// The HTTP status of a success.
    pub(super) status: u16,
    /// What the key must have.
    pub(super) scope: KeyScope,
    pub(super) special: Special,
}

/// Returns a route whose parameters all come from query or body.
pub(super) const fn route(
    method: Method,
    path: &'static str,
    operation: &'static str,
    summary: &'static str,
) -> RestRoute {
    RestRoute {
        method,
        path,
        summary,
        operation,
        path_parameters: &[],
        fixed: &[],
        accepted: None,
        omitted: &[],
        wait: None,
        status: 200,
        scope: match method {
            Method::Get => KeyScope::Read,
            _ => KeyScope::Write,
        },
        special: Special::None,
    }
}

impl RestRoute {
    pub(super) const fn path(mut self, names: &'static [(&'static str, &'static str)]) -> Self {
        self.path_parameters = names;
        self
    }

    pub(super) const fn fixed(mut self, values: &'static [(&'static str, &'static str)]) -> Self {
        self.fixed = values;
        self
    }

    pub(super) const fn accepts(mut self, names: &'static [&'static str]) -> Self {
        self.accepted = Some(names);
        self
    }

    pub(super) const fn omits(mut self, names: &'static [&'static str]) -> Self {
        self.omitted = names;
        self
    }

    pub(super) const fn waits(mut self, rule: WaitRule) -> Self {
        self.wait = Some(rule);
        self
    }

    pub(super) const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(super) const fn admin(mut self) -> Self {
        self.scope = KeyScope::Admin;
        self
    }

    pub(super) const fn special(mut self, special: Special) -> Self {
        self.special = special;
        self
    }

    /// Returns the entry of the operation.
    pub(super) fn entry(&self) -> &'static ToolEntry {
        find_entry(self.operation)
    }

    /// Returns the parameters that come from query or body, in the order of the schema.
    pub(super) fn parameters(&self) -> Vec<String> {
        let from_path = |name: &str| self.path_parameters.iter().any(|(_, to)| *to == name);
        let is_fixed = |name: &str| self.fixed.iter().any(|(fixed, _)| *fixed == name);
        let accepted = |name: &str| self.accepted.is_none_or(|names| names.contains(&name));
        let schema = (self.entry().schema)();
        let properties = schema.get("properties").and_then(|it| it.as_object());
        properties
            .into_iter()
            .flat_map(|properties| properties.keys())
            .filter(|name| accepted(name) && !from_path(name) && !is_fixed(name))
            .filter(|name| !self.omitted.contains(&name.as_str()))
            .cloned()
            .collect()
    }
}

/// Returns the entry of a tool or of an operation of the hub.
pub(super) fn find_entry(name: &str) -> &'static ToolEntry {
    tools::find(name)
        .or_else(|| operations::find(name))
        .expect("routes name operations that exist")
}
