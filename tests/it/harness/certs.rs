//! The certificates of the origins: a root that the proxy is told to trust, and one that nobody trusts.

use super::scratch;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The names that the origins of the tests answer to; the proxy is told that they are on this machine.
pub(crate) const NAMES: [&str; 10] = [
    "localhost",
    "origin.test",
    "other.test",
    "slack.test",
    "wss-primary.slack.com",
    "wss-backup.slack.com",
    "wss-mobile.slack.com",
    "slack.com",
    "echo.websocket.org",
    "a.slack-msgs.com",
];

/// The common name of the root that signs the origins' certificates.
pub(crate) const ROOT_NAME: &str = "Origins of the tests";

/// A certificate with its key, in files and in memory.
pub(crate) struct Identity {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key_der: Vec<u8>,
}

impl Identity {
    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key_der.clone()).into()
    }
}

/// The certificates of this run.
pub(crate) struct Certs {
    folder: tempfile::TempDir,
    /// Who signs for the root.
    issuer: Issuer<'static, KeyPair>,
    /// The root that the proxy trusts for origins.
    pub(crate) root: PathBuf,
    /// An origin's identity under that root.
    pub(crate) origin: Identity,
    /// The same names under a root that nobody trusts.
    pub(crate) untrusted: Identity,
    /// Under the trusted root, out of date.
    pub(crate) expired: Identity,
    /// Under the trusted root, for a client to show.
    pub(crate) client: Identity,
}

/// The certificates of this run, made once.
pub(crate) fn certs() -> &'static Certs {
    static CERTS: OnceLock<Certs> = OnceLock::new();
    CERTS.get_or_init(|| {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        let folder = scratch();
        // Servers that give up root's rights read these files too.
        open_up(folder.path());
        let (root, root_pem) = authority(ROOT_NAME);
        let (stranger, _) = authority("A root that nobody trusts");
        let path = folder.path().join("root.pem");
        std::fs::write(&path, root_pem).unwrap();
        Certs {
            origin: identity(folder.path(), "origin", &root, (2024, 2034), ServerAuth),
            untrusted: identity(folder.path(), "untrusted", &stranger, (2024, 2034), ServerAuth),
            expired: identity(folder.path(), "expired", &root, (2020, 2021), ServerAuth),
            client: identity(folder.path(), "client", &root, (2024, 2034), ClientAuth),
            root: path,
            folder,
            issuer: root,
        }
    })
}

impl Certs {
    /// An origin's identity under the trusted root, for these names and addresses alone.
    pub(crate) fn of(&self, names: &[&str]) -> Identity {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("own{}", NEXT.fetch_add(1, Ordering::Relaxed));
        identity_with(
            self.folder.path(),
            &name,
            &self.issuer,
            (2024, 2034),
            ExtendedKeyUsagePurpose::ServerAuth,
            (names, Vec::new()),
        )
    }
}

/// An origin below an intermediate that it does not send.
pub(crate) struct Incomplete {
    _folder: tempfile::TempDir,
    /// What is to be trusted.
    pub(crate) root: PathBuf,
    /// The certificate that lacks, in DER.
    pub(crate) intermediate: Vec<u8>,
    pub(crate) origin: Identity,
}

/// One whose certificate says that its issuer's is at `url`.
pub(crate) fn incomplete(url: &str) -> Incomplete {
    let folder = scratch();
    open_up(folder.path());
    let (root, root_pem) = authority("A root with an intermediate");
    let path = folder.path().join("root.pem");
    std::fs::write(&path, root_pem).unwrap();
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "An intermediate that is not sent");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().unwrap();
    let intermediate = params.signed_by(&key, &root).unwrap().der().to_vec();
    let issuer = Issuer::new(params, key);
    // id-ad-caIssuers (RFC 5280 section 4.2.2.1), with lengths of one byte.
    let length = u8::try_from(url.len()).unwrap();
    let mut access = vec![0x30, length + 14, 0x30, length + 12, 6, 8];
    access.extend([0x2b, 6, 1, 5, 5, 7, 48, 2, 0x86, length]);
    access.extend(url.as_bytes());
    let extension = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access);
    let years = (2024, 2034);
    let origin = identity_with(
        folder.path(),
        "incomplete",
        &issuer,
        years,
        ExtendedKeyUsagePurpose::ServerAuth,
        (&usual_names(), vec![extension]),
    );
    Incomplete {
        root: path,
        intermediate,
        origin,
        _folder: folder,
    }
}

/// Lets every user read the folder.
pub(crate) fn open_up(folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    (Issuer::new(params, key), cert.pem())
}

fn identity(
    folder: &Path,
    name: &str,
    issuer: &Issuer<'_, KeyPair>,
    years: (i32, i32),
    purpose: ExtendedKeyUsagePurpose,
) -> Identity {
    identity_with(folder, name, issuer, years, purpose, (&usual_names(), Vec::new()))
}

/// Those of [`NAMES`], and the addresses of this machine.
fn usual_names() -> Vec<&'static str> {
    [&NAMES[..], &["127.0.0.1", "::1"]].concat()
}

fn identity_with(
    folder: &Path,
    name: &str,
    issuer: &Issuer<'_, KeyPair>,
    years: (i32, i32),
    purpose: ExtendedKeyUsagePurpose,
    (names, extensions): (&[&str], Vec<rcgen::CustomExtension>),
) -> Identity {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "origin.test");
    params
        .distinguished_name
        .push(DnType::OrganizationName, "An origin");
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    params.custom_extensions = extensions;
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, issuer).unwrap();
    let (cert_path, key_path) = (
        folder.join(format!("{name}.pem")),
        folder.join(format!("{name}.key")),
    );
    std::fs::write(&cert_path, cert.pem()).unwrap();
    std::fs::write(&key_path, key.serialize_pem()).unwrap();
    Identity {
        cert: cert_path,
        key: key_path,
        chain: vec![cert.der().clone()],
        key_der: key.serialize_der(),
    }
}

/// Runs `openssl` in a folder, with words that are split at spaces; what it says.
pub(crate) fn openssl(folder: &Path, arguments: &str) -> String {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
