//! Registers the session at the hub: which process it is, and what is known of its project.
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use serde_json::json;

use crate::claude_code;
use crate::mcp;
use crate::mesh::{RemoteJoin, RemoteJoined};
use crate::platform::id::SessionId;
use crate::platform::process::{self, ProcessKey};
use crate::platform::project_facts::ProjectFacts;
use crate::platform::{Clock, Settings};
use crate::remote::hub_error::HubError;
use crate::remote::link::{Link, pause_after};

/// The pauses before each search for the registry file. After the last one that is left to the first tool call.
const SESSION_SEARCH_DELAYS_MS: [u64; 10] = [0, 15, 30, 60, 120, 250, 500, 1_000, 2_000, 5_000];

/// Registers as soon as the client is known to be a session. A client that is unknown after some seconds is registered by
/// its first tool call.
pub(super) async fn register_when_session_found(link: Arc<Link>, agent: String) {
    if !mcp::is_claude(&agent) || is_headless_run(&link.settings) {
        return;
    }
    for delay_ms in SESSION_SEARCH_DELAYS_MS {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        if find_session(&link.settings).is_some() {
            return register(&link, &agent).await;
        }
    }
}

/// Tries to register until the session is registered.
async fn register(link: &Link, agent: &str) {
    let mut failures = 0;
    while let Err(error) = ensure_registered(link, agent).await {
        failures += 1;
        tokio::time::sleep(pause_after(&error, failures)).await;
    }
}

/// Returns the registered session; registers it if it is not registered.
pub(super) async fn ensure_registered(link: &Link, agent: &str) -> Result<SessionId, HubError> {
    let _one_at_a_time = link.registering.lock().await;
    if let Some(session) = *link.session().borrow() {
        return Ok(session);
    }
    let (process, join) = if link.is_person {
        let process = process::this_process();
        (process, person_join(link, agent, process))
    } else {
        let process = client_process(&link.settings, agent);
        (process, join_of(link, agent, process))
    };
    let body = json!(join);
    // Hooks are answered also while the hub is out of reach.
    link.set_client_process(process);
    let client = link.client()?;
    let joined: Result<RemoteJoined, HubError> = client
        .call(Method::POST, "/v1/remote/sessions", Some(&body))
        .await;
    let joined = joined.map_err(|error| error.of_missing_route(client.url()));
    let joined = joined.inspect_err(|error| {
        link.not_reached(error);
        if !error.is_transient() {
            link.forget_client();
        }
    })?;
    link.reached();
    link.mirror().begin(joined.session, joined.applied_verb);
    link.set_start(joined.start);
    link.set_session(Some(joined.session));
    link.send_soon();
    Ok(joined.session)
}

/// Reads again what the text at the start of a conversation says.
pub(super) async fn refresh_start(link: &Link) -> Result<(), HubError> {
    let Some(session) = *link.session().borrow() else {
        return Ok(());
    };
    let path = format!("/v1/remote/sessions/{session}/start");
    let start = link.client()?.call(Method::GET, &path, None).await?;
    link.set_start(start);
    Ok(())
}

fn join_of(link: &Link, agent: &str, process: ProcessKey) -> RemoteJoin {
    let settings = &link.settings;
    let claude = mcp::is_claude(agent);
    let entry =
        claude_code::registry_entry(&settings.claude.config_dir, process).filter(|_| claude);
    let headless =
        claude && (settings.is_headless() || entry.as_ref().is_some_and(|entry| entry.headless));
    let socket = claude
        .then(|| mcp::inbox_socket(settings, Some(process)))
        .flatten();
    let session_id = entry.as_ref().and_then(|entry| entry.session_id.clone());
    RemoteJoin {
        boot: link.clock.now().boot.to_string(),
        pid_namespace: process::pid_namespace(),
        pid: process.pid,
        started: process.started,
        instance: 0,
        project: ProjectFacts::of(&link.project()),
        agent: Some(agent.to_owned()),
        client_session: session_id.or_else(|| {
            let from_env = settings.claude.session_id.clone();
            from_env.filter(|_| claude)
        }),
        given_name: entry.and_then(|entry| entry.given_name),
        inbox_problem: socket.is_none().then(|| mcp::NO_SOCKET.to_owned()),
        headless,
        person: false,
        has_mailbox: !headless || settings.headless_mailbox,
    }
}

fn person_join(link: &Link, agent: &str, process: ProcessKey) -> RemoteJoin {
    RemoteJoin {
        inbox_problem: None,
        headless: true,
        person: true,
        // A hub that knows no persons of other machines registers a run.
        has_mailbox: false,
        ..join_of(link, agent, process)
    }
}

/// Returns the process that the session is: that of Claude Code, else the one that started this program.
fn client_process(settings: &Settings, agent: &str) -> ProcessKey {
    let session = mcp::is_claude(agent)
        .then(|| find_session(settings))
        .flatten();
    session
        .or_else(|| {
            let mut ancestors = process::ancestors(process::own_pid());
            ancestors.next().map(|parent| parent.key)
        })
        .unwrap_or_else(process::this_process)
}

/// Returns the nearest process above this one that Claude Code has registered.
fn find_session(settings: &Settings) -> Option<ProcessKey> {
    let config_dir = &settings.claude.config_dir;
    claude_code::find_session_ancestor(process::own_pid(), |found| {
        claude_code::registry_entry(config_dir, found.key).is_some()
    })
}

fn is_headless_run(settings: &Settings) -> bool {
    settings.is_headless() && !settings.headless_mailbox
}
