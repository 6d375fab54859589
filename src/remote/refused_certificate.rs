//! Why the certificate of a hub is refused: the reason, and what the certificate says of itself, so that a person can compare
//! it with the one at the hub and pin it.
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio_rustls::rustls::CertificateError;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::platform::text;

/// The most characters of a name that a certificate has.
const NAME_CHARS_MAX: usize = 100;
/// The most names of a certificate that are listed.
const NAMES_MAX: usize = 5;

/// A certificate that is not accepted.
#[derive(Debug, Error)]
#[error("{reason}. Its SHA-256 is {fingerprint}")]
pub(super) struct RefusedCertificate {
    reason: String,
    /// As `openssl x509 -fingerprint -sha256` prints it.
    fingerprint: String,
}

impl RefusedCertificate {
    /// Describes a certificate that the rules of the system refuse.
    pub(super) fn by_rules(
        problem: &CertificateError,
        certificate: &CertificateDer,
        name: &ServerName,
    ) -> Self {
        let parsed = parse_x509_certificate(certificate);
        let parsed = parsed.as_ref().ok().map(|(_, parsed)| parsed);
        Self {
            reason: reason(problem, parsed, &name.to_str()),
            fingerprint: fingerprint(certificate),
        }
    }

    /// Describes a certificate that is not the pinned one.
    pub(super) fn not_pinned(certificate: &CertificateDer, pinned: &CertificateDer) -> Self {
        Self {
            reason: format!(
                "it is another one than the pinned certificate, whose SHA-256 is {}",
                fingerprint(pinned)
            ),
            fingerprint: fingerprint(certificate),
        }
    }
}

fn reason(problem: &CertificateError, parsed: Option<&X509Certificate>, name: &str) -> String {
    match problem {
        CertificateError::UnknownIssuer => {
            let issuer = parsed.map_or_else(
                || "somebody".to_owned(),
                |parsed| printable(&parsed.issuer().to_string()),
            );
            format!("it was issued by {issuer:?}, which this machine does not trust")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let names = parsed.map(names).unwrap_or_default();
            let names = if names.is_empty() {
                "no name".to_owned()
            } else {
                names.join(", ")
            };
            format!("it is for {names}, not for {name}")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            let end = parsed.map(|parsed| parsed.validity().not_after.to_string());
            format!("it has expired ({})", end.unwrap_or_default())
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            let begin = parsed.map(|parsed| parsed.validity().not_before.to_string());
            format!(
                "it is not valid before {}; the clock of this machine may be wrong",
                begin.unwrap_or_default()
            )
        }
        other => printable(&other.to_string()),
    }
}

/// Returns the names and addresses for which a certificate was issued.
fn names(certificate: &X509Certificate) -> Vec<String> {
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = alternative.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(printable(name)),
            GeneralName::IPAddress(bytes) => Some(address(bytes)),
            _ => None,
        })
        .take(NAMES_MAX)
        .collect()
}

fn address(bytes: &[u8]) -> String {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
    let v6 = <[u8; 16]>::try_from(bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
    v4.or(v6).unwrap_or_else(|_| "an unusable address".into())
}

/// The server may be anybody's.
fn printable(name: &str) -> String {
    text::cut_chars(&text::one_line(name), NAME_CHARS_MAX).to_owned()
}

fn fingerprint(certificate: &CertificateDer) -> String {
    let hash = Sha256::digest(certificate.as_ref());
    let bytes: Vec<String> = hash.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}
