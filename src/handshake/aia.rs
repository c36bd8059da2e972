//! Where a certificate says that its issuer's can be had (RFC 5280 section 4.2.2.1), and what is found there.

use super::der;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

/// Addresses that are looked at, of one certificate.
const URLS: usize = 2;
/// The longest address.
const URL_BYTES: usize = 1024;
/// Certificates that are taken from one place.
const CERTIFICATES: usize = 4;
/// The largest certificate that is taken.
const CERTIFICATE_BYTES: usize = 16 * 1024;

/// id-ad-caIssuers.
const CA_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 2];
/// id-signedData (RFC 5652 section 5.1).
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];

/// Who issued a certificate, and where more is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Issuing {
    /// The issuer's name, whole.
    pub(super) issuer: Vec<u8>,
    /// The subject's.
    pub(super) subject: Vec<u8>,
    /// Addresses by plain HTTP, as they stand there. What they lead to is signed, and a fetch by HTTPS would need a
    /// chain of its own to be found.
    pub(super) urls: Vec<String>,
}

impl Issuing {
    /// Reads a certificate.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (_, x509) = X509Certificate::from_der(certificate).ok()?;
        let mut urls = Vec::new();
        for extension in x509.extensions() {
            let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() else {
                continue;
            };
            for place in access.iter() {
                if let GeneralName::URI(url) = place.access_location
                    && place.access_method.as_bytes() == CA_ISSUERS
                    && is_plain_http(url)
                    && urls.len() < URLS
                {
                    urls.push(url.to_owned());
                }
            }
        }
        Some(Self {
            issuer: x509.issuer().as_raw().to_vec(),
            subject: x509.subject().as_raw().to_vec(),
            urls,
        })
    }
}

fn is_plain_http(url: &str) -> bool {
    let scheme = url
        .get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
    scheme && url.len() <= URL_BYTES && url.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The certificates in what was found: one in DER, a PKCS #7 bundle in DER or PEM (RFC 5652), or PEM. Whatever the server
/// calls it, for many call it something else.
pub(super) fn certificates(body: &[u8]) -> Vec<CertificateDer<'static>> {
    let found: Vec<CertificateDer<'static>> = match der::expect(body, der::SEQUENCE) {
        Some((outer, _)) => match bundled(outer.content) {
            Some(bundle) => bundle,
            None => vec![outer.whole.to_vec().into()],
        },
        None => {
            let pem = CertificateDer::pem_slice_iter(body).filter_map(Result::ok);
            pem.chain(pem_bundle(body)).collect()
        }
    };
    let usable = |der: &CertificateDer<'_>| {
        der.len() <= CERTIFICATE_BYTES
            && X509Certificate::from_der(der).is_ok_and(|(rest, _)| rest.is_empty())
    };
    found.into_iter().filter(usable).take(CERTIFICATES).collect()
}

/// The certificates of a SignedData without signers, which is what a bundle is: `content` is that of its ContentInfo.
fn bundled(content: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let (kind, rest) = der::expect(content, der::OID)?;
    let (explicit, _) = der::expect(rest, 0xa0).filter(|_| kind.content == SIGNED_DATA)?;
    let (signed, _) = der::expect(explicit.content, der::SEQUENCE)?;
    let certificates = der::each(signed.content).find(|value| value.tag == 0xa0)?;
    let each = der::each(certificates.content).filter(|value| value.tag == der::SEQUENCE);
    Some(each.map(|value| value.whole.to_vec().into()).collect())
}

/// A bundle in PEM, as `openssl crl2pkcs7` writes it.
fn pem_bundle(body: &[u8]) -> Vec<CertificateDer<'static>> {
    use base64::Engine;
    let inner = || {
        let text = std::str::from_utf8(body).ok()?;
        let (_, rest) = text.split_once("-----BEGIN PKCS7-----")?;
        let (inner, _) = rest.split_once("-----END PKCS7-----")?;
        let joined: String = inner.split_whitespace().collect();
        let der = base64::engine::general_purpose::STANDARD.decode(joined).ok()?;
        bundled(der::expect(&der, der::SEQUENCE)?.0.content)
    };
    inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::testing::{Identity, openssl};

    fn with_access(urls: &[&str]) -> Identity {
        let places: Vec<Vec<u8>> = urls
            .iter()
            .map(|url| {
                let uri = der::value(0x86, url.as_bytes());
                der::join(der::SEQUENCE, &[&der::value(der::OID, CA_ISSUERS), &uri])
            })
            .collect();
        let places: Vec<&[u8]> = places.iter().map(Vec::as_slice).collect();
        let content = der::join(der::SEQUENCE, &places);
        Identity::with(&["a.example"], |params| {
            let oid = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
            params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(oid, content)];
        })
    }

    #[test]
    fn only_addresses_by_plain_http_are_taken_and_not_too_many() {
        let long = format!("http://ca.example/{}", "x".repeat(URL_BYTES));
        let urls = [
            "ldap://ca.example/cn=x",
            "https://ca.example/a.cer",
            &long,
            "http://ca.example/a b",
            "HTTP://ca.example/a.cer",
            "http://ca.example:8080/b.cer",
            "http://ca.example/c.cer",
        ];
        let read = Issuing::of(&with_access(&urls).cert).unwrap();
        assert_eq!(
            read.urls,
            ["HTTP://ca.example/a.cer", "http://ca.example:8080/b.cer"]
        );
        let plain = Identity::new(&["a.example"]);
        let read = Issuing::of(&plain.cert).unwrap();
        assert!(read.urls.is_empty() && read.issuer != read.subject);
        assert_eq!(Issuing::of(&plain.root).unwrap().subject, read.issuer);
        assert_eq!(Issuing::of(b"no certificate"), None);
    }

    #[test]
    fn certificates_are_found_in_whatever_they_come() {
        let identity = Identity::new(&["a.example"]);
        let dir = tempfile::tempdir().unwrap();
        let pem = der::certificate_pem(&identity.root) + &der::certificate_pem(&identity.cert);
        std::fs::write(dir.path().join("all.pem"), &pem).unwrap();
        for form in ["DER", "PEM"] {
            openssl(
                dir.path(),
                &format!("crl2pkcs7 -nocrl -certfile all.pem -outform {form} -out {form}"),
            );
        }
        let file = |name| std::fs::read(dir.path().join(name)).unwrap();
        let both = [identity.root.clone(), identity.cert.clone()];
        assert_eq!(certificates(&identity.root), both[..1]);
        for body in [pem.into_bytes(), file("DER"), file("PEM")] {
            let mut found = certificates(&body);
            found.sort_by_key(|der| *der != both[0]);
            assert_eq!(found, both);
            // Whatever is cut off, nothing is made of what is left.
            for end in 0..body.len().min(3_000) {
                certificates(&body[..end]);
            }
        }
        for nothing in [
            &b""[..],
            b"<html>",
            b"\x30\x03\x02\x01\x05",
            &[0x30, 0x82, 0xff, 0xff],
        ] {
            assert!(certificates(nothing).is_empty());
        }
        let many = der::certificate_pem(&identity.root).repeat(10);
        assert_eq!(certificates(many.as_bytes()).len(), CERTIFICATES);
    }
}
