//! Certificates of a run: one CA that signs origins, another that signs for the proxies. A client that trusts only
//! one of them proves, in each row, that the connection was terminated (or was not) by the proxy under test.

use crate::Fallible;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Every name of a run lies below this domain.
pub(crate) const DOMAIN: &str = "bench.test";

/// How many leaves the origin remembers before it forgets them all.
const LEAVES: usize = 4096;

/// A certificate authority that mints leaves.
#[derive(Debug)]
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    /// Makes a CA and writes `NAME.pem`, `NAME.key` and `NAME-both.pem` (key and certificate) into `dir`.
    pub(crate) fn create(dir: &Path, name: &str) -> Fallible<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, format!("wsbump bench {name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 1, 1));
        let pem = params.self_signed(&key)?.pem();
        write(dir, &format!("{name}.pem"), &pem)?;
        write(dir, &format!("{name}.key"), &key.serialize_pem())?;
        write(
            dir,
            &format!("{name}-both.pem"),
            &format!("{}{pem}", key.serialize_pem()),
        )?;
        Ok(Self {
            issuer: Issuer::new(params, key),
        })
    }

    /// Loads what [`Ca::create`] wrote.
    pub(crate) fn load(dir: &Path, name: &str) -> Fallible<Self> {
        let key = KeyPair::from_pem(&fs::read_to_string(dir.join(format!("{name}.key")))?)?;
        let pem = fs::read_to_string(dir.join(format!("{name}.pem")))?;
        Ok(Self {
            issuer: Issuer::from_ca_cert_pem(&pem, key)?,
        })
    }

    /// Signs a certificate for `names` and `key`.
    fn sign(&self, names: &[String], key: &KeyPair) -> Fallible<rcgen::Certificate> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, names.first().map_or(DOMAIN, String::as_str));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2048, 1, 1));
        Ok(params.signed_by(key, &self.issuer)?)
    }

    /// Writes one certificate for all names of a run (`fixed.pem`, with its key), for proxies that mint none.
    pub(crate) fn write_fixed(&self, dir: &Path) -> Fallible<()> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let cert = self.sign(&[DOMAIN.into(), format!("*.{DOMAIN}")], &key)?;
        write(
            dir,
            "fixed.pem",
            &format!("{}{}", cert.pem(), key.serialize_pem()),
        )
    }
}

/// Writes a file that every peer can read, whichever user it runs as.
pub(crate) fn write(dir: &Path, name: &str, text: &str) -> Fallible<()> {
    let path = dir.join(name);
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    Ok(())
}

/// One suite and one group, so that all proxies of a run do the same cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    })
}

/// The same for an origin, which also agrees to the hybrid of X25519 and ML-KEM-768 where that comes first.
fn origin_provider() -> Arc<CryptoProvider> {
    let groups = [aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::X25519MLKEM768];
    Arc::new(CryptoProvider {
        kx_groups: groups.to_vec(),
        ..CryptoProvider::clone(&provider())
    })
}

/// A client that takes that hybrid and nothing else.
pub(crate) fn hybrid_client(ca: &Path) -> Fallible<Arc<rustls::ClientConfig>> {
    let provider = CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        ..CryptoProvider::clone(&provider())
    };
    client_by(Arc::new(provider), ca, false, &[])
}

/// A TLS client that trusts the CA in `ca` alone, and offers these protocols.
pub(crate) fn client(ca: &Path, resume: bool, alpn: &[&str]) -> Fallible<Arc<rustls::ClientConfig>> {
    client_by(provider(), ca, resume, alpn)
}

fn client_by(
    provider: Arc<CryptoProvider>,
    ca: &Path,
    resume: bool,
    alpn: &[&str],
) -> Fallible<Arc<rustls::ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_file_iter(ca)? {
        roots.add(cert?)?;
    }
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    if !resume {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}

/// A TLS server with the certificate and key of one PEM file.
pub(crate) fn fixed_server(pem: &Path) -> Fallible<Arc<rustls::ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(pem)?.collect::<Result<Vec<_>, _>>()?;
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(pem)?)?;
    Ok(Arc::new(config))
}

/// A TLS server that mints a leaf for each name it is asked for.
pub(crate) fn minting_server(ca: Ca) -> Fallible<Arc<rustls::ServerConfig>> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut config = rustls::ServerConfig::builder_with_provider(origin_provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Mint {
            ca,
            key,
            leaves: Mutex::default(),
        }));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Mint {
    ca: Ca,
    key: KeyPair,
    leaves: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Mint {
    fn leaf(&self, name: &str) -> Fallible<Arc<CertifiedKey>> {
        let cert = self.ca.sign(&[name.into()], &self.key)?;
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let key = aws_lc_rs::sign::any_supported_type(&key)?;
        Ok(Arc::new(CertifiedKey::new(vec![cert.der().clone()], key)))
    }
}

impl ResolvesServerCert for Mint {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or(DOMAIN);
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = leaves.get(name) {
            return Some(Arc::clone(leaf));
        }
        let leaf = self.leaf(name).ok()?;
        if leaves.len() >= LEAVES {
            leaves.clear();
        }
        leaves.insert(name.into(), Arc::clone(&leaf));
        Some(leaf)
    }
}
