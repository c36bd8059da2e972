//! Why a certificate does not verify, in sentences that an error page can show. Text out of certificates is cleaned.

use super::der;
use super::public_key::PublicKey;
use rustls::CertificateError;
use rustls::pki_types::{ServerName, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

/// Why `leaf` does not verify.
pub(super) fn describe(error: &CertificateError, leaf: &[u8], wanted: &ServerName<'_>) -> String {
    use CertificateError as E;
    let x509 = X509Certificate::from_der(leaf).ok().map(|(_, x509)| x509);
    let date = |time: &UnixTime| der::date(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
    match error {
        E::ExpiredContext { not_after, .. } => format!("the certificate expired on {}", date(not_after)),
        E::Expired => "the certificate's validity ends before it begins".to_owned(),
        E::NotValidYetContext { not_before, .. } => {
            format!("the certificate is not valid before {}", date(not_before))
        }
        E::NotValidYet => "the certificate is not valid yet".to_owned(),
        E::NotValidForNameContext { presented, .. } => {
            format!(
                "the certificate is for {}, not {}",
                list(presented),
                wanted.to_str()
            )
        }
        E::NotValidForName => format!("the certificate is not for {}", wanted.to_str()),
        E::UnknownIssuer => match &x509 {
            Some(x509) => self_signed(x509).unwrap_or_else(|| {
                format!(
                    "unknown issuer: {}; neither a trusted root nor an intermediate that was sent with it",
                    der::clean(&x509.issuer().to_string())
                )
            }),
            None => "unknown issuer".to_owned(),
        },
        E::BadEncoding => "the certificate cannot be parsed".to_owned(),
        E::BadSignature => {
            "a signature in the certificate chain is wrong, or was made with a key that is too short"
                .to_owned()
        }
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "the certificate's extended key usage does not include servers".to_owned()
        }
        E::Revoked => "the certificate has been revoked by its issuer".to_owned(),
        E::UnknownRevocationStatus => {
            "nothing says whether the certificate has been revoked, and origin.revocation wants to know"
                .to_owned()
        }
        E::ExpiredRevocationList => "the CRL of its issuer is out of date".to_owned(),
        E::ExpiredRevocationListContext { next_update, .. } => {
            format!("the CRL of its issuer is out of date since {}", date(next_update))
        }
        E::UnhandledCriticalExtension => unknown_extension(x509.as_ref()),
        E::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id,
            ..
        }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id,
            ..
        } => format!(
            "a certificate of its chain is signed by {}, which is not taken here",
            algorithm(signature_algorithm_id)
        ),
        E::Other(error) => other(&error.to_string(), x509.as_ref()),
        other => format!("the certificate is invalid: {}", der::clean(&other.to_string())),
    }
}

/// What the verifier has only a word of the library for.
fn other(word: &str, x509: Option<&X509Certificate<'_>>) -> String {
    let sentence = match word {
        "CaUsedAsEndEntity" => {
            return x509
                .and_then(self_signed)
                .unwrap_or_else(|| "the certificate is a CA's, not a server's".to_owned());
        }
        "UnsupportedCertVersion" => {
            let version = x509.map_or(1, |x509| x509.version().0 + 1);
            return format!(
                "a certificate of X.509 version {version} is not taken: there has to be version 3"
            );
        }
        "UnsupportedCriticalExtension" => return unknown_extension(x509),
        "EndEntityUsedAsCa" => "a certificate of its chain is no CA's, and signed another all the same",
        "ExtensionValueInvalid" | "MalformedExtensions" | "EmptyEkuExtension" | "UnsupportedNameType" => {
            "an extension of a certificate of its chain is malformed"
        }
        "InvalidSerialNumber" => "the serial number of a certificate of its chain is malformed",
        "SignatureAlgorithmMismatch" => "a certificate of its chain names two signature algorithms",
        "NameConstraintViolation" => "it has a name that its CA may not sign (name constraints)",
        "MalformedNameConstraint" | "InvalidNetworkMaskConstraint" => {
            "the name constraints of a CA of its chain are malformed"
        }
        "PathLenConstraintViolated" => "its chain is longer than one of its CAs allows",
        "MaximumPathDepthExceeded"
        | "MaximumPathBuildCallsExceeded"
        | "MaximumSignatureChecksExceeded"
        | "MaximumNameConstraintComparisonsExceeded" => "its chain takes too many steps to verify",
        word => return format!("the certificate is invalid: {}", der::clean(word)),
    };
    sentence.to_owned()
}

fn self_signed(x509: &X509Certificate<'_>) -> Option<String> {
    let is_own = x509.subject().as_raw() == x509.issuer().as_raw();
    is_own.then(|| {
        format!(
            "the certificate is self-signed: {}",
            der::clean(&x509.subject().to_string())
        )
    })
}

fn unknown_extension(x509: Option<&X509Certificate<'_>>) -> String {
    let unknown = x509.and_then(|x509| {
        let mut critical = x509.extensions().iter().filter(|extension| extension.critical);
        critical.find(|extension| {
            matches!(
                extension.parsed_extension(),
                ParsedExtension::UnsupportedExtension { .. } | ParsedExtension::Unparsed
            )
        })
    });
    match unknown {
        Some(extension) => format!(
            "the certificate has a critical extension that is not known here: {}",
            extension.oid
        ),
        None => "a certificate of its chain has a critical extension that is not known here".to_owned(),
    }
}

/// The name of a signature algorithm, by the content of its AlgorithmIdentifier.
fn algorithm(identifier: &[u8]) -> String {
    let oid = der::expect(identifier, der::OID).map(|(oid, _)| oid.content);
    let name = match oid {
        Some([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 2]) => "MD2 with RSA",
        Some([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4]) => "MD5 with RSA",
        Some([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5] | [0x2b, 0x0e, 3, 2, 29]) => "SHA-1 with RSA",
        Some([0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]) => "SHA-1 with ECDSA",
        Some([0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3] | [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, _]) => "DSA",
        Some([0x2b, 0x65, 0x71]) => "Ed448",
        _ => "an algorithm",
    };
    name.to_owned()
}

/// Why the signature of a handshake cannot be verified with this certificate's key.
pub(super) fn describe_signature(error: &CertificateError, leaf: &[u8]) -> String {
    match (error, short_key(leaf)) {
        (_, Some(text)) => text,
        (CertificateError::BadSignature, None) => {
            "it does not hold the private key of its certificate".to_owned()
        }
        (other, None) => format!(
            "its signature cannot be verified: {}",
            der::clean(&other.to_string())
        ),
    }
}

/// What is wrong with the size of a certificate's key, if anything is.
pub(super) fn short_key(leaf: &[u8]) -> Option<String> {
    let bits = PublicKey::of_certificate(leaf)?.short_rsa()?;
    Some(format!(
        "its key is RSA with {bits} bits, and 2048 are the least that is safe"
    ))
}

/// The verifier writes names as `DnsName("a.example")`; people want `a.example`.
fn list(presented: &[String]) -> String {
    const SHOWN: usize = 8;
    let plain = |name: &String| {
        let inner = name
            .split_once('(')
            .and_then(|(_, rest)| rest.strip_suffix(')'))
            .unwrap_or(name);
        der::clean(inner.trim_matches('"'))
    };
    let names: Vec<String> = presented.iter().take(SHOWN).map(plain).collect();
    match presented.len() {
        0 => "no name at all".to_owned(),
        shown if shown <= SHOWN => names.join(", "),
        all => format!("{} and {} more", names.join(", "), all - SHOWN),
    }
}
