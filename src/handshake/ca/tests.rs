use super::*;
use crate::handshake::LeafKey;
use crate::handshake::forge::Mimic;
use crate::handshake::testing::{forge, openssl, openssl_text};
use crate::wire::names::Host;
use std::fs;
use std::sync::Arc;

/// How `openssl` makes a key, into `key.pem`.
const KEYS: [(&str, &str); 8] = [
    (
        "P-256 PKCS#8",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem",
    ),
    (
        "P-384 PKCS#8",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out key.pem",
    ),
    (
        "P-256 SEC1 with parameters",
        "ecparam -name prime256v1 -genkey -out key.pem",
    ),
    (
        "P-384 SEC1",
        "ecparam -name secp384r1 -genkey -noout -out key.pem",
    ),
    (
        "RSA-2048 PKCS#8",
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem",
    ),
    ("RSA-2048 PKCS#1", "genrsa -traditional -out key.pem 2048"),
    ("RSA-3072 PKCS#8", "genrsa -out key.pem 3072"),
    ("RSA-4096 PKCS#8", "genrsa -out key.pem 4096"),
];

fn dir_with_ca(make_key: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    openssl(dir.path(), make_key);
    openssl(
        dir.path(),
        "req -x509 -key key.pem -subj /DC=com/DC=corp/CN=Corp+OU=Net -addext keyUsage=critical,keyCertSign -days 365 -out cert.pem",
    );
    dir
}

fn load(dir: &Path) -> Result<Ca, CaError> {
    Ca::load(&dir.join("cert.pem"), &dir.join("key.pem"))
}

#[track_caller]
fn fails(dir: &Path, wanted: &str) -> CaError {
    let error = load(dir).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(wanted), "{text}");
    assert!(
        text.contains(&dir.display().to_string()),
        "names the file: {text}"
    );
    error
}

#[tokio::test]
async fn every_key_format_of_openssl_signs_leaves_that_openssl_accepts() {
    for (what, make_key) in KEYS {
        let dir = dir_with_ca(make_key);
        let dir = dir.path();
        let ca = Arc::new(load(dir).unwrap_or_else(|error| panic!("{what}: {error}")));
        for key in [LeafKey::P256, LeafKey::Rsa2048] {
            let given = forge(&ca)
                .leaf(&Mimic::Name(Host::Name("a.example".into())), key)
                .await
                .unwrap();
            fs::write(dir.join("leaf.pem"), der::certificate_pem(given.leaf.der())).unwrap();
            let verdict = openssl(
                dir,
                "verify -x509_strict -purpose sslserver -verify_hostname a.example -CAfile cert.pem leaf.pem",
            );
            assert!(verdict.contains("leaf.pem: OK"), "{what}: {verdict}");
            assert!(given.leaf.chain().len() == 1, "a self-signed CA is not sent");
            // The issuer is the CA's subject byte for byte, two DCs and a multi-valued RDN included.
            let issuer = openssl(dir, "x509 -in leaf.pem -noout -issuer -nameopt RFC2253");
            assert_eq!(
                issuer
                    .trim_end()
                    .to_ascii_lowercase()
                    .replace("ou=net+cn=corp", "cn=corp+ou=net"),
                "issuer=cn=corp+ou=net,dc=corp,dc=com",
                "{what}"
            );
        }
    }
}

#[test]
fn one_file_may_hold_both() {
    let dir = dir_with_ca(KEYS[0].1);
    let both = [
        fs::read(dir.path().join("key.pem")).unwrap(),
        fs::read(dir.path().join("cert.pem")).unwrap(),
    ];
    let file = dir.path().join("both.pem");
    fs::write(&file, both.concat()).unwrap();
    let ca = Ca::load(&file, &file).unwrap();
    assert_eq!(ca.pem(), fs::read_to_string(dir.path().join("cert.pem")).unwrap());
    assert_eq!(ca.subject(), "DC=com, DC=corp, OU=Net + CN=Corp");
    let fingerprint = openssl(dir.path(), "x509 -in cert.pem -noout -fingerprint -sha256");
    assert_eq!(
        fingerprint.trim_end().split_once('=').unwrap().1,
        ca.fingerprint_sha256()
    );
    assert_eq!(ca.root_der(), ca.der());
}

#[test]
fn an_open_key_file_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let dir = dir_with_ca(KEYS[0].1);
    let key = dir.path().join("key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(load(dir.path()).unwrap().warnings().is_empty());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let ca = load(dir.path()).unwrap();
    assert!(ca.warnings()[0].contains("0640"), "{:?}", ca.warnings());
}

/// A root, an intermediate in `cert.pem`, its key in `key.pem`.
fn dir_with_intermediate() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    openssl(
        path,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out root.key",
    );
    openssl(
        path,
        "req -x509 -key root.key -subj /CN=Root -addext keyUsage=critical,keyCertSign -days 30 -out root.pem",
    );
    openssl(path, KEYS[0].1);
    openssl(path, "req -new -key key.pem -subj /CN=Middle -out middle.csr");
    fs::write(path.join("ext"), "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n").unwrap();
    openssl(
        path,
        "x509 -req -in middle.csr -CA root.pem -CAkey root.key -CAcreateserial -days 30 -extfile ext -out middle.pem",
    );
    dir
}

#[tokio::test]
async fn an_intermediate_is_sent_and_its_root_is_not() {
    let dir = dir_with_intermediate();
    let path = dir.path();
    let read = |file: &str| fs::read(path.join(file)).unwrap();
    fs::write(
        path.join("cert.pem"),
        [read("middle.pem"), read("root.pem")].concat(),
    )
    .unwrap();
    let ca = Arc::new(load(path).unwrap());
    assert_eq!(ca.subject(), "CN=Middle");
    assert_eq!(ca.root_pem().as_bytes(), read("root.pem"));
    let given = forge(&ca)
        .leaf(&Mimic::Name(Host::Name("a.example".into())), LeafKey::P256)
        .await
        .unwrap();
    assert_eq!(given.leaf.chain().len(), 2);
    fs::write(
        path.join("leaf.pem"),
        der::certificate_pem(&given.leaf.chain()[0]),
    )
    .unwrap();
    fs::write(
        path.join("sent.pem"),
        der::certificate_pem(&given.leaf.chain()[1]),
    )
    .unwrap();
    openssl(
        path,
        "verify -x509_strict -CAfile root.pem -untrusted sent.pem leaf.pem",
    );

    // The other way round the key is not the first certificate's.
    fs::write(
        path.join("cert.pem"),
        [read("root.pem"), read("middle.pem")].concat(),
    )
    .unwrap();
    assert!(matches!(
        fails(path, "does not belong to the first"),
        CaError::KeyMismatch { .. }
    ));
}

#[test]
fn missing_and_empty_files_are_named() {
    let dir = dir_with_ca(KEYS[0].1);
    let path = dir.path();
    fs::rename(path.join("key.pem"), path.join("away")).unwrap();
    assert!(matches!(fails(path, "key.pem"), CaError::Read { .. }));
    fs::copy(path.join("cert.pem"), path.join("key.pem")).unwrap();
    assert!(matches!(
        fails(path, "key.pem holds no private key"),
        CaError::NoKey { .. }
    ));
    fs::rename(path.join("away"), path.join("key.pem")).unwrap();
    fs::copy(path.join("key.pem"), path.join("cert.pem")).unwrap();
    assert!(matches!(
        fails(path, "cert.pem holds no certificate"),
        CaError::NoCertificate { .. }
    ));
    fs::remove_file(path.join("cert.pem")).unwrap();
    assert!(matches!(fails(path, "cannot read"), CaError::Read { .. }));
}

#[test]
fn broken_files_are_named() {
    let dir = dir_with_ca(KEYS[0].1);
    let path = dir.path();
    let cert = fs::read_to_string(path.join("cert.pem")).unwrap();
    fs::write(path.join("cert.pem"), cert.replace("-----END", "-----FIN")).unwrap();
    assert!(matches!(
        fails(path, "not well-formed PEM"),
        CaError::BadPem { .. }
    ));
    fs::write(path.join("cert.pem"), der::certificate_pem(b"no DER")).unwrap();
    assert!(matches!(
        fails(path, "cannot be parsed"),
        CaError::BadCertificate { .. }
    ));
    fs::write(path.join("cert.pem"), cert).unwrap();
    fs::write(
        path.join("key.pem"),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    )
    .unwrap();
    assert!(matches!(
        fails(path, "damaged or of an unsupported kind"),
        CaError::BadKey { .. }
    ));
}

#[test]
fn encrypted_keys_are_called_that() {
    let dir = dir_with_ca(KEYS[5].1);
    let path = dir.path();
    fs::copy(path.join("key.pem"), path.join("plain")).unwrap();
    for encrypt in [
        "pkcs8 -topk8 -in plain -passout pass:secret -out key.pem",
        "rsa -traditional -aes128 -in plain -passout pass:secret -out key.pem",
    ] {
        openssl(path, encrypt);
        assert!(
            matches!(fails(path, "is encrypted"), CaError::EncryptedKey { .. }),
            "{encrypt}"
        );
    }
}

#[test]
fn another_key_does_not_match() {
    let dir = dir_with_ca(KEYS[0].1);
    openssl(dir.path(), KEYS[0].1);
    assert!(matches!(
        fails(dir.path(), "does not belong"),
        CaError::KeyMismatch { .. }
    ));
}

#[test]
fn keys_that_no_browser_likes_are_refused() {
    for (make_key, wanted) in [
        (
            "genpkey -algorithm ED25519 -out key.pem",
            "browsers would not accept",
        ),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out key.pem",
            "browsers would not accept",
        ),
        ("genrsa -out key.pem 1024", "unsupported kind"),
    ] {
        let dir = dir_with_ca(make_key);
        assert!(
            matches!(fails(dir.path(), wanted), CaError::BadKey { .. }),
            "{make_key}"
        );
    }
}

#[test]
fn a_certificate_that_may_not_sign_is_refused() {
    for (extensions, wanted) in [
        ("-addext basicConstraints=critical,CA:FALSE", "CA:TRUE"),
        (
            "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=digitalSignature",
            "keyCertSign",
        ),
        (
            "-addext basicConstraints=critical,CA:TRUE -addext extendedKeyUsage=clientAuth",
            "serverAuth",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        openssl(path, KEYS[0].1);
        fs::write(path.join("empty"), "[req]\ndistinguished_name=dn\n[dn]\n").unwrap();
        openssl(
            path,
            &format!("req -x509 -config empty -key key.pem -subj /CN=x -days 30 {extensions} -out cert.pem"),
        );
        assert!(
            matches!(fails(path, wanted), CaError::NotACa { .. }),
            "{extensions}"
        );
    }
}

#[test]
fn validity_is_checked() {
    let dir = dir_with_ca(KEYS[0].1);
    let path = dir.path();
    let (cert_file, key_file) = (path.join("cert.pem"), path.join("key.pem"));
    let (cert, key) = (fs::read(&cert_file).unwrap(), fs::read(&key_file).unwrap());
    let at = |now| Ca::build((&cert_file, &cert), (&key_file, &key), now);
    assert!(at(der::now()).is_ok());
    let late = at(der::now() + 366 * 86_400).unwrap_err();
    assert!(
        matches!(&late, CaError::Expired { .. }) && late.to_string().contains("expired on 2"),
        "{late}"
    );
    let early = at(der::now() - 86_400).unwrap_err();
    assert!(matches!(&early, CaError::NotYetValid { .. }), "{early}");
}

#[test]
fn the_key_does_not_show_in_debug_output() {
    let (ca, key) = Ca::generate("x").unwrap();
    let shown = format!("{ca:?}");
    assert_eq!(shown, format!("Ca {{ subject: {:?}, .. }}", ca.subject()));
    assert!(!shown.contains(key.lines().nth(1).unwrap()));
    assert!(openssl_text(ca.der()).contains("CA:TRUE"));
}
