//! `claude-mesh serve`: runs the hub in the foreground.
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::error::{CliError, Failure};
#[cfg(feature = "postgres")]
use crate::cli::store_args::StoreArgs;
use crate::cli::{duration, hub_service};
use crate::hub::{self, SafetyOptions, ServeError, ServeOptions, TlsFiles};
use crate::platform::Settings;

/// Serve the mesh over HTTP: a board, routes for scripts, MCP for other clients
///
/// Each request needs a key (`claude-mesh key`); `claude-mesh board` opens the board. Programs of yours reach the hub by
/// ~/.claude-mesh/hub.sock, or by the URL and the key in ~/.claude-mesh/hub.json.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh serve
  claude-mesh serve --addr 127.0.0.1:0 --json   a free port, the address as JSON
  claude-mesh serve --addr 0.0.0.0:3456 --tls-cert hub.pem --tls-key hub.key
  claude-mesh serve --store 'postgres://mesh@db/mesh?schema=team'   the mesh is on a PostgreSQL server
  claude-mesh serve --install                   as a service that systemd restarts")]
pub(super) struct ServeArgs {
    /// Where to listen.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:3456")]
    addr: SocketAddr,
    /// The certificate for TLS and those of its issuers, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Plain HTTP at an address that other machines reach, inside a VPN: who can listen there reads keys and texts.
    #[arg(long, conflicts_with = "tls_cert")]
    insecure_http: bool,
    /// The address by which clients reach it through a reverse proxy.
    #[arg(long, value_name = "URL", value_parser = public_url)]
    public_url: Option<String>,
    /// A reverse proxy whose X-Forwarded-For is believed; may be repeated.
    #[arg(long, value_name = "IP")]
    trusted_proxy: Vec<IpAddr>,
    /// The origin of a web page that may call the hub: its scheme and host; may be repeated.
    #[arg(long, value_name = "ORIGIN", value_parser = public_url)]
    cors: Vec<String>,
    /// How many requests a key may send in 10 seconds.
    #[arg(
        long,
        value_name = "REQUESTS",
        default_value = "100",
        overrides_with = "rate"
    )]
    rate: NonZeroU32,
    /// End after so long without a request or a listener.
    #[arg(long, value_name = "SPAN", value_parser = duration::span)]
    idle_exit: Option<Duration>,
    #[cfg(feature = "postgres")]
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    service: ServiceArgs,
    /// Leave the terminal: `claude-mesh board` starts a hub so.
    #[arg(long, hide = true)]
    detached: bool,
}

/// Whether the hub becomes a service, or ceases to be one.
#[derive(Debug, Args)]
struct ServiceArgs {
    /// Run as a service of yours: write a systemd unit with the other options, and start it.
    #[arg(long, conflicts_with_all = ["uninstall", "idle_exit", "detached"])]
    install: bool,
    /// Stop the service and remove its unit.
    #[arg(long)]
    uninstall: bool,
}

impl ServeArgs {
    /// Returns the options for a service, which has another working directory.
    fn for_service(&self, settings: &Settings) -> Vec<String> {
        let mut words = vec![format!("--addr={}", self.addr)];
        let file = |path: &PathBuf| {
            let path = settings.working_directory.join(path);
            path.to_string_lossy().into_owned()
        };
        let files = [("--tls-cert", &self.tls_cert), ("--tls-key", &self.tls_key)];
        for (option, path) in files {
            words.extend(path.iter().map(|path| format!("{option}={}", file(path))));
        }
        if self.insecure_http {
            words.push("--insecure-http".into());
        }
        words.extend(
            self.public_url
                .iter()
                .map(|url| format!("--public-url={url}")),
        );
        let proxies = self.trusted_proxy.iter();
        words.extend(proxies.map(|address| format!("--trusted-proxy={address}")));
        words.extend(self.cors.iter().map(|origin| format!("--cors={origin}")));
        words.push(format!("--rate={}", self.rate));
        #[cfg(feature = "postgres")]
        words.extend(self.store.for_service(settings));
        words
    }
}

/// Parses the URL of a server: a scheme, a host, perhaps a port. Returns it without a slash at the end, as an origin is.
fn public_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let host = ["http://", "https://"]
        .into_iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    match host {
        Some(host) if !host.is_empty() && is_host(host) => Ok(url.into()),
        _ => Err("expected a scheme and a host, for example https://mesh.example.org".into()),
    }
}

fn is_host(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['/', '?', '#', '@', '*'])
}

/// Runs `claude-mesh serve`.
pub(super) fn serve(args: &ServeArgs, json: bool) -> CommandResult {
    let settings = Settings::of_this_process()?;
    if args.service.install {
        return hub_service::install(&settings, &args.for_service(&settings), json);
    }
    if args.service.uninstall {
        return hub_service::uninstall(&settings, json);
    }
    if args.detached {
        // It fails only for the leader of a group, which has left its terminal already.
        let _ = rustix::process::setsid();
    }
    let files = args.tls_cert.clone().zip(args.tls_key.clone());
    let options = ServeOptions {
        address: args.addr,
        tls: files.map(|(certificates, private_key)| TlsFiles {
            certificates,
            private_key,
        }),
        insecure_http: args.insecure_http,
        safety: SafetyOptions {
            public_url: args.public_url.clone(),
            trusted_proxies: args.trusted_proxy.clone(),
            cors_origins: args.cors.clone(),
            requests_per_10_seconds: args.rate,
        },
        idle_exit: args.idle_exit,
        detached: args.detached,
        #[cfg(feature = "postgres")]
        store: args.store.hub_store(&settings)?,
    };
    let announce = |url: &str| {
        // Nobody may read the line.
        let _ = if json {
            print::json(&json!({ "url": url }))
        } else {
            print::line(&format!("claude-mesh serves {url}"))
        };
    };
    hub::serve(settings, options, announce)?;
    Ok(CommandStatus::Done)
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let hint = match &error {
            ServeError::Mesh(_) => "",
            ServeError::Listen { .. } => {
                "choose another address with --addr, or end the program that uses it"
            }
            ServeError::Running { .. } => "`claude-mesh board` opens its page; one hub is enough",
            ServeError::Exposed { .. } => {
                "give --tls-cert and --tls-key, or --insecure-http inside a VPN that you trust"
            }
            ServeError::Tls { .. } => {
                "both files are in PEM, and the key is that of the certificate"
            }
            ServeError::Io(_) => "`claude-mesh doctor` shows what is wrong",
        };
        match error {
            ServeError::Mesh(error) => error.into(),
            error => CliError::new("unsupported", error.to_string(), hint).into(),
        }
    }
}
