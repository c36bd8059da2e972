//! What is signed by a key of a certificate: other certificates, OCSP responses, revocation lists.

use super::der;
use super::public_key::{Proof, PublicKey};
use rustls::SignatureScheme;

/// Something that is signed, as certificates and responses are: data, algorithm, signature, and what follows.
pub(super) struct Signed<'a> {
    pub(super) data: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Signed<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (outer, _) = der::expect(bytes, der::SEQUENCE)?;
        let (data, rest) = der::expect(outer.content, der::SEQUENCE)?;
        let (algorithm, rest) = der::expect(rest, der::SEQUENCE)?;
        let (algorithm, _) = der::expect(algorithm.content, der::OID)?;
        let (signature, rest) = der::expect(rest, der::BIT_STRING)?;
        let (0, signature) = signature.content.split_first()? else {
            return None;
        };
        Some(Self {
            data: data.whole,
            algorithm: algorithm.content,
            signature,
            rest,
        })
    }

    /// The responders' certificates that came with it.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &'a [u8]> {
        let list =
            der::expect(self.rest, 0xa0).and_then(|(list, _)| der::expect(list.content, der::SEQUENCE));
        let content = list.map_or(&[][..], |(list, _)| list.content);
        der::each(content).map(|value| value.whole)
    }

    pub(super) fn is_by_certificate(&self, certificate: &[u8]) -> bool {
        PublicKey::of_certificate(certificate).is_some_and(|key| self.proof_by(key) == Proof::Valid)
    }

    /// Whether the key in a SubjectPublicKeyInfo, of which this is the content, made the signature.
    pub(super) fn is_by(&self, info: &[u8]) -> bool {
        self.proof(info) == Proof::Valid
    }

    /// The same, where it matters whether that can be told at all.
    pub(super) fn proof(&self, info: &[u8]) -> Proof {
        PublicKey::of_info(info).map_or(Proof::Unknown, |key| self.proof_by(key))
    }

    fn proof_by(&self, key: PublicKey<'_>) -> Proof {
        use SignatureScheme as S;
        let scheme = match self.algorithm {
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11] => S::RSA_PKCS1_SHA256,
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12] => S::RSA_PKCS1_SHA384,
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13] => S::RSA_PKCS1_SHA512,
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2] => S::ECDSA_NISTP256_SHA256,
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3] => S::ECDSA_NISTP384_SHA384,
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4] => S::ECDSA_NISTP521_SHA512,
            [0x2b, 0x65, 0x70] => S::ED25519,
            _ => return Proof::Unknown,
        };
        match key.short_rsa() {
            Some(_) => Proof::Invalid,
            None => key.proves(scheme, self.data, self.signature),
        }
    }
}
