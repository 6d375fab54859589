//! Finds the address of the client of a request, also behind a reverse proxy that is trusted.
use std::net::IpAddr;

use axum::http::{Extensions, HeaderMap};

use crate::hub::connection::RequestSource;

/// Returns the address of the client; `None` for a program of the user at the socket.
pub(in crate::hub) fn client_address(
    extensions: &Extensions,
    headers: &HeaderMap,
    trusted_proxies: &[IpAddr],
) -> Option<IpAddr> {
    let Some(RequestSource::Tcp(peer)) = extensions.get::<RequestSource>() else {
        return None;
    };
    Some(behind_proxies(*peer, headers, trusted_proxies))
}

/// Returns the last address of `X-Forwarded-For` that is not of a trusted proxy. A client can write the ones before it.
fn behind_proxies(peer: IpAddr, headers: &HeaderMap, trusted_proxies: &[IpAddr]) -> IpAddr {
    if !trusted_proxies.contains(&peer) {
        return peer;
    }
    let values = headers.get_all("x-forwarded-for").iter();
    let forwarded: Vec<&str> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let addresses = forwarded.iter().rev().map_while(|it| it.parse().ok());
    addresses
        .map(|address: IpAddr| address.to_canonical())
        .find(|address| !trusted_proxies.contains(address))
        .unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted = ["127.0.0.1", "10.0.0.2"].map(|it| it.parse().unwrap());
        behind_proxies(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_what_a_trusted_proxy_adds_is_believed() {
        assert_eq!(seen("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(seen("127.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(seen("127.0.0.1", &["1.1.1.1, 203.0.113.9"]), "203.0.113.9");
        let chain = ["1.1.1.1", "203.0.113.9, 10.0.0.2"];
        assert_eq!(seen("127.0.0.1", &chain), "203.0.113.9");
        assert_eq!(seen("127.0.0.1", &["203.0.113.9, junk"]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &[]), "127.0.0.1");
    }
}
