//! Which certificate a hub may have: one that the system trusts, or exactly the one that was pinned.
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use crate::remote::hub_error::HubError;
use crate::remote::refused_certificate::RefusedCertificate;

/// Returns the configuration of TLS for a hub. The certificates of the system are read only for https.
pub(super) fn client_config(url: &str, pinned: Option<&Path>) -> Result<ClientConfig, HubError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| HubError::UnusableUrl(error.to_string()))?;
    if !url.starts_with("https://") {
        let no_roots = RootCertStore::empty();
        return Ok(builder
            .with_root_certificates(no_roots)
            .with_no_client_auth());
    }
    let rule = match pinned {
        Some(path) => Rule::Pinned(read_certificate(path)?),
        None => Rule::System(system_verifier(Arc::clone(&provider))?),
    };
    let verifier = HubVerifier { rule, provider };
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn read_certificate(path: &Path) -> Result<CertificateDer<'static>, HubError> {
    CertificateDer::from_pem_file(path)
        .map_err(|error| HubError::UnusableCertificate(format!("{}: {error}", path.display())))
}

/// Returns the rules of the system: its certificates, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
fn system_verifier(provider: Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, HubError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| {
        HubError::UnusableCertificate(format!("this machine trusts no issuer ({error})"))
    })
}

/// Which certificates are accepted.
#[derive(Debug)]
enum Rule {
    /// This one, whatever names it has: who pinned it knows whose it is.
    Pinned(CertificateDer<'static>),
    System(Arc<WebPkiServerVerifier>),
}

/// Checks the certificate of a hub, and describes one that it refuses.
#[derive(Debug)]
struct HubVerifier {
    rule: Rule,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for HubVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refused = match &self.rule {
            Rule::Pinned(pinned) if pinned.as_ref() == end_entity.as_ref() => {
                return Ok(ServerCertVerified::assertion());
            }
            Rule::Pinned(pinned) => RefusedCertificate::not_pinned(end_entity, pinned),
            Rule::System(verifier) => {
                let outcome = verifier.verify_server_cert(
                    end_entity,
                    intermediates,
                    server_name,
                    ocsp_response,
                    now,
                );
                match outcome {
                    Err(Error::InvalidCertificate(problem)) => {
                        RefusedCertificate::by_rules(&problem, end_entity, server_name)
                    }
                    other => return other,
                }
            }
        };
        Err(CertificateError::Other(OtherError(Arc::new(refused))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
