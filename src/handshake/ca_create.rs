//! Making a CA, once, even when two processes start at the same moment.

use super::ca::{Ca, CaError, private_key};
use super::der;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData, SerialNumber,
};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use x509_parser::time::ASN1Time;

const TEN_YEARS: i64 = 3652 * 86_400;
/// Clients whose clock is slow must not see a CA from the future.
const CLOCK_SKEW: i64 = 86_400;

const CERT_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca.key";

impl Ca {
    /// Makes a self-signed CA: ECDSA P-256, ten years, `CN=<name> <suffix>`, `O=wsbump`, path length 0. The
    /// suffix is taken from the key, so that two CAs never share a name. Returns it with its key as PEM (PKCS#8).
    ///
    /// # Errors
    /// [`CaError::Generate`] when the cryptographic library fails.
    pub fn generate(name: &str) -> Result<(Self, String), CaError> {
        let key = KeyPair::generate().map_err(|error| CaError::Generate(error.to_string()))?;
        let key_pem = key.serialize_pem();
        let cert_pem = self_sign(name, &key)?;
        Ok((Self::from_pem(&cert_pem, &key_pem)?, key_pem))
    }

    /// Loads `ca.pem` and `ca.key` from `dir`, making what is missing; tells whether it made the certificate.
    ///
    /// The directory is made with mode 0700, the key with 0600, the certificate with 0644. Each file appears
    /// whole or not at all, and the first one to appear stays: of several processes that start at once one
    /// makes the key, and all end up with that key and one certificate.
    ///
    /// # Errors
    /// See [`CaError`]. A certificate without its key is an error; nothing is overwritten, ever.
    pub fn load_or_create(dir: &Path) -> Result<(Self, bool), CaError> {
        let (cert_file, key_file) = (dir.join(CERT_FILE), dir.join(KEY_FILE));
        make_dir(dir).map_err(|source| CaError::Write {
            file: dir.to_owned(),
            source,
        })?;
        // In this order: the certificate appears after its key, so a certificate seen here has a key.
        let has_cert = cert_file.exists();
        let has_key = key_file.exists();
        if !has_key && !has_cert {
            let key = KeyPair::generate().map_err(|error| CaError::Generate(error.to_string()))?;
            place(&key_file, &key.serialize_pem(), 0o600)?;
        }
        let mut created = false;
        if !has_cert {
            let pem = std::fs::read(&key_file).map_err(|source| CaError::Read {
                file: key_file.clone(),
                source,
            })?;
            let key = private_key(&key_file, &pem)?;
            created = place(&cert_file, &self_sign("wsbump CA", &key)?, 0o644)?;
        }
        Ok((Self::load(&cert_file, &key_file)?, created))
    }
}

fn self_sign(name: &str, key: &KeyPair) -> Result<String, CaError> {
    let failed = |error: &dyn std::fmt::Display| CaError::Generate(error.to_string());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.der_bytes());
    let suffix: String = digest
        .as_ref()
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let at = |unix| ASN1Time::from_timestamp(unix).map(|time| time.to_datetime());
    let now = der::now();

    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "wsbump");
    params
        .distinguished_name
        .push(DnType::CommonName, format!("{name} {suffix}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(SerialNumber::from(
        serial().map_err(|error| failed(&error))?.to_vec(),
    ));
    params.not_before = at(now - CLOCK_SKEW).map_err(|error| failed(&error))?;
    params.not_after = at(now + TEN_YEARS).map_err(|error| failed(&error))?;
    let certificate = params.self_signed(key).map_err(|error| failed(&error))?;
    Ok(der::certificate_pem(certificate.der()))
}

/// A serial number: 126 random bits, positive and never zero (RFC 5280 section 4.1.2.2).
pub(super) fn serial() -> Result<[u8; 16], aws_lc_rs::error::Unspecified> {
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(serial)
}

fn make_dir(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Writes a file under another name and links it into place: whoever links first wins, and nobody sees half
/// a file. Returns whether this call was the one.
fn place(file: &Path, text: &str, mode: u32) -> Result<bool, CaError> {
    let failed = |source| CaError::Write {
        file: file.to_owned(),
        source,
    };
    let random = serial().map_err(|error| failed(io::Error::other(error)))?;
    let suffix: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let draft = file.with_extension(format!("{suffix}.tmp"));
    let placed = write_new(&draft, text, mode).and_then(|()| match std::fs::hard_link(&draft, file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    });
    // A draft that stays behind is harmless; the outcome of the link is what counts.
    let _ = std::fs::remove_file(&draft);
    placed.map_err(failed)
}

fn write_new(file: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut open = options.open(file)?;
    // The umask may have taken bits away from a certificate that others are meant to read.
    #[cfg(unix)]
    open.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    open.write_all(text.as_bytes())?;
    open.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn makes_a_ca_once_with_tight_modes() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("data/ca");
        let (made, created) = Ca::load_or_create(&dir).unwrap();
        assert!(created);
        assert!(made.warnings().is_empty());
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join(KEY_FILE)), 0o600);
        assert_eq!(mode(&dir.join(CERT_FILE)), 0o644);
        assert_eq!(
            std::fs::read_dir(&dir).unwrap().count(),
            2,
            "no draft stays behind"
        );
        let (loaded, created) = Ca::load_or_create(&dir).unwrap();
        assert!(!created);
        assert_eq!(loaded.der(), made.der());
    }

    #[test]
    fn starts_at_once_end_with_one_ca() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("ca");
        let barrier = std::sync::Barrier::new(8);
        let results: Vec<(Vec<u8>, bool)> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        let (ca, created) = Ca::load_or_create(&dir).unwrap();
                        (ca.der().to_vec(), created)
                    })
                })
                .collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(results.iter().all(|(der, _)| *der == results[0].0));
        assert_eq!(results.iter().filter(|(_, created)| *created).count(), 1);
    }

    #[test]
    fn a_key_alone_gets_its_certificate_and_a_certificate_alone_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        let (first, _) = Ca::load_or_create(home.path()).unwrap();
        std::fs::remove_file(home.path().join(CERT_FILE)).unwrap();
        let (second, created) = Ca::load_or_create(home.path()).unwrap();
        assert!(created);
        assert_eq!(second.subject(), first.subject());
        std::fs::remove_file(home.path().join(KEY_FILE)).unwrap();
        let before = std::fs::read(home.path().join(CERT_FILE)).unwrap();
        let error = Ca::load_or_create(home.path()).unwrap_err();
        assert!(
            matches!(&error, CaError::Read { file, .. } if file.ends_with(KEY_FILE)),
            "{error}"
        );
        assert_eq!(std::fs::read(home.path().join(CERT_FILE)).unwrap(), before);
    }

    #[test]
    fn an_unwritable_place_is_named() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Ca::load_or_create(&file.join("ca")).unwrap_err();
        assert!(matches!(error, CaError::Write { .. }), "{error}");
        assert!(error.to_string().contains("file/ca"), "{error}");
    }

    #[test]
    fn a_made_ca_is_what_it_says() {
        let (ca, key) = Ca::generate("My CA").unwrap();
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
        let prefix = "O=wsbump, CN=My CA ";
        assert!(ca.subject().starts_with(prefix), "{}", ca.subject());
        assert_eq!(ca.subject().len(), prefix.len() + 8);
        let (other, _) = Ca::generate("My CA").unwrap();
        assert_ne!(ca.subject(), other.subject());
        let text = crate::handshake::testing::openssl_text(ca.der());
        for wanted in [
            "CA:TRUE, pathlen:0",
            "Certificate Sign, CRL Sign",
            "Subject Key Identifier",
            "prime256v1",
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        let years = ca
            .not_after()
            .duration_since(std::time::SystemTime::now())
            .unwrap()
            .as_secs_f64()
            / (365.25 * 86_400.0);
        assert!((9.9..10.1).contains(&years), "{years}");
    }
}
