//! TLS to the server: encrypted, and its certificate is checked against its name.
use std::sync::Arc;

use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::location::PostgresLocation;
use crate::platform::{Fault, FaultKind};

/// Returns what makes connections of a location secure; `None` if it asks for none. Trusted are the certificates of the file
/// that the location names, else those of the system. They are read once.
pub(super) fn connector(location: &PostgresLocation) -> Result<Option<MakeRustlsConnect>, Fault> {
    if !location.is_verified() {
        return Ok(None);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports them")
        .with_root_certificates(root_certificates(location)?)
        .with_no_client_auth();
    Ok(Some(MakeRustlsConnect::new(config)))
}

fn root_certificates(location: &PostgresLocation) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    let Some(path) = location.root_certificates() else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let unusable = |problem: String| {
        Fault::new(
            FaultKind::Setting,
            format!(
                "cannot use the certificates of {}: {problem}",
                path.display()
            ),
            "sslrootcert names a file with certificates in PEM",
        )
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(error.to_string()))?;
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(unusable("it has no certificate in PEM".into()));
    }
    Ok(roots)
}
