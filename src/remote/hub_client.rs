//! The HTTP client of a hub: one for a program, with its key, kept connections, and errors that say what to do.
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Method, Request, Response, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::mesh::REMOTE_REVISION;
use crate::model::key_text::id_of_key_text;
use crate::platform::hub_location::HubLocation;
use crate::platform::{file, permissions};
use crate::remote::certificates;
use crate::remote::hub_error::HubError;
use crate::remote::resolver::Resolver;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that is not used is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// After which time without anything the system asks whether the other side is there, and how often it asks again.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// After which time without an acknowledgement the system gives a connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a request may take; longer than a hub tries to write to a file that is locked.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the check of a URL may take.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest response that is read, in bytes.
const RESPONSE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The longest key in a key file, in bytes.
const KEY_BYTES_MAX: u64 = 1024;

/// A client of one hub. It follows no redirect. It uses no proxy, also if `HTTPS_PROXY` is set: that is often set for one program,
/// and a proxy ends the held requests of a session early.
pub(super) struct HubClient {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    url: String,
    key_id: String,
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
        let mut connector = HttpConnector::new_with_resolver(Resolver::new());
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_keepalive_interval(Some(KEEPALIVE));
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
            key_id: id_of_key_text(key)
                .map(|id| id.to_string())
                .unwrap_or_default(),
            authorization,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the id of the key, which its text begins with.
    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Asks the hub what it is: checks URL, certificate, key and revision.
    pub(super) async fn describe(&self) -> Result<HubDescription, HubError> {
        let described = self.call(Method::GET, "/v1/remote", None).await;
        described.map_err(|error| error.of_missing_route(&self.url))
    }

    /// Sends a request and returns the body of its response.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, HubError> {
        let request = HubRequest {
            method,
            path,
            body,
            headers: &[],
            within: REQUEST_TIMEOUT,
        };
        self.read(&request).await
    }

    /// Sends a request and returns the body of its response, which must have come in time.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        request: &HubRequest<'_>,
    ) -> Result<T, HubError> {
        self.exchange(request).await?.json(&self.url)
    }

    /// Sends a request and returns its response, which must have come in time.
    pub(super) async fn exchange(&self, request: &HubRequest<'_>) -> Result<HubAnswer, HubError> {
        let reading = async {
            let response = self.request(request).await?;
            Ok(HubAnswer {
                headers: response.headers().clone(),
                body: self.body(response).await?,
            })
        };
        let read = tokio::time::timeout(request.within, reading).await;
        read.unwrap_or_else(|_| Err(self.no_answer(request)))
    }

    /// Sends a request. Returns the response when it has begun in time, with a body that is not read yet.
    pub(super) async fn open(
        &self,
        request: &HubRequest<'_>,
    ) -> Result<Response<Incoming>, HubError> {
        let opened = tokio::time::timeout(request.within, self.request(request)).await;
        opened.unwrap_or_else(|_| Err(self.no_answer(request)))
    }

    fn no_answer(&self, request: &HubRequest<'_>) -> HubError {
        HubError::no_answer(&self.url, request.within.as_secs())
    }

    async fn request(&self, asked: &HubRequest<'_>) -> Result<Response<Incoming>, HubError> {
        let mut request = Request::builder()
            .method(&asked.method)
            .uri(format!("{}{}", self.url, asked.path))
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header("claude-mesh-revision", REMOTE_REVISION.to_string());
        for (name, value) in asked.headers {
            request = request.header(*name, *value);
        }
        let body = match asked.body {
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
        let response = response.map_err(|error| HubError::of_connection(&self.url, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let location = response.headers().get(header::LOCATION).cloned();
        let body = self.body(response).await?;
        Err(HubError::of_response(
            &self.url,
            status,
            location.as_ref(),
            &body,
        ))
    }

    async fn body(&self, response: Response<Incoming>) -> Result<Bytes, HubError> {
        let body = Limited::new(response.into_body(), RESPONSE_BYTES_MAX);
        let collected = body.collect().await;
        let collected = collected.map_err(|error| HubError::Broken {
            url: self.url.clone(),
            problem: error.to_string(),
            source: Some(error.into()),
        })?;
        Ok(collected.to_bytes())
    }
}

/// What a hub has answered.
pub(super) struct HubAnswer {
    pub(super) headers: HeaderMap,
    body: Bytes,
}

impl HubAnswer {
    /// Returns the JSON in it.
    pub(super) fn json<T: DeserializeOwned>(&self, url: &str) -> Result<T, HubError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| HubError::not_a_hub(url, &format!("unusable answer: {error}")))
    }
}

/// A request to a hub.
pub(super) struct HubRequest<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) body: Option<&'a Value>,
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// The time that the answer may take.
    pub(super) within: Duration,
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
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let problem = format!("others can read it (mode {mode:o}); `chmod 600` makes it yours");
        return Err(unusable(problem));
    }
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

/// Checks a URL and a key before they are stored. Blocks, for at most some seconds.
pub fn verify(
    url: &str,
    key: &str,
    certificate: Option<&Path>,
) -> Result<HubDescription, HubError> {
    let client = HubClient::with_key(url, key.trim(), certificate)?;
    blocking_runtime()?.block_on(describe_in_time(&client))
}

/// Returns what a hub says of itself, and how long a request takes there and back on a connection that exists. Blocks, for at
/// most some seconds.
pub fn probe(hub: &HubLocation) -> Result<(HubDescription, Duration), HubError> {
    let client = HubClient::new(hub)?;
    blocking_runtime()?.block_on(async {
        describe_in_time(&client).await?;
        let began = tokio::time::Instant::now();
        let described = describe_in_time(&client).await?;
        Ok((described, began.elapsed()))
    })
}

fn blocking_runtime() -> Result<tokio::runtime::Runtime, HubError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| HubError::UnusableUrl(error.to_string()))
}

async fn describe_in_time(client: &HubClient) -> Result<HubDescription, HubError> {
    let described = tokio::time::timeout(VERIFY_TIMEOUT, client.describe()).await;
    described.unwrap_or_else(|_| Err(HubError::no_answer(client.url(), VERIFY_TIMEOUT.as_secs())))
}
