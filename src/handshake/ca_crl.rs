//! A list of revoked leaves that is always empty: leaves live for a day in the cache and are never revoked, but some clients
//! refuse what nobody can be asked about.

use super::ca::{Ca, parse};
use super::der;
use super::mint::{key_id_of, signature_algorithm};
use rcgen::SigningKey as _;

/// Contents of object identifiers of extensions (RFC 5280 sections 5.2.1 and 5.2.3).
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 35];
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];

/// Clients whose clock is slow must not see a list from the future.
const CLOCK_SKEW: i64 = 3600;
/// How long a client may go by the same list.
const LIFETIME: i64 = 7 * 86_400;

impl Ca {
    /// A list without an entry (RFC 5280 section 5), as DER: good for a week from now.
    ///
    /// # Errors
    /// What the cryptographic library says.
    pub fn empty_crl(&self) -> Result<Vec<u8>, String> {
        self.empty_crl_at(der::now())
    }

    fn empty_crl_at(&self, now: i64) -> Result<Vec<u8>, String> {
        let algorithm = signature_algorithm(self);
        let time = |unix| der::time(unix).ok_or_else(|| "a date beyond the year 9999".to_owned());
        let issuer = der::value(der::SEQUENCE, &der::value(0x80, &key_id_of(self)));
        // It has to grow from list to list; seconds do, on each of several proxies with the same CA.
        let bytes = now.max(1).to_be_bytes();
        // In the fewest bytes, the first of which says that it is not negative (X.690 section 8.3).
        let spare = (now.max(1).leading_zeros() as usize).saturating_sub(1) / 8;
        let number = &bytes[spare..];
        let extensions = [
            der::extension(AUTHORITY_KEY_ID, false, &issuer),
            der::extension(CRL_NUMBER, false, &der::value(der::INTEGER, number)),
        ]
        .concat();
        let list = der::join(
            der::SEQUENCE,
            &[
                &[der::INTEGER, 1, 1], // version 2
                algorithm,
                &self.name,
                &time(now - CLOCK_SKEW)?,
                &time(now + LIFETIME)?,
                &der::value(0xa0, &der::value(der::SEQUENCE, &extensions)),
            ],
        );
        let signature = self.key.sign(&list).map_err(|error| error.to_string())?;
        Ok(der::join(
            der::SEQUENCE,
            &[&list, algorithm, &der::bits(&signature)],
        ))
    }

    /// Whether clients that look closely take a list that it signs: its key usage, if it has any, says so (RFC 5280 section
    /// 4.2.1.3).
    pub fn may_sign_crls(&self) -> bool {
        let Ok(x509) = parse(&self.der) else { return false };
        match x509.key_usage() {
            Ok(Some(usage)) => usage.value.crl_sign(),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::LeafKey;
    use crate::handshake::forge::Mimic;
    use crate::handshake::testing::{forge, openssl};
    use crate::wire::names::Host;
    use std::fs;
    use std::sync::Arc;

    const URL: &str = "http://proxy.corp.example:3128/ca.crl";

    /// A CA of this key, made by openssl.
    fn made(make_key: &str, usage: &str) -> (tempfile::TempDir, Ca) {
        let dir = tempfile::tempdir().unwrap();
        openssl(dir.path(), &format!("{make_key} -out key.pem"));
        openssl(
            dir.path(),
            &format!(
                "req -x509 -key key.pem -subj /CN=Corp -days 365 -addext keyUsage=critical,{usage} -out cert.pem"
            ),
        );
        let ca = Ca::load(&dir.path().join("cert.pem"), &dir.path().join("key.pem")).unwrap();
        (dir, ca)
    }

    #[tokio::test]
    async fn openssl_takes_the_list_of_every_kind_of_key_and_finds_it_by_the_leaf() {
        for make_key in [
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        ] {
            let (dir, ca) = made(make_key, "keyCertSign,cRLSign");
            let dir = dir.path();
            assert!(ca.may_sign_crls());
            let ca = Arc::new(ca.naming_crl(Some(URL.into())));
            fs::write(dir.join("list.crl"), ca.empty_crl().unwrap()).unwrap();
            let told = openssl(dir, "crl -inform DER -in list.crl -CAfile cert.pem -noout -text");
            for part in [
                "Version 2",
                "Issuer: CN = Corp",
                "No Revoked Certificates",
                "X509v3 Authority Key Identifier",
                "X509v3 CRL Number",
            ] {
                assert!(told.contains(part), "{part}: {told}");
            }
            let name = Mimic::Name(Host::Name("a.example".into()));
            let given = forge(&ca).leaf(&name, LeafKey::P256).await.unwrap();
            fs::write(dir.join("leaf.pem"), der::certificate_pem(given.leaf.der())).unwrap();
            let told = openssl(dir, "x509 -in leaf.pem -noout -text");
            assert!(told.contains(&format!("URI:{URL}")), "{told}");
            openssl(dir, "crl -inform DER -in list.crl -out list.pem");
            let told = openssl(
                dir,
                "verify -x509_strict -crl_check -CRLfile list.pem -purpose sslserver -CAfile cert.pem leaf.pem",
            );
            assert!(told.contains("leaf.pem: OK"), "{make_key}: {told}");
        }
    }

    #[tokio::test]
    async fn without_an_address_leaves_name_none_and_a_ca_may_be_unfit() {
        let (dir, ca) = made(
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
            "keyCertSign",
        );
        assert!(!ca.may_sign_crls());
        let name = Mimic::Name(Host::Name("a.example".into()));
        let given = forge(&Arc::new(ca)).leaf(&name, LeafKey::P256).await.unwrap();
        fs::write(
            dir.path().join("leaf.pem"),
            der::certificate_pem(given.leaf.der()),
        )
        .unwrap();
        let told = openssl(dir.path(), "x509 -in leaf.pem -noout -text");
        assert!(!told.contains("CRL Distribution"), "{told}");
    }

    #[test]
    fn numbers_are_written_as_der_wants_and_grow() {
        let (dir, ca) = made(
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
            "keyCertSign,cRLSign",
        );
        let mut last = 0;
        // The year 2038 is where a fourth byte turns negative.
        for now in [1_700_000_000, (1 << 31) - 1, 1 << 31, 1 << 37] {
            fs::write(dir.path().join("list.crl"), ca.empty_crl_at(now).unwrap()).unwrap();
            let told = openssl(dir.path(), "crl -inform DER -in list.crl -noout -crlnumber");
            let digits = told
                .trim()
                .trim_start_matches("crlNumber=")
                .trim_start_matches("0x");
            let number = i64::from_str_radix(digits, 16).unwrap_or_else(|error| panic!("{error}: {told}"));
            assert!(number == now && number > last, "{told}");
            last = number;
        }
    }
}
