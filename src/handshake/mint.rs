//! Writing and signing a leaf.

use super::LeafKey;
use super::ca::Ca;
use super::ca_create::serial;
use super::der;
use super::mimic::{Copied, usage};
use super::notes::note;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use rcgen::{KeyPair, PublicKeyData, SigningKey as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use std::sync::Arc;

/// AlgorithmIdentifiers (RFC 5758 section 3.2, RFC 4055 section 5), whole.
const ECDSA_SHA256: &[u8] = &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_SHA384: &[u8] = &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const RSA_SHA256: &[u8] = &[0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0];

/// id-ecPublicKey with secp256r1 (RFC 5480 section 2.1), whole.
const P256_ALGORITHM: &[u8] = &[
    0x30, 19, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7,
];

/// Contents of object identifiers of extensions (RFC 5280 section 4.2.1).
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 14];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
const CRL_POINTS: &[u8] = &[0x55, 0x1d, 31];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];

/// The key of a leaf; never the CA's.
#[derive(Debug, Clone)]
pub(super) struct KeyOfLeaf {
    pub(super) kind: LeafKey,
    pub(super) signs: Arc<dyn SigningKey>,
    public: Vec<u8>,
    id: Vec<u8>,
}

impl KeyOfLeaf {
    /// Makes one: tens of microseconds for P-256, 100 ms for RSA.
    pub(super) fn make(kind: LeafKey) -> Result<Self, String> {
        match kind {
            LeafKey::P256 => Self::p256(),
            LeafKey::Rsa2048 => Self::rsa(),
        }
    }

    /// Straight from the cryptographic library: on the way through PKCS#8 each parser checks the key again,
    /// which costs more than making it.
    fn p256() -> Result<Self, String> {
        let pair =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|error| error.to_string())?;
        let point = pair.public_key().as_ref();
        let public = der::join(der::SEQUENCE, &[P256_ALGORITHM, &der::bits(point)]);
        let id = key_id(point);
        Ok(Self {
            kind: LeafKey::P256,
            signs: Arc::new(P256(Arc::new(pair))),
            public,
            id,
        })
    }

    fn rsa() -> Result<Self, String> {
        let pair = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).map_err(|error| error.to_string())?;
        let (public, id) = (pair.subject_public_key_info(), key_id(pair.der_bytes()));
        let private = PrivateKeyDer::Pkcs8(pair.serialize_der().into());
        let signs = rustls::crypto::aws_lc_rs::sign::any_supported_type(&private)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            kind: LeafKey::Rsa2048,
            signs: Arc::new(Noting(signs)),
            public,
            id,
        })
    }
}

/// RFC 7093 section 2, method 1: the leftmost 160 bits of SHA-256.
fn key_id(public: &[u8]) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, public);
    digest.as_ref().iter().copied().take(20).collect()
}

/// What the CA signs by, as an AlgorithmIdentifier.
pub(super) fn signature_algorithm(ca: &Ca) -> &'static [u8] {
    match ca.key.algorithm() {
        algorithm if algorithm == &rcgen::PKCS_RSA_SHA256 => RSA_SHA256,
        algorithm if algorithm == &rcgen::PKCS_ECDSA_P384_SHA384 => ECDSA_SHA384,
        _ => ECDSA_SHA256,
    }
}

/// What the CA's key is called by what it signs. Strict verifiers want that even where the CA says no identifier that it could
/// be compared with.
pub(super) fn key_id_of(ca: &Ca) -> Vec<u8> {
    ca.key_id.clone().unwrap_or_else(|| key_id(ca.key.der_bytes()))
}

/// Writes the leaf (RFC 5280 section 4.1) and signs it.
pub(super) fn mint(ca: &Ca, copied: &Copied, key: &KeyOfLeaf) -> Result<CertificateDer<'static>, String> {
    let algorithm = signature_algorithm(ca);
    // A leaf that outlives its CA would be refused; so would one that began before it, by some.
    let not_before = copied.not_before.clamp(ca.not_before, ca.not_after);
    let not_after = copied.not_after.clamp(not_before, ca.not_after);
    let time = |unix| der::time(unix).ok_or_else(|| "a date beyond the year 9999".to_owned());
    let serial = serial().map_err(|_| "no randomness".to_owned())?;

    let certificate = der::join(
        der::SEQUENCE,
        &[
            &[0xa0, 3, der::INTEGER, 1, 2], // version 3
            &der::value(der::INTEGER, &serial),
            algorithm,
            &ca.name,
            &der::join(der::SEQUENCE, &[&time(not_before)?, &time(not_after)?]),
            &copied.subject,
            &key.public,
            &der::value(0xa3, &der::value(der::SEQUENCE, &extensions(ca, copied, key))),
        ],
    );
    let signature = ca.key.sign(&certificate).map_err(|error| error.to_string())?;
    Ok(der::join(der::SEQUENCE, &[&certificate, algorithm, &der::bits(&signature)]).into())
}

fn extensions(ca: &Ca, copied: &Copied, key: &KeyOfLeaf) -> Vec<u8> {
    let mut out = der::extension(BASIC_CONSTRAINTS, true, der::EMPTY_NAME); // an empty SEQUENCE: not a CA
    if let Some(bits) = copied.key_usage {
        out.extend(der::extension(
            KEY_USAGE,
            true,
            &der::named_bits(fit(bits, key.kind)),
        ));
    }
    out.extend(der::extension(
        EXTENDED_KEY_USAGE,
        false,
        &der::value(der::SEQUENCE, &copied.purposes),
    ));
    if !copied.names.is_empty() {
        let critical = copied.subject == der::EMPTY_NAME;
        let names = der::value(der::SEQUENCE, &copied.names);
        out.extend(der::extension(SUBJECT_ALT_NAME, critical, &names));
    }
    let id = der::value(der::OCTET_STRING, &key.id);
    out.extend(der::extension(SUBJECT_KEY_ID, false, &id));
    let id = der::value(der::SEQUENCE, &der::value(0x80, &key_id_of(ca)));
    out.extend(der::extension(AUTHORITY_KEY_ID, false, &id));
    if let Some(url) = &ca.crl_url {
        out.extend(der::extension(CRL_POINTS, false, &crl_points(url)));
    }
    out
}

/// One DistributionPoint with one address as its fullName (RFC 5280 section 4.2.1.13).
fn crl_points(url: &str) -> Vec<u8> {
    const URI: u8 = 0x86;
    const FIRST: u8 = 0xa0;
    let name = der::value(FIRST, &der::value(FIRST, &der::value(URI, url.as_bytes())));
    der::value(der::SEQUENCE, &der::value(der::SEQUENCE, &name))
}

/// The origin's key usage as the leaf's key can have it: every handshake of ours signs, no elliptic key
/// enciphers (RFC 8813 section 3), no RSA key agrees, and no leaf signs certificates.
fn fit(bits: u16, kind: LeafKey) -> u16 {
    let mut bits = bits & !(usage::KEY_CERT_SIGN | usage::CRL_SIGN) | usage::DIGITAL_SIGNATURE;
    match kind {
        LeafKey::P256 => bits &= !(usage::KEY_ENCIPHERMENT | usage::DATA_ENCIPHERMENT),
        LeafKey::Rsa2048 => bits &= !usage::KEY_AGREEMENT,
    }
    if bits & usage::KEY_AGREEMENT == 0 {
        bits &= !(usage::ENCIPHER_ONLY | usage::DECIPHER_ONLY);
    }
    bits
}

/// Both kinds of key note that a handshake got as far as signing: the client is shown the leaf, and a refusal is
/// about it.
fn note_shown() {
    note(|notes| notes.leaf_shown = true);
}

#[derive(Debug, Clone)]
struct P256(Arc<EcdsaKeyPair>);

impl SigningKey for P256 {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let taken = offered.contains(&self.scheme());
        taken.then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P256 {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        note_shown();
        let signature = self.0.sign(&SystemRandom::new(), message);
        signature
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| rustls::Error::General("signing with the leaf's key failed".to_owned()))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

/// A key that notes when it signs.
#[derive(Debug)]
pub(super) struct Noting(pub(super) Arc<dyn SigningKey>);

impl SigningKey for Noting {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.0.choose_scheme(offered)?;
        Some(Box::new(NotingSigner(signer)))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

#[derive(Debug)]
struct NotingSigner(Box<dyn Signer>);

impl Signer for NotingSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        note_shown();
        self.0.sign(message)
    }

    fn scheme(&self) -> SignatureScheme {
        self.0.scheme()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_usage_fits_the_leafs_key() {
        let web_rsa = usage::DIGITAL_SIGNATURE | usage::KEY_ENCIPHERMENT;
        assert_eq!(fit(web_rsa, LeafKey::P256), usage::DIGITAL_SIGNATURE);
        assert_eq!(fit(web_rsa, LeafKey::Rsa2048), web_rsa);
        assert_eq!(
            fit(usage::KEY_ENCIPHERMENT, LeafKey::P256),
            usage::DIGITAL_SIGNATURE
        );
        assert_eq!(fit(0x1ff, LeafKey::P256) & usage::KEY_CERT_SIGN, 0);
        assert_eq!(
            fit(0x1ff, LeafKey::P256) & usage::ENCIPHER_ONLY,
            usage::ENCIPHER_ONLY
        );
        assert_eq!(fit(0x1ff, LeafKey::Rsa2048) & usage::ENCIPHER_ONLY, 0);
    }
}
