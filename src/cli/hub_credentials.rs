//! The key and the certificate for a hub: reads and checks them, and stores them so that a failure leaves the old ones.
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::cli::error::Failure;
use crate::model::key_text::id_of_key_text;
use crate::platform::hub_location::{HubLocation, keys_folder};
use crate::platform::{Fault, Settings, file, isolation, permissions};

/// The most that is read of a key, in bytes.
const KEY_BYTES_MAX: u64 = 4 * 1024;
/// The most that is read of a certificate, in bytes.
const CERTIFICATE_BYTES_MAX: u64 = 64 * 1024;
/// Anything else is no DER of a certificate: it is one sequence.
const DER_SEQUENCE: u8 = 0x30;

/// What a hub needs to know of this machine, and this machine of the hub.
pub(super) struct HubCredentials {
    /// The text of the key.
    pub(super) key: String,
    /// The certificate to pin, in PEM; `None` keeps the one that is stored, if there is one.
    pub(super) certificate: Option<Vec<u8>>,
}

impl HubCredentials {
    /// Reads the key from a file, or from the terminal or stdin for `-`. Without a file it is the one that is stored for this
    /// hub, or it is asked for.
    pub(super) fn read(
        hub: &HubLocation,
        key_file: Option<&Path>,
        certificate_file: Option<&Path>,
    ) -> Result<Self, Failure> {
        let certificate = certificate_file.map(read_certificate).transpose()?;
        let key = match key_file {
            Some(path) if path == Path::new("-") => ask_for_key(hub)?,
            Some(path) => read_key_file(path)?,
            None if hub.key_file.exists() => read_key_file(&hub.key_file)?,
            None => ask_for_key(hub)?,
        };
        Ok(Self { key, certificate })
    }

    /// Stores both beside the map of walls. Returns what was there before, to restore it.
    pub(super) fn store(
        &self,
        hub: &HubLocation,
        settings: &Settings,
    ) -> Result<StoredBefore, Fault> {
        let folder = keys_folder(&settings.mesh_home);
        permissions::create_folder(&folder)?;
        make_folder_private(&folder)?;
        let mut before = StoredBefore::default();
        let key = format!("{}\n", self.key);
        let files = [
            (&hub.key_file, Some(key.as_bytes())),
            (&hub.certificate_file, self.certificate.as_deref()),
        ];
        for (path, content) in files {
            let Some(content) = content else { continue };
            if let Err(fault) = before.replace(path, content) {
                before.restore();
                return Err(fault);
            }
        }
        Ok(before)
    }
}

/// The files that were replaced, with their former content.
#[derive(Default)]
pub(super) struct StoredBefore(Vec<(PathBuf, Option<Vec<u8>>)>);

impl StoredBefore {
    fn replace(&mut self, path: &Path, content: &[u8]) -> Result<(), Fault> {
        let former = match file::read(path, CERTIFICATE_BYTES_MAX) {
            Ok(former) => Some(former),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Fault::io("read", path, error)),
        };
        permissions::replace_file_durably(path, content)?;
        self.0.push((path.to_owned(), former));
        Ok(())
    }

    /// Puts the former files back, as far as that is possible.
    pub(super) fn restore(self) {
        for (path, former) in self.0 {
            let _ = match former {
                Some(former) => permissions::replace_file_durably(&path, &former),
                None => {
                    std::fs::remove_file(&path).map_err(|error| Fault::io("remove", &path, error))
                }
            };
        }
    }
}

/// Removes key and certificate of a hub that no wall and no setting names any more. Returns the files that were removed.
pub(super) fn remove_unused(settings: &Settings, hub: &HubLocation) -> Result<Vec<PathBuf>, Fault> {
    let hubs = isolation::hubs(settings)?;
    let is_used = |path: &PathBuf| {
        hubs.iter()
            .any(|used| used.key_file == *path || used.certificate_file == *path)
    };
    let mut removed = Vec::new();
    for path in [&hub.key_file, &hub.certificate_file] {
        if is_used(path) {
            continue;
        }
        match std::fs::remove_file(path) {
            Ok(()) => removed.push(path.clone()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Fault::io("remove", path, error)),
        }
    }
    Ok(removed)
}

/// The names of the files in it say which hubs this user has.
fn make_folder_private(folder: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = folder
        .metadata()
        .map_err(|error| Fault::io("read", folder, error))?;
    permissions::check_owner_and_mode(folder, &metadata)?;
    if metadata.permissions().mode() & 0o777 == 0o700 {
        return Ok(());
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
        .map_err(|error| Fault::io("change", folder, error))
}

/// Returns the key in a file.
pub(super) fn read_key_file(path: &Path) -> Result<String, Failure> {
    let content = file::read(path, KEY_BYTES_MAX).map_err(|error| {
        Failure::argument(
            format!("cannot read the key from {}: {error}", path.display()),
            "`claude-mesh key create --host NAME` prints one at the hub; nothing was changed",
        )
    })?;
    checked_key(&content, &path.display().to_string())
}

/// Asks on the terminal, without showing what is typed; reads stdin if it is no terminal.
fn ask_for_key(hub: &HubLocation) -> Result<String, Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::argument(
            format!("cannot read the key: {error}"),
            "give it with --key-file; nothing was changed",
        )
    };
    if std::io::stdin().is_terminal() {
        let prompt = format!("access key for {}: ", hub.url);
        let key = rpassword::prompt_password(prompt).map_err(unreadable)?;
        return checked_key(key.as_bytes(), "what was typed");
    }
    let mut content = Vec::new();
    let mut stdin = std::io::stdin().lock().take(KEY_BYTES_MAX);
    stdin.read_to_end(&mut content).map_err(unreadable)?;
    checked_key(&content, "stdin")
}

/// Returns the key in a text with space around it. The error does not repeat the text.
fn checked_key(content: &[u8], origin: &str) -> Result<String, Failure> {
    let key = std::str::from_utf8(content).unwrap_or_default().trim();
    if id_of_key_text(key).is_some() {
        return Ok(key.to_owned());
    }
    Err(Failure::argument(
        format!("{origin} is not an access key of claude-mesh"),
        "it begins with cmk_; `claude-mesh key create --host NAME` prints one at the hub; nothing was changed",
    ))
}

fn read_certificate(path: &Path) -> Result<Vec<u8>, Failure> {
    let unusable = |problem: &str| {
        Failure::argument(
            format!("{} is not a certificate: {problem}", path.display()),
            "give the certificate of the hub in PEM, not its private key; nothing was changed",
        )
    };
    let content = file::read(path, CERTIFICATE_BYTES_MAX)
        .map_err(|error| unusable(&format!("it cannot be read ({error})")))?;
    let certificate = CertificateDer::from_pem_slice(&content)
        .map_err(|_| unusable("it has no section CERTIFICATE in PEM"))?;
    if certificate.first() != Some(&DER_SEQUENCE) {
        return Err(unusable("the section CERTIFICATE holds something else"));
    }
    if content.windows(11).any(|window| window == b"PRIVATE KEY") {
        return Err(unusable("it also holds a private key"));
    }
    Ok(content)
}
