//! What protects the hub from other programs: web pages in a browser of the user, clients that guess keys, clients that send
//! too much or too slowly.
//!
//! A request passes, in this order: its head (`request_head`), its key (`authenticate`), the rate of its key (`key_rate`), its
//! body (`request_body`). All responses get the headers of `response_headers`. The limits of a connection are in `connection`.

mod client_address;
mod cors;
mod key_rate;
mod own_hosts;
mod request_body;
mod request_head;
mod response_headers;
mod wrong_keys;

pub(super) use cors::with_cors;
pub(super) use request_body::{read_body, require_json};
pub(super) use request_head::check_head;
pub(super) use response_headers::add_headers;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use axum::http::{Extensions, HeaderMap, HeaderValue};

use crate::hub::api_error::ApiError;
use crate::hub::safety::client_address::client_address;
use crate::hub::safety::key_rate::KeyRate;
use crate::hub::safety::own_hosts::OwnHosts;
use crate::hub::safety::wrong_keys::WrongKeys;
use crate::platform::Moment;

/// How many times as many requests as another key a host may send.
const SESSIONS_OF_HOST: NonZeroU32 = NonZeroU32::new(100).expect("it is not 0");

/// How the hub is protected.
#[derive(Debug, Clone)]
pub struct SafetyOptions {
    /// The address by which clients reach it through a reverse proxy: a scheme, a host, perhaps a port.
    pub public_url: Option<String>,
    /// The reverse proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpAddr>,
    /// The origins of web pages that may call it. Its own page needs none.
    pub cors_origins: Vec<String>,
    /// How many requests a key may send in 10 seconds.
    pub requests_per_10_seconds: NonZeroU32,
}

/// The protection of a running hub.
pub(super) struct Safety {
    own_hosts: OwnHosts,
    pub(super) key_rate: KeyRate,
    /// The rate of keys of hosts, each of which is the key of many sessions.
    pub(super) host_rate: KeyRate,
    wrong_keys: WrongKeys,
    cors_origins: Vec<HeaderValue>,
    trusted_proxies: Vec<IpAddr>,
}

impl Safety {
    /// Returns the protection of a hub that listens at `bound`.
    pub(super) fn new(options: SafetyOptions, bound: SocketAddr) -> Self {
        Self {
            own_hosts: OwnHosts::new(bound, options.public_url.as_deref()),
            key_rate: KeyRate::new(options.requests_per_10_seconds),
            host_rate: KeyRate::new(
                options
                    .requests_per_10_seconds
                    .saturating_mul(SESSIONS_OF_HOST),
            ),
            wrong_keys: WrongKeys::default(),
            cors_origins: options
                .cors_origins
                .iter()
                .filter_map(|origin| origin.parse().ok())
                .collect(),
            trusted_proxies: options.trusted_proxies,
        }
    }

    /// Returns when the refusal of a wrong key or token may be sent; refuses at once if too many of them wait.
    pub(super) async fn slow_down(
        &self,
        client: Option<IpAddr>,
        now: &Moment,
    ) -> Result<(), ApiError> {
        let Some(address) = client else {
            return Ok(());
        };
        self.wrong_keys.slow_down(address, now.monotonic_ms).await
    }

    /// Returns the address of the client of a request; `None` for a program of the user at the socket.
    pub(super) fn client_address(
        &self,
        extensions: &Extensions,
        headers: &HeaderMap,
    ) -> Option<IpAddr> {
        client_address(extensions, headers, &self.trusted_proxies)
    }
}
