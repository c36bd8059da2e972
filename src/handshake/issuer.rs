//! Who a certificate says it is from.

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The issuer of a certificate, as RFC 4514 writes names; `None` for what is no certificate of X.509.
pub fn issuer(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.issuer().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_a_name() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Some CA, Inc");
        let certificate = params.self_signed(&key).unwrap();
        let named = issuer(certificate.der()).unwrap();
        assert!(named.contains("Some CA, Inc"), "{named}");
        assert_eq!(issuer(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
