//! Reads certificate and private key of the hub for TLS.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::hub::serve_error::ServeError;

/// The files of TLS, in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate of the hub, then those of its issuers.
    pub certificates: PathBuf,
    /// The private key of the certificate.
    pub private_key: PathBuf,
}

/// Returns what accepts TLS connections with these files. They are read once.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, ServeError> {
    let unreadable = |path: &Path, problem: String| ServeError::Tls {
        path: path.to_owned(),
        problem,
    };
    let chain = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(&files.certificates, error.to_string()))?;
    if chain.is_empty() {
        let problem = "it has no certificate in PEM".to_owned();
        return Err(unreadable(&files.certificates, problem));
    }
    let key = PrivateKeyDer::from_pem_file(&files.private_key)
        .map_err(|error| unreadable(&files.private_key, error.to_string()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| unreadable(&files.private_key, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
