//! What a stapled OCSP response says of a certificate (RFC 6960 section 4.2, RFC 6066 section 8).
//!
//! A response counts if it is about this certificate and signed by its issuer, or by whom the issuer has certified for
//! that. Anything else is as good as none.

use super::der;
use super::public_key::PublicKey;
use super::signed::Signed;
use aws_lc_rs::digest;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// id-pkix-ocsp-basic.
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
const ENUMERATED: u8 = 0x0a;
/// Contents of object identifiers of hashes.
const SHA1: &[u8] = &[0x2b, 0x0e, 3, 2, 0x1a];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];

/// How far clocks may be apart, in seconds.
const SKEW: i64 = 300;
/// How long an answer is good that does not say it.
const UNSAID: i64 = 7 * 86_400;
/// Certificates of responders that are looked at.
const RESPONDERS: usize = 4;

/// Who may have issued a certificate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Issuer<'a> {
    /// The whole Name.
    pub(super) name: &'a [u8],
    /// The content of its SubjectPublicKeyInfo.
    pub(super) key: &'a [u8],
}

/// What a response says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stapled {
    /// The certificate is not revoked.
    Good,
    /// It has been, at this time.
    Revoked(i64),
    /// Nothing that counts.
    Nothing,
}

/// Reads `response`, which came with `leaf`. `issuers` are those whom the leaf may come from: only one that really signed
/// it counts.
pub(super) fn stapled(response: &[u8], leaf: &[u8], issuers: &[Issuer<'_>], now: i64) -> Stapled {
    read(response, leaf, issuers, now).unwrap_or(Stapled::Nothing)
}

/// A response that is successful and of the basic kind, as all are.
fn basic(response: &[u8]) -> Option<Signed<'_>> {
    let (outer, _) = der::expect(response, der::SEQUENCE)?;
    let (status, rest) = der::expect(outer.content, ENUMERATED)?;
    let (bytes, _) = der::expect(rest, 0xa0).filter(|_| status.content == [0])?;
    let (bytes, _) = der::expect(bytes.content, der::SEQUENCE)?;
    let (kind, rest) = der::expect(bytes.content, der::OID)?;
    let (basic, _) = der::expect(rest, der::OCTET_STRING).filter(|_| kind.content == BASIC)?;
    Signed::read(basic.content)
}

fn read(response: &[u8], leaf: &[u8], issuers: &[Issuer<'_>], now: i64) -> Option<Stapled> {
    let signed = basic(response)?;
    let (_, x509) = X509Certificate::from_der(leaf).ok()?;
    let issuer = issuers.iter().find(|issuer| {
        issuer.name == x509.issuer().as_raw() && Signed::read(leaf).is_some_and(|leaf| leaf.is_by(issuer.key))
    })?;
    let is_authentic = signed.is_by(issuer.key)
        || signed
            .certificates()
            .take(RESPONDERS)
            .any(|responder| is_certified(responder, issuer, now) && signed.is_by_certificate(responder));
    if !is_authentic {
        return None;
    }
    let (data, _) = der::expect(signed.data, der::SEQUENCE)?;
    // Version, responder and time of production come before the answers.
    let answers = der::each(data.content).find(|value| value.tag == der::SEQUENCE)?;
    der::each(answers.content).find_map(|answer| said(answer.content, x509.raw_serial(), issuer, now))
}

/// What one answer says, if it is about this certificate.
fn said(answer: &[u8], serial: &[u8], issuer: &Issuer<'_>, now: i64) -> Option<Stapled> {
    let (id, rest) = der::expect(answer, der::SEQUENCE)?;
    let mut fields = der::each(id.content);
    let (algorithm, name, key, number) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let (hash, _) = der::expect(algorithm.content, der::OID)?;
    let hash = match hash.content {
        SHA1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        SHA256 => &digest::SHA256,
        _ => return None,
    };
    let hashed = |bytes: &[u8]| digest::digest(hash, bytes);
    let key_bits = PublicKey::of_info(issuer.key)?.bits;
    if number.content != serial
        || name.content != hashed(issuer.name).as_ref()
        || key.content != hashed(key_bits).as_ref()
    {
        return None;
    }
    let (status, rest) = der::read(rest)?;
    let (this, rest) = der::expect(rest, der::GENERALIZED_TIME)?;
    let this = time(this)?;
    let next = match der::expect(rest, 0xa0) {
        Some((next, _)) => time(der::expect(next.content, der::GENERALIZED_TIME)?.0)?,
        None => this + UNSAID,
    };
    match status.tag {
        // It stays revoked, however old the answer is.
        0xa1 => Some(Stapled::Revoked(time(
            der::expect(status.content, der::GENERALIZED_TIME)?.0,
        )?)),
        0x80 if this - SKEW <= now && now <= next + SKEW => Some(Stapled::Good),
        _ => None,
    }
}

fn time(value: der::Value<'_>) -> Option<i64> {
    let (_, time) = ASN1Time::from_der(value.whole).ok()?;
    Some(time.timestamp())
}

/// Whether the issuer has certified this responder for OCSP (RFC 6960 section 4.2.2.2).
fn is_certified(responder: &[u8], issuer: &Issuer<'_>, now: i64) -> bool {
    let Ok((_, x509)) = X509Certificate::from_der(responder) else {
        return false;
    };
    let validity = x509.validity();
    let is_valid = (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now);
    let signs = matches!(x509.extended_key_usage(), Ok(Some(usage)) if usage.value.ocsp_signing);
    let is_theirs = x509.issuer().as_raw() == issuer.name;
    is_valid && signs && is_theirs && Signed::read(responder).is_some_and(|signed| signed.is_by(issuer.key))
}

#[cfg(test)]
mod tests;
