use super::*;
use crate::handshake::testing::openssl;

/// A CA, another one of the same name, a responder that the CA has certified and one that it has not, and a leaf.
struct Pki {
    folder: tempfile::TempDir,
}

impl Pki {
    fn new(key: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = Self { folder };
        for (file, extension) in [
            ("responder", "extendedKeyUsage=OCSPSigning"),
            ("impostor", "extendedKeyUsage=serverAuth"),
            ("leaf", "subjectAltName=DNS:a.example"),
        ] {
            std::fs::write(pki.path(&format!("{file}.ext")), extension).unwrap();
        }
        let new = format!("-newkey {key} -nodes");
        for ca in ["ca", "other"] {
            pki.run(&format!(
                "req -x509 {new} -keyout {ca}.key -out {ca}.pem -subj /CN=ca -days 30"
            ));
        }
        for (name, ca) in [("responder", "ca"), ("impostor", "ca"), ("leaf", "ca")] {
            pki.run(&format!(
                "req {new} -keyout {name}.key -out {name}.csr -subj /CN={name}"
            ));
            pki.run(&format!(
                "x509 -req -in {name}.csr -CA {ca}.pem -CAkey {ca}.key -days 30 -extfile {name}.ext -out {name}.pem"
            ));
        }
        pki
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &str) -> String {
        openssl(self.folder.path(), arguments)
    }

    fn der(&self, name: &str) -> Vec<u8> {
        self.run(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
        std::fs::read(self.path(&format!("{name}.der"))).unwrap()
    }

    /// What `signer` says of the leaf, with more arguments.
    fn says(&self, signer: &str, status: &str, more: &str) -> Vec<u8> {
        let serial = self.run("x509 -in leaf.pem -noout -serial");
        let serial = serial.trim().strip_prefix("serial=").unwrap();
        let line = match status {
            "revoked" => format!("R\t350101000000Z\t261101000000Z\t{serial}\tunknown\t/CN=leaf\n"),
            "good" => format!("V\t350101000000Z\t\t{serial}\tunknown\t/CN=leaf\n"),
            _ => "V\t350101000000Z\t\t01\tunknown\t/CN=somebody\n".to_owned(),
        };
        std::fs::write(self.path("index.txt"), line).unwrap();
        self.run("ocsp -issuer ca.pem -cert leaf.pem -reqout request.der");
        self.run(&format!(
            "ocsp -index index.txt -CA ca.pem -rsigner {signer}.pem -rkey {signer}.key -reqin request.der -respout response.der {more}"
        ));
        std::fs::read(self.path("response.der")).unwrap()
    }
}

fn issuers<'a>(certificates: &'a [Vec<u8>]) -> Vec<Issuer<'a>> {
    let read = |der: &'a [u8]| {
        let (outer, _) = der::expect(der, der::SEQUENCE).unwrap();
        let (inner, _) = der::expect(outer.content, der::SEQUENCE).unwrap();
        // A version, a serial number, an algorithm, issuer and validity come before the subject.
        let name = der::each(inner.content).nth(5).unwrap().whole;
        let key = PublicKey::info_of(der).unwrap();
        Issuer { name, key }
    };
    certificates.iter().map(|der| read(der)).collect()
}

#[test]
fn only_what_the_issuer_says_counts() {
    for key in ["ec -pkeyopt ec_paramgen_curve:P-256", "rsa:2048"] {
        let pki = Pki::new(key);
        // Certificates are not valid before they were made.
        let now = der::now();
        let leaf = pki.der("leaf");
        let (ca, other) = ([pki.der("ca")], [pki.der("other")]);
        // The one of the same name that did not sign the leaf is passed over.
        let both = [other[0].clone(), ca[0].clone()];
        for (signer, counts) in [
            ("ca", true),
            ("responder", true),
            ("impostor", false),
            ("other", false),
        ] {
            let wanted = |stapled| if counts { stapled } else { Stapled::Nothing };
            let good = pki.says(signer, "good", "-ndays 7");
            assert_eq!(
                stapled(&good, &leaf, &issuers(&both), now),
                wanted(Stapled::Good),
                "{signer}"
            );
            let revoked = pki.says(signer, "revoked", "-ndays 7");
            let said = stapled(&revoked, &leaf, &issuers(&ca), now);
            assert_eq!(said, wanted(Stapled::Revoked(1_793_491_200)), "{signer}");
            let unknown = pki.says(signer, "unknown", "-ndays 7");
            assert_eq!(stapled(&unknown, &leaf, &issuers(&ca), now), Stapled::Nothing);
        }
        let good = pki.says("ca", "good", "-ndays 7");
        // Another CA's key with the same name, whatever it signs.
        let forged = pki.says("other", "good", "-ndays 7");
        assert_eq!(stapled(&forged, &leaf, &issuers(&other), now), Stapled::Nothing);
        assert_eq!(stapled(&good, &leaf, &[], now), Stapled::Nothing);
        // Another certificate's answer.
        assert_eq!(
            stapled(&good, &pki.der("impostor"), &issuers(&ca), now),
            Stapled::Nothing
        );
        // Out of date, and not valid yet.
        for (at, said) in [
            (now + 6 * 86_400, Stapled::Good),
            (now + 8 * 86_400, Stapled::Nothing),
            (now - 3_600, Stapled::Nothing),
        ] {
            assert_eq!(stapled(&good, &leaf, &issuers(&ca), at), said);
        }
        let unsaid = pki.says("ca", "good", "");
        assert_eq!(
            stapled(&unsaid, &leaf, &issuers(&ca), now + 6 * 86_400),
            Stapled::Good
        );
        assert_eq!(
            stapled(&unsaid, &leaf, &issuers(&ca), now + 8 * 86_400),
            Stapled::Nothing
        );
        // A revocation does not go out of date.
        let revoked = pki.says("ca", "revoked", "-ndays 7");
        let late = stapled(&revoked, &leaf, &issuers(&ca), now + 100 * 86_400);
        assert!(matches!(late, Stapled::Revoked(_)));
    }
}

#[test]
fn a_response_that_was_touched_says_nothing() {
    let now = der::now();
    let pki = Pki::new("ec -pkeyopt ec_paramgen_curve:P-256");
    let (leaf, ca) = (pki.der("leaf"), [pki.der("ca")]);
    let good = pki.says("ca", "good", "-ndays 7 -resp_no_certs");
    for end in 0..good.len() {
        assert_eq!(
            stapled(&good[..end], &leaf, &issuers(&ca), now),
            Stapled::Nothing,
            "{end}"
        );
    }
    let data = basic(&good).unwrap().data;
    let start = data.as_ptr() as usize - good.as_ptr() as usize;
    for at in start..start + data.len() {
        let mut touched = good.clone();
        touched[at] ^= 0x20;
        assert_eq!(
            stapled(&touched, &leaf, &issuers(&ca), now),
            Stapled::Nothing,
            "{at}"
        );
    }
}
