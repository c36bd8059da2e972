//! What a leaf takes over from the origin's certificate.
//!
//! Taken over: subject, subject alternative names, validity, key usage, extended key usage. Left behind, since
//! they speak of the origin's issuer and not of ours: AIA, CRL distribution points, SCTs, OCSP must-staple,
//! policies, key identifiers.

use super::der;
use crate::wire::names::Host;
use std::net::IpAddr;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// Named bits of KeyUsage (RFC 5280 section 4.2.1.3).
pub(super) mod usage {
    pub(crate) const DIGITAL_SIGNATURE: u16 = 1;
    pub(crate) const KEY_ENCIPHERMENT: u16 = 1 << 2;
    pub(crate) const DATA_ENCIPHERMENT: u16 = 1 << 3;
    pub(crate) const KEY_AGREEMENT: u16 = 1 << 4;
    pub(crate) const KEY_CERT_SIGN: u16 = 1 << 5;
    pub(crate) const CRL_SIGN: u16 = 1 << 6;
    pub(crate) const ENCIPHER_ONLY: u16 = 1 << 7;
    pub(crate) const DECIPHER_ONLY: u16 = 1 << 8;
}

/// Contents of object identifiers.
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];
const EMAIL_PROTECTION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 4];
const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
const OCSP_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];
const ANY_EXTENDED: &[u8] = &[0x55, 0x1d, 0x25, 0];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];

/// Tags of GeneralName (RFC 5280 section 4.2.1.6).
const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;

/// RFC 5280 appendix A.1, ub-common-name.
const LONGEST_COMMON_NAME: usize = 64;

/// A leaf that mimics nothing: valid from yesterday, since clients' clocks are slow, for this long.
const NAMED_LIFETIME: i64 = 30 * 86_400;

/// The longest that a leaf may last.
const LONGEST_LIFETIME: i64 = 825 * 86_400;

/// What goes into the leaf.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copied {
    /// A whole Name, with the bytes of the origin's.
    pub(super) subject: Vec<u8>,
    /// GeneralNames, one after the other, without the SEQUENCE around them.
    pub(super) names: Vec<u8>,
    /// Seconds since 1970.
    pub(super) not_before: i64,
    /// Seconds since 1970.
    pub(super) not_after: i64,
    /// The named bits, if the origin's certificate has any.
    pub(super) key_usage: Option<u16>,
    /// KeyPurposeIds, one after the other; serverAuth is always there.
    pub(super) purposes: Vec<u8>,
}

impl Copied {
    /// Reads the origin's certificate.
    pub(super) fn from_certificate(certificate: &[u8]) -> Result<Self, String> {
        let (_, x509) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        let mut names = match x509.subject_alternative_name() {
            Ok(Some(extension)) => extension
                .value
                .general_names
                .iter()
                .flat_map(general_name)
                .collect(),
            Ok(None) => Vec::new(),
            Err(error) => return Err(format!("subject alternative name: {error}")),
        };
        if names.is_empty() {
            // Browsers look at nothing but the SAN; old certificates have the host in the CN.
            let common_name = x509
                .subject()
                .iter_common_name()
                .last()
                .and_then(|cn| cn.as_str().ok());
            names = common_name.and_then(host_name).unwrap_or_default();
        }
        let key_usage = x509
            .key_usage()
            .map_err(|error| format!("key usage: {error}"))?
            .map(|usage| usage.value.flags);
        Ok(Self {
            subject: subject(&x509)?,
            names,
            not_before: x509.validity().not_before.timestamp(),
            not_after: x509.validity().not_after.timestamp(),
            key_usage,
            purposes: purposes(&x509)?,
        })
    }

    /// The same for no longer than clients accept, from now on as far as that goes: what lasts longer is refused by Apple's
    /// systems, under roots that were added by hand too.
    pub(super) fn cut(mut self, now: i64) -> Self {
        // The last second counts (RFC 5280 section 4.1.2.5).
        let longest = LONGEST_LIFETIME - 1;
        let latest = self.not_after.saturating_sub(longest).min(now - 86_400);
        self.not_before = self.not_before.max(latest);
        self.not_after = self.not_after.min(self.not_before.saturating_add(longest));
        self
    }

    /// A leaf for a name whose origin showed no certificate.
    pub(super) fn from_host(host: &Host, now: i64) -> Self {
        let (text, name) = match host {
            Host::Name(name) => (name.clone(), der::value(DNS_NAME, name.as_bytes())),
            Host::Ip(ip) => (ip.to_string(), ip_address(*ip)),
        };
        let subject = if text.len() <= LONGEST_COMMON_NAME {
            let value = der::value(der::UTF8_STRING, text.as_bytes());
            let attribute = der::join(der::SEQUENCE, &[&der::value(der::OID, COMMON_NAME), &value]);
            der::value(der::SEQUENCE, &der::value(der::SET, &attribute))
        } else {
            der::EMPTY_NAME.to_vec()
        };
        Self {
            subject,
            names: name,
            not_before: now - 86_400,
            not_after: now + NAMED_LIFETIME,
            key_usage: Some(usage::DIGITAL_SIGNATURE),
            purposes: der::value(der::OID, SERVER_AUTH),
        }
    }
}

/// The subject's bytes. They go into the leaf unread, so they must be one whole Name and nothing else: the parser
/// takes some broken ones whose bytes it then reports short.
fn subject(x509: &X509Certificate<'_>) -> Result<Vec<u8>, String> {
    let raw = x509.subject().as_raw();
    match X509Name::from_der(raw) {
        Ok(([], name)) if name.as_raw() == raw => Ok(raw.to_vec()),
        _ => Err("the subject is not a well-formed Name".to_owned()),
    }
}

fn purposes(x509: &X509Certificate<'_>) -> Result<Vec<u8>, String> {
    let mut purposes = der::value(der::OID, SERVER_AUTH);
    let extension = x509
        .extended_key_usage()
        .map_err(|error| format!("extended key usage: {error}"))?;
    let Some(extension) = extension else {
        return Ok(purposes);
    };
    let usage = extension.value;
    for (set, oid) in [
        (usage.client_auth, CLIENT_AUTH),
        (usage.code_signing, CODE_SIGNING),
        (usage.email_protection, EMAIL_PROTECTION),
        (usage.time_stamping, TIME_STAMPING),
        (usage.ocsp_signing, OCSP_SIGNING),
        (usage.any, ANY_EXTENDED),
    ] {
        if set {
            purposes.extend(der::value(der::OID, oid));
        }
    }
    for oid in &usage.other {
        purposes.extend(der::value(der::OID, oid.as_bytes()));
    }
    Ok(purposes)
}

/// Kinds that no TLS client looks at are dropped, and so is what is not the IA5String or address it should be.
fn general_name(name: &GeneralName<'_>) -> Vec<u8> {
    let ia5 = |tag, text: &str| {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            der::value(tag, text.as_bytes())
        } else {
            Vec::new()
        }
    };
    match name {
        GeneralName::DNSName(text) => ia5(DNS_NAME, text),
        GeneralName::RFC822Name(text) => ia5(RFC822_NAME, text),
        GeneralName::URI(text) => ia5(URI, text),
        GeneralName::IPAddress(octets) if matches!(octets.len(), 4 | 16) => der::value(IP_ADDRESS, octets),
        _ => Vec::new(),
    }
}

fn ip_address(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => der::value(IP_ADDRESS, &ip.octets()),
        IpAddr::V6(ip) => der::value(IP_ADDRESS, &ip.octets()),
    }
}

/// A common name as a GeneralName, if it is a host's.
fn host_name(common_name: &str) -> Option<Vec<u8>> {
    if let Ok(ip) = common_name.parse() {
        return Some(ip_address(ip));
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let host = common_name.strip_prefix("*.").unwrap_or(common_name);
    let is_host = host.len() <= 253 && host.contains('.') && host.split('.').all(label);
    is_host.then(|| der::value(DNS_NAME, common_name.as_bytes()))
}

#[cfg(test)]
mod tests;
