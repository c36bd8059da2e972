//! The name of whom a certificate is for, where its authority has put it.

use super::der::{OID, UTF8_STRING, expect};
use crate::error::words;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::OID_X509_COMMON_NAME;
use x509_parser::prelude::FromDer;

words! {
    /// Where a certificate has its user's name.
    pub enum NamedBy {
        /// The common name of its subject.
        SubjectCn = "subject_cn",
        /// An email address (RFC 5280 section 4.2.1.6, rfc822Name).
        SanEmail = "san_email",
        /// A user principal name, as Windows has it (MS-WCCE section 2.2.2.7.5, szOID_NT_PRINCIPAL_NAME).
        SanUpn = "san_upn",
        /// A DNS name, for machines.
        SanDns = "san_dns",
        /// A URI, such as that of SPIFFE.
        SanUri = "san_uri",
    }
}

/// 1.3.6.1.4.1.311.20.2.3.
const UPN: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 20, 2, 3];
/// The tag of an OtherName's value (RFC 5280 section 4.2.1.6): context-specific 0, explicit.
const VALUE: u8 = 0xa0;

impl NamedBy {
    /// The only name of this kind in the certificate `der`.
    ///
    /// # Errors
    /// There is none, or there are several, of which none is better; in words.
    pub fn name_in(self, der: &[u8]) -> Result<String, String> {
        let (_, cert) =
            X509Certificate::from_der(der).map_err(|error| format!("it cannot be read: {error}"))?;
        let mut names = match self {
            Self::SubjectCn => common_names(&cert),
            _ => alternative_names(&cert, self)?,
        };
        match (names.pop(), names.len()) {
            (Some(name), 0) => Ok(name),
            (Some(_), more) => Err(format!("it has {} names of the kind {}", more + 1, self.label())),
            (None, _) => Err(format!("it has no name of the kind {}", self.label())),
        }
    }
}

fn common_names(cert: &X509Certificate<'_>) -> Vec<String> {
    let attributes = cert.subject().iter_by_oid(&OID_X509_COMMON_NAME);
    // One in a string type that is not read is a name nonetheless, and no reason to take another.
    attributes
        .map(|attribute| attribute.as_str().unwrap_or_default().to_owned())
        .collect()
}

fn alternative_names(cert: &X509Certificate<'_>, by: NamedBy) -> Result<Vec<String>, String> {
    let found = cert
        .subject_alternative_name()
        .map_err(|error| format!("its names cannot be read: {error}"))?;
    let names = found.iter().flat_map(|extension| &extension.value.general_names);
    Ok(names
        .filter_map(|name| match (by, name) {
            (NamedBy::SanEmail, GeneralName::RFC822Name(name))
            | (NamedBy::SanDns, GeneralName::DNSName(name))
            | (NamedBy::SanUri, GeneralName::URI(name)) => Some((*name).to_owned()),
            (NamedBy::SanUpn, GeneralName::OtherName(oid, value)) if oid.as_bytes() == UPN => {
                Some(principal(value).unwrap_or_default())
            }
            _ => None,
        })
        .collect())
}

/// The text of an OtherName's value; the reader may have left the object identifier before it.
fn principal(value: &[u8]) -> Option<String> {
    let value = expect(value, OID).map_or(value, |(_, rest)| rest);
    let (value, rest) = expect(value, VALUE)?;
    let (text, more) = expect(value.content, UTF8_STRING)?;
    let text = std::str::from_utf8(text.content).ok()?;
    (rest.is_empty() && more.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::Identity;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, OtherNameValue, SanType, string::Ia5String};

    fn cert(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        Identity::with(&[], change).cert.to_vec()
    }

    fn upn(text: &str) -> SanType {
        let value = OtherNameValue::Utf8String(text.to_owned());
        SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], value))
    }

    fn ia5(text: &str) -> Ia5String {
        text.try_into().unwrap()
    }

    fn of_ada() -> Vec<u8> {
        cert(|params| {
            params.distinguished_name.push(DnType::CommonName, "Ada Lovelace");
            params.subject_alt_names = vec![
                SanType::OtherName((vec![1, 2, 3], OtherNameValue::Utf8String("other".to_owned()))),
                upn("ada@CORP.EXAMPLE"),
                SanType::Rfc822Name(ia5("ada@corp.example")),
                SanType::DnsName(ia5("pc1.corp.example")),
                SanType::URI(ia5("spiffe://corp.example/ada")),
            ];
        })
    }

    #[test]
    fn a_name_is_where_it_is_said_to_be() {
        let der = of_ada();
        for (by, name) in [
            (NamedBy::SubjectCn, "Ada Lovelace"),
            (NamedBy::SanUpn, "ada@CORP.EXAMPLE"),
            (NamedBy::SanEmail, "ada@corp.example"),
            (NamedBy::SanDns, "pc1.corp.example"),
            (NamedBy::SanUri, "spiffe://corp.example/ada"),
        ] {
            assert_eq!(by.name_in(&der).as_deref(), Ok(name));
        }
    }

    #[test]
    fn none_and_several_are_no_name() {
        let bare = cert(|params| params.distinguished_name = rcgen::DistinguishedName::new());
        for &by in NamedBy::ALL {
            let error = by.name_in(&bare).unwrap_err();
            assert_eq!(error, format!("it has no name of the kind {}", by.label()));
        }
        let many = cert(|params| {
            params.subject_alt_names = vec![
                upn("a@x"),
                upn("b@x"),
                SanType::Rfc822Name(ia5("a@x")),
                SanType::Rfc822Name(ia5("b@x")),
            ];
        });
        for by in [NamedBy::SanUpn, NamedBy::SanEmail] {
            assert!(by.name_in(&many).unwrap_err().contains("2 names"));
        }
        assert!(NamedBy::SubjectCn.name_in(b"nothing").is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_changed_is_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut der = of_ada();
            let at = at.index(der.len());
            der[at] = byte;
            for &by in NamedBy::ALL {
                let _ = by.name_in(&der);
            }
        }
    }
}
