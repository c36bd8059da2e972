//! One certificate revocation list.

use crate::handshake::der;
use crate::tls::provider::provider;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateRevocationListDer, TrustAnchor};
use std::fmt;
use std::sync::Arc;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// issuingDistributionPoint (RFC 5280 section 5.2.5).
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];

/// A list that can be used, and where it is from. Whether its issuer has signed it is another question.
#[derive(Clone, PartialEq, Eq)]
pub struct Crl {
    source: Arc<str>,
    der: Arc<[u8]>,
    issuer: Vec<u8>,
    scope: Vec<u8>,
    this_update: i64,
    next_update: i64,
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crl")
            .field("source", &self.source)
            .field("bytes", &self.der.len())
            .field("next_update", &self.next_update)
            .finish_non_exhaustive()
    }
}

impl Crl {
    /// Every list in `bytes`: several in PEM, or one in DER. `source` is the file or the address that they are from.
    ///
    /// # Errors
    /// What is wrong with them, in words that follow their source.
    pub fn all_in(source: &str, bytes: Vec<u8>) -> Result<Vec<Self>, String> {
        let found: Result<Vec<_>, _> = match bytes.first() {
            Some(&der::SEQUENCE) => Ok(vec![bytes]),
            _ => CertificateRevocationListDer::pem_slice_iter(&bytes)
                .map(|crl| crl.map(|der| der.to_vec()))
                .collect(),
        };
        let found = found.map_err(|error| format!("a CRL cannot be read: {error}"))?;
        if found.is_empty() {
            return Err("holds no CRL; it must be PEM, with -----BEGIN X509 CRL-----, or DER".to_owned());
        }
        let source: Arc<str> = source.into();
        let read = |der| Self::read(Arc::clone(&source), der);
        found.into_iter().map(read).collect()
    }

    fn read(source: Arc<str>, der: Vec<u8>) -> Result<Self, String> {
        if let Some(error) = unusable(&der) {
            return Err(format!("a CRL cannot be used: {error}"));
        }
        let fields = Fields::of(&der).ok_or("a CRL cannot be used: it is not written as RFC 5280 has it")?;
        Ok(Self {
            source,
            issuer: fields.issuer.to_vec(),
            scope: fields.scope.to_vec(),
            this_update: fields.this_update,
            next_update: fields.next_update,
            der: der.into(),
        })
    }

    /// The file or the address that it is from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// When its issuer means to have published the next one, in seconds since 1970.
    pub fn next_update(&self) -> i64 {
        self.next_update
    }

    /// When it was made, in seconds since 1970.
    pub(in crate::handshake) fn this_update(&self) -> i64 {
        self.this_update
    }

    /// All of it.
    pub(in crate::handshake) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whose list it is: a Name, whole.
    pub(super) fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// Whether the other one is of the same issuer, and speaks of the same certificates: an issuer may have a list for
    /// each part of them.
    pub(super) fn is_about_the_same(&self, other: &Self) -> bool {
        (&self.issuer, &self.scope) == (&other.issuer, &other.scope)
    }
}

/// What is looked at of a list by the proxy itself; all else is WebPKI's.
struct Fields<'a> {
    issuer: &'a [u8],
    this_update: i64,
    next_update: i64,
    /// The extension that limits what it speaks of; empty for none.
    scope: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(crl: &'a [u8]) -> Option<Self> {
        let (outer, _) = der::expect(crl, der::SEQUENCE)?;
        let (list, _) = der::expect(outer.content, der::SEQUENCE)?;
        let mut fields = der::each(list.content).skip_while(|field| field.tag == der::INTEGER);
        let (_algorithm, issuer) = (fields.next()?, fields.next()?);
        let (this_update, next_update) = (time(fields.next()?)?, time(fields.next()?)?);
        let extensions = fields.find(|field| field.tag == 0xa0);
        let scope = extensions
            .and_then(|explicit| der::expect(explicit.content, der::SEQUENCE))
            .and_then(|(list, _)| {
                der::each(list.content).find(|extension| {
                    der::expect(extension.content, der::OID)
                        .is_some_and(|(oid, _)| oid.content == ISSUING_DISTRIBUTION_POINT)
                })
            });
        Some(Self {
            issuer: issuer.whole,
            this_update,
            next_update,
            scope: scope.map_or(&[], |extension| extension.whole),
        })
    }
}

fn time(value: der::Value<'_>) -> Option<i64> {
    let (_, time) = ASN1Time::from_der(value.whole).ok()?;
    Some(time.timestamp())
}

/// Why a list in DER cannot be used at all.
fn unusable(der: &[u8]) -> Option<String> {
    let mut roots = RootCertStore::empty();
    // A verifier wants one root at least; this one is never asked.
    roots.roots.push(TrustAnchor {
        subject: Vec::new().into(),
        subject_public_key_info: Vec::new().into(),
        name_constraints: None,
    });
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
    let built = verifier.with_crls([der.to_vec().into()]).build();
    built.err().map(|error| der::clean(&error.to_string()))
}
