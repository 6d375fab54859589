//! The HTTP client of a hub: one for a program, with its key, kept connections, and errors that say what to do.
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::mesh::REMOTE_REVISION;
use crate::platform::hub_location::HubLocation;
use crate::platform::{file, permissions};
use crate::remote::certificates;
use crate::remote::hub_error::HubError;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that is not used is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// After which time without an answer the system gives a connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest response that is read, in bytes.
const RESPONSE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The longest key in a key file, in bytes.
const KEY_BYTES_MAX: u64 = 1024;

/// A client of one hub. It follows no redirect and uses no proxy.
pub(super) struct HubClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: String,
    authorization: header::HeaderValue,
}

/// What a hub says of itself and of the key.
#[derive(Debug, Clone, Deserialize)]
pub struct HubDescription {
    /// The version of claude-mesh that runs there.
    pub version: String,
    /// The name of the mesh there.
    pub mesh: String,
    /// The host whose key it is.
    pub host: String,
}

impl HubClient {
    /// Returns a client of a hub, with the key and the certificate of its files.
    pub(super) fn new(hub: &HubLocation) -> Result<Self, HubError> {
        let key = read_key(&hub.key_file)?;
        let certificate = hub
            .certificate_file
            .exists()
            .then_some(&*hub.certificate_file);
        Self::with_key(&hub.url, &key, certificate)
    }

    /// Returns a client of a hub with this key; a certificate in PEM replaces those of the system.
    pub(super) fn with_key(
        url: &str,
        key: &str,
        certificate: Option<&Path>,
    ) -> Result<Self, HubError> {
        let mut authorization = header::HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| HubError::UnusableKey("it has characters that no key has".into()))?;
        authorization.set_sensitive(true);
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_keepalive(Some(Duration::from_secs(5)));
        #[cfg(target_os = "linux")]
        connector.set_tcp_user_timeout(Some(USER_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(certificates::client_config(url, certificate)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Ok(Self {
            client,
            url: url.to_owned(),
            authorization,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Asks the hub what it is: checks URL, certificate, key and revision.
    pub(super) async fn describe(&self) -> Result<HubDescription, HubError> {
        let response = self.send(Method::GET, "/v1/remote", None, &[]).await?;
        self.json(response).await
    }

    /// Sends a request and returns the body of its response.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, HubError> {
        let response = self.send(method, path, body, &[]).await?;
        self.json(response).await
    }

    /// Sends a request. Returns the response, whose body is not read yet; an error if the hub refuses it.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Response<Incoming>, HubError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header("claude-mesh-revision", REMOTE_REVISION.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request = request
            .body(Full::new(body))
            .map_err(|error| HubError::UnusableUrl(error.to_string()))?;
        let response = self.client.request(request).await;
        let response = response.map_err(|error| HubError::of_connection(&self.url, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        Err(HubError::of_response(
            &self.url,
            status,
            &self.body(response).await?,
        ))
    }

    async fn json<T: DeserializeOwned>(&self, response: Response<Incoming>) -> Result<T, HubError> {
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|_| HubError::NotAHub(self.url.clone()))
    }

    /// Reads the body of a response.
    pub(super) async fn body(&self, response: Response<Incoming>) -> Result<Bytes, HubError> {
        let body = http_body_util::Limited::new(response.into_body(), RESPONSE_BYTES_MAX);
        let collected = body.collect().await;
        let collected = collected.map_err(|error| HubError::Broken {
            url: self.url.clone(),
            problem: error.to_string(),
        })?;
        Ok(collected.to_bytes())
    }
}

/// Reads the key of a file that only its owner can read.
fn read_key(path: &Path) -> Result<String, HubError> {
    let unusable =
        |problem: String| HubError::UnusableKey(format!("{}: {problem}", path.display()));
    let file = file::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => HubError::NoKey(path.to_owned()),
        _ => unusable(error.to_string()),
    })?;
    let metadata = file
        .metadata()
        .map_err(|error| unusable(error.to_string()))?;
    permissions::check_owner_and_mode(path, &metadata).map_err(|fault| unusable(fault.message))?;
    let mut key = String::new();
    file.take(KEY_BYTES_MAX)
        .read_to_string(&mut key)
        .map_err(|error| unusable(error.to_string()))?;
    let key = key.trim();
    if key.is_empty() {
        return Err(unusable("it is empty".into()));
    }
    Ok(key.to_owned())
}

/// Checks a URL and a key before they are stored. Blocks.
pub fn verify(
    url: &str,
    key: &str,
    certificate: Option<&Path>,
) -> Result<HubDescription, HubError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| HubError::UnusableUrl(error.to_string()))?;
    let client = HubClient::with_key(url, key.trim(), certificate)?;
    runtime.block_on(async {
        let described = tokio::time::timeout(2 * CONNECT_TIMEOUT, client.describe()).await;
        described.unwrap_or_else(|_| {
            Err(HubError::Unreachable {
                url: url.to_owned(),
                problem: "it does not answer".into(),
            })
        })
    })
}
