//! What of a CA clients may refuse, though it can sign: an operator learns of it before they do.

use rustls::pki_types::CertificateDer;
use std::path::Path;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

/// The fewest bits of an RSA key that rustls, Apple's and browsers' verifiers take.
const RSA_BITS: usize = 2048;

/// sha1WithRSAEncryption, its older identifier, ecdsa-with-SHA1, md5WithRSAEncryption.
const WEAK: [&str; 4] = [
    "1.2.840.113549.1.1.5",
    "1.3.14.3.2.29",
    "1.2.840.10045.4.1",
    "1.2.840.113549.1.1.4",
];

/// What clients may refuse of the certificates of a CA's file: the one that signs, and those above it. One sentence each.
pub(super) fn doubts(file: &Path, chain: &[CertificateDer<'_>]) -> Vec<String> {
    let parsed = chain
        .iter()
        .filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1));
    parsed
        .flat_map(|x509| {
            let subject = super::der::clean(&x509.subject().to_string());
            of(&x509).into_iter().map(move |what| {
                format!(
                    "the certificate {subject:?} in {} {what}; make a new CA, or ask whoever made it",
                    file.display()
                )
            })
        })
        .collect()
}

fn of(x509: &X509Certificate<'_>) -> Vec<&'static str> {
    let mut found = Vec::new();
    let algorithm = x509.signature_algorithm.algorithm.to_id_string();
    if WEAK.contains(&algorithm.as_str()) {
        found.push("is signed with SHA-1 or MD5, which Apple's systems, rustls and strict programs refuse");
    }
    if let Ok(PublicKey::RSA(rsa)) = x509.public_key().parsed()
        && rsa.key_size() < RSA_BITS
    {
        found.push("has an RSA key below 2048 bits, which Apple's systems, rustls and browsers refuse");
    }
    // RFC 5280 sections 4.2.1.9, 4.2.1.2 and 4.2.1.3, which Python verifies strictly since 3.13.
    if matches!(x509.basic_constraints(), Ok(Some(constraints)) if !constraints.critical) {
        found.push(
            "has basic constraints that are not critical, which Python since 3.13 and other strict programs refuse",
        );
    }
    let has = |wanted: fn(&ParsedExtension<'_>) -> bool| {
        x509.extensions()
            .iter()
            .any(|extension| wanted(extension.parsed_extension()))
    };
    if !has(|extension| matches!(extension, ParsedExtension::SubjectKeyIdentifier(_))) {
        found.push("has no subject key identifier, without which Python since 3.13 and other strict programs refuse it");
    }
    if !has(|extension| matches!(extension, ParsedExtension::KeyUsage(_))) {
        found.push("has no key usage, without which Python since 3.13 and other strict programs refuse it");
    }
    if x509.subject().as_raw() != x509.issuer().as_raw()
        && !has(|extension| matches!(extension, ParsedExtension::AuthorityKeyIdentifier(_)))
    {
        found.push("has no authority key identifier, without which Python since 3.13 and other strict programs refuse it");
    }
    if has(|extension| matches!(extension, ParsedExtension::NameConstraints(_))) {
        found.push("has name constraints: clients refuse what it signs for any other name");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::LeafKey;
    use crate::handshake::ca::Ca;
    use crate::handshake::forge::Mimic;
    use crate::handshake::testing::{forge, openssl};
    use crate::wire::names::Host;
    use std::sync::Arc;

    const KEY: &str = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem";
    const USAGE: &str = "-addext keyUsage=critical,keyCertSign";

    fn made(config: &str, arguments: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        openssl(dir.path(), KEY);
        std::fs::write(
            dir.path().join("c"),
            format!("[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n{config}"),
        )
        .unwrap();
        openssl(
            dir.path(),
            &format!("req -x509 -config c -key key.pem -subj /CN=Corp -days 365 -out cert.pem {arguments}"),
        );
        dir
    }

    /// Each doubt is one that OpenSSL has too, if it is of its strict kind; and a CA without doubts is taken with its leaves.
    #[tokio::test]
    async fn what_is_doubted_is_what_strict_verifiers_refuse() {
        let sound = "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n";
        for (config, arguments, doubt, refused) in [
            (sound, USAGE, None, false),
            (
                "basicConstraints=CA:TRUE\nsubjectKeyIdentifier=hash\n",
                USAGE,
                Some("not critical"),
                true,
            ),
            (
                "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\n",
                USAGE,
                Some("no subject key identifier"),
                true,
            ),
            (sound, "", Some("no key usage"), true),
            (sound, &format!("{USAGE} -sha1"), Some("SHA-1"), false),
            (
                "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\nnameConstraints=permitted;DNS:corp.example\n",
                USAGE,
                Some("name constraints"),
                true,
            ),
        ] {
            let dir = made(config, arguments);
            let dir = dir.path();
            let ca = Arc::new(Ca::load(&dir.join("cert.pem"), &dir.join("key.pem")).unwrap());
            match doubt {
                None => assert!(ca.warnings().is_empty(), "{:?}", ca.warnings()),
                Some(doubt) => assert!(
                    ca.warnings().len() == 1 && ca.warnings()[0].contains(doubt),
                    "{doubt}: {:?}",
                    ca.warnings()
                ),
            }
            let name = Mimic::Name(Host::Name("a.example".into()));
            let given = forge(&ca).leaf(&name, LeafKey::P256).await.unwrap();
            std::fs::write(
                dir.join("leaf.pem"),
                super::super::der::certificate_pem(given.leaf.der()),
            )
            .unwrap();
            let done = std::process::Command::new("openssl")
                .args([
                    "verify",
                    "-x509_strict",
                    "-purpose",
                    "sslserver",
                    "-CAfile",
                    "cert.pem",
                    "leaf.pem",
                ])
                .current_dir(dir)
                .output()
                .unwrap();
            assert_eq!(!done.status.success(), refused, "{config} {done:?}");
        }
    }

    #[test]
    fn a_small_rsa_key_above_the_one_that_signs_is_doubted() {
        let dir = made(
            "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n",
            USAGE,
        );
        openssl(dir.path(), "genrsa -out small.pem 1024");
        openssl(
            dir.path(),
            &format!("req -x509 -config c -key small.pem -subj /CN=Root -days 365 -out root.pem {USAGE}"),
        );
        let pem = std::fs::read(dir.path().join("root.pem")).unwrap();
        let chain = super::super::ca::certificates(Path::new("root.pem"), &pem).unwrap();
        let found = doubts(Path::new("ca.pem"), &chain);
        assert!(
            found.len() == 1 && found[0].contains("below 2048 bits"),
            "{found:?}"
        );
    }
}
