//! The public key of a certificate that nothing else need be right with, and what it has signed.

use super::der;
use aws_lc_rs::signature as sign;
use aws_lc_rs::signature::{UnparsedPublicKey, VerificationAlgorithm};
use rustls::SignatureScheme;

/// Contents of object identifiers of keys (RFC 3279 section 2.3, RFC 5480 section 2.1, RFC 8410 section 3).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 34];
const P521: &[u8] = &[0x2b, 0x81, 4, 0, 35];

/// RSA keys below this many bits are not taken for safe.
const SAFE_RSA: usize = 2048;

/// A SubjectPublicKeyInfo (RFC 5280 section 4.1).
#[derive(Debug, Clone, Copy)]
pub(super) struct PublicKey<'a> {
    algorithm: &'a [u8],
    /// The curve.
    parameter: Option<&'a [u8]>,
    /// The key's own bytes.
    pub(super) bits: &'a [u8],
}

/// What is to be said of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The key has signed this.
    Valid,
    /// It has not.
    Invalid,
    /// The key is of a kind, or a size, that nothing here can compute with.
    Unknown,
}

impl<'a> PublicKey<'a> {
    /// Of a certificate of any version; whatever else it holds is not looked at.
    pub(super) fn of_certificate(certificate: &'a [u8]) -> Option<Self> {
        Self::of_info(Self::info_of(certificate)?)
    }

    /// The content of a certificate's SubjectPublicKeyInfo.
    pub(super) fn info_of(certificate: &'a [u8]) -> Option<&'a [u8]> {
        let (outer, _) = der::expect(certificate, der::SEQUENCE)?;
        let (inner, _) = der::expect(outer.content, der::SEQUENCE)?;
        // A version that is written out, a serial number, an algorithm, issuer, validity and subject come first.
        let mut fields = der::each(inner.content).filter(|field| field.tag != 0xa0);
        Some(fields.nth(5)?.content)
    }

    /// Of the content of a SubjectPublicKeyInfo.
    pub(super) fn of_info(content: &'a [u8]) -> Option<Self> {
        let (identifier, rest) = der::expect(content, der::SEQUENCE)?;
        let (algorithm, parameter) = der::expect(identifier.content, der::OID)?;
        let (bits, _) = der::expect(rest, der::BIT_STRING)?;
        let (0, bits) = bits.content.split_first()? else {
            return None;
        };
        Some(Self {
            algorithm: algorithm.content,
            parameter: der::expect(parameter, der::OID).map(|(curve, _)| curve.content),
            bits,
        })
    }

    /// The size of an RSA key that is too short to be safe.
    pub(super) fn short_rsa(&self) -> Option<usize> {
        if self.algorithm != RSA {
            return None;
        }
        let (key, _) = der::expect(self.bits, der::SEQUENCE)?;
        let (modulus, _) = der::expect(key.content, der::INTEGER)?;
        let zeros = modulus.content.iter().take_while(|byte| **byte == 0).count();
        let digits = &modulus.content[zeros..];
        let bits = digits.len() * 8 - digits.first()?.leading_zeros() as usize;
        (bits < SAFE_RSA).then_some(bits)
    }

    /// Whether the key made this signature.
    pub(super) fn proves(&self, scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> Proof {
        match self.algorithm_for(scheme) {
            Some(algorithm) => {
                let verified = UnparsedPublicKey::new(algorithm, self.bits).verify(message, signature);
                match verified {
                    Ok(()) => Proof::Valid,
                    Err(_) => Proof::Invalid,
                }
            }
            None => Proof::Unknown,
        }
    }

    fn algorithm_for(&self, scheme: SignatureScheme) -> Option<&'static dyn VerificationAlgorithm> {
        use SignatureScheme as S;
        let is_short = self.short_rsa().is_some();
        let curve = (self.algorithm == EC).then_some(self.parameter).flatten();
        Some(match (scheme, curve) {
            (S::RSA_PKCS1_SHA256, None) => &sign::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            (S::RSA_PKCS1_SHA512, None) => &sign::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
            (S::RSA_PKCS1_SHA384, None) if !is_short => &sign::RSA_PKCS1_2048_8192_SHA384,
            (S::RSA_PSS_SHA256, None) if !is_short => &sign::RSA_PSS_2048_8192_SHA256,
            (S::RSA_PSS_SHA384, None) if !is_short => &sign::RSA_PSS_2048_8192_SHA384,
            (S::RSA_PSS_SHA512, None) if !is_short => &sign::RSA_PSS_2048_8192_SHA512,
            (S::ED25519, None) if self.algorithm == ED25519 => &sign::ED25519,
            // TLS 1.2 leaves the curve open.
            (S::ECDSA_NISTP256_SHA256, Some(P256)) => &sign::ECDSA_P256_SHA256_ASN1,
            (S::ECDSA_NISTP256_SHA256, Some(P384)) => &sign::ECDSA_P384_SHA256_ASN1,
            (S::ECDSA_NISTP256_SHA256, Some(P521)) => &sign::ECDSA_P521_SHA256_ASN1,
            (S::ECDSA_NISTP384_SHA384, Some(P256)) => &sign::ECDSA_P256_SHA384_ASN1,
            (S::ECDSA_NISTP384_SHA384, Some(P384)) => &sign::ECDSA_P384_SHA384_ASN1,
            (S::ECDSA_NISTP384_SHA384, Some(P521)) => &sign::ECDSA_P521_SHA384_ASN1,
            (S::ECDSA_NISTP521_SHA512, Some(P521)) => &sign::ECDSA_P521_SHA512_ASN1,
            _ => return None,
        })
    }
}
